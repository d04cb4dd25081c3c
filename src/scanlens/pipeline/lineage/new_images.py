"""New images that a network was trained on: marked, since how well it does on them says nothing about others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scanlens.data.image_facts import pixel_hash
from scanlens.pipeline.lineage import Images, seen
from scanlens.pipeline.lineage.stored import read_lineage
from scanlens.pipeline.new_patients import Judged
from scanlens.runs import Run
from scanlens.types import RawImage


def recognizable(raw: RawImage) -> bytes | None:
    """The hash that an image is known again by; None if all its pixels are equal."""
    return pixel_hash(raw) if bool((raw.pixels != raw.pixels.flat[0]).any()) else None


def mark_seen(run: Run, judged: Sequence[Judged]) -> list[str]:
    """Set `seen` of every image: "image", or "patient" if only a patient of that name was seen, in training or validation.

    Returns:
        What is to be told, a sentence each.

    Raises:
        RunError: if `lineage.json` of the run is not what it should be.
    """
    if not run.lineage_file.exists():
        return ["the run has no lineage.json: whether the network was trained on these images is not known."]
    images = Images([one.pixel_hash for one in judged], [one.image.patient or None for one in judged])
    for one, word in zip(judged, seen(read_lineage(run.lineage_file), images).words(), strict=True):
        one.seen = word
    counts = Counter(one.seen for one in judged)
    parts = [
        f"{counts['image']} are images that it was trained on" if counts["image"] else "",
        f"{counts['patient']} are of patients, by their names, that it was trained on" if counts["patient"] else "",
    ]
    told = " and ".join(part for part in parts if part)
    if not told:
        return []
    return [f"of {len(judged)} images, {told} or chosen by (seen_in_training): results on them are too good."]
