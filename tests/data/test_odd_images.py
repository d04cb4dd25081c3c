"""Odd images that were planted among phantoms, and text drawn onto them."""

from __future__ import annotations

import string

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from scanlens.data.burnt_in_text import MIN_MARKS, num_text_marks, text_mask
from scanlens.data.duplicates import thumbnails
from scanlens.data.image_facts import image_facts
from scanlens.data.odd_images import odd_images
from scanlens.data.sources.phantom import PhantomSource
from scanlens.types import RawImage


def heads(num: int, size: int) -> list[NDArray[np.uint8]]:
    source = PhantomSource(kind="mri", num_patients=num, slices_per_patient=1, size=size)
    pixels = [source.read(record).pixels.astype(np.float64) for record in source.records()]
    return [np.rint(255 * (one - one.min()) / np.ptp(one)).astype(np.uint8) for one in pixels]


def found_in(pictures: list[NDArray[np.uint8]]) -> set[tuple[int, str]]:
    raws = [RawImage(one, "gray", (0, 255)) for one in pictures]
    facts = np.stack([image_facts(raw, "no such file") for raw in raws])
    return {(odd.index, odd.kind) for odd in odd_images(facts, thumbnails(raws), np.arange(len(raws)))}


def written(head_HW: NDArray[np.uint8], text: str, *, size: int, left: int) -> NDArray[np.float32]:
    image = Image.fromarray(head_HW)
    ImageDraw.Draw(image).text((left, 2), text, fill=255, font=ImageFont.load_default(size))
    return np.asarray(image, dtype=np.float32)


def test_what_was_planted_is_found_and_nothing_else() -> None:
    pictures = heads(80, 96)
    assert found_in(pictures) == set()
    pictures[3] = np.zeros_like(pictures[3])
    pictures[7] = np.full_like(pictures[7], 90)
    pictures[7][5, 5] = 91
    pictures[11][[0, -1]], pictures[11][:, [0, -1]] = 255, 255
    assert {(3, "empty"), (7, "nearly empty"), (11, "frame")} <= found_in(pictures)
    assert {index for index, _ in found_in(pictures)} == {3, 7, 11}


def test_text_beside_the_head_is_counted_and_heads_alone_are_not() -> None:
    generator = np.random.default_rng(0)
    pictures = heads(30, 256)
    letters = list(string.ascii_uppercase + string.digits)
    marks = [
        num_text_marks(
            written(one, "".join(generator.choice(letters, 6)), size=12, left=int(generator.integers(2, 40)))
        )
        for one in pictures
    ]
    assert np.mean(np.array(marks) >= MIN_MARKS) > 0.85
    assert max(marks) <= 9
    assert not any(num_text_marks(one.astype(np.float32)) for one in pictures)
    assert num_text_marks(np.full((20, 20), 3, np.float32)) == 0


def test_text_is_marked_where_it_stands_and_nowhere_else() -> None:
    head = heads(1, 256)[0]
    lettered = written(head, "RIGHT 27", size=12, left=8)
    is_ink = lettered != head
    mask = text_mask(lettered)
    assert mask[is_ink].mean() > 0.85
    assert not mask[25:].any()
    assert not mask[:, 90:].any()
    assert not text_mask(head.astype(np.float32)).any()
    assert not text_mask(np.full((20, 20), 3, np.float32)).any()
