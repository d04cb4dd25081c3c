"""Whether the network goes by something that is not the disease: regions and looks exchanged between test images.

Maps only nominate; what happens to the probability when the thing is exchanged decides (Adebayo et al. 2022,
arXiv:2212.04629: maps accuse clean networks and overlook shortcuts).

Legend of axes: N test images, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scanlens.callbacks.predictions import index_of
from scanlens.data.burnt_in_text import text_mask
from scanlens.evaluation.explanations.counterfactual import (
    Candidate,
    as_dict,
    candidate,
    corrected,
    rarest_seen,
    with_elsewhere,
)
from scanlens.evaluation.explanations.pairing import Pairing, paired
from scanlens.evaluation.resampling import group_patients
from scanlens.explain.ground import outside_body
from scanlens.explain.interventions import LOOKS
from scanlens.explain.regions import Region, asked_for, favored, fixed, moved, places
from scanlens.pipeline.explanations.region_evidence import maps_in_regions, mean_evidence, readable
from scanlens.pipeline.explanations.subject import Subject
from scanlens.pipeline.explanations.swaps import Change, Flags, LookTransfer, ReadImages, RegionSwap, answers_to
from scanlens.pipeline.patients import Predicted
from scanlens.pipeline.progress import progress_bar
from scanlens.pipeline.trust import named_class
from scanlens.report.explanations.shortcut_sentences import shortcut_lines
from scanlens.report.sheets import marked_png
from scanlens.seeds import derived_seed

NUM_ELSEWHERE = 5
_PAIRS, _ELSEWHERE, _NOISE = 71, 72, 73  # streams of random numbers
_MAY_BE_DISEASE = (
    "no masks tell where the disease is, and maps favor this place: the network may go by the disease itself"
)
_UNMASKED = "Masks are not known, so the disease itself may reach into a region."


def measure(subject: Subject) -> dict[str, Any]:
    """The contents of explanations/shortcuts.json.

    Returns:
        `regions` and `looks`, each with its verdict (see `counterfactual.as_dict`), regions with `maps` (see
        `maps_in_regions`), `readable` and a `picture`; `least_effect`, numbers of images, pairs and patients, and
        `rarest_seen` (share of patients below which something may not have been among what was given).
    """
    test, plan = subject.test, subject.shortcut_plan
    pairing = paired(
        test.target_N,
        test.units.patient_N,
        num_classes=len(subject.class_names),
        most=subject.max_cases,
        seed=derived_seed(subject.seed, _PAIRS),
    )
    recipients = [test.rows[n] for n in pairing.recipient_P]
    regions, pictures = _seen(subject, _regions(subject), recipients)
    found, looks = _judged(subject, pairing, regions)
    units = group_patients(
        [test.patients[n] for n in pairing.recipient_P],
        test.target_N[pairing.recipient_P],
        groups=[test.groups[n] for n in pairing.recipient_P],
    )
    maps = maps_in_regions(subject, recipients, regions, units)
    alone = readable(subject.run, subject.data, regions, seed=subject.seed)
    least, names = plan.least_effect, subject.class_names
    givers = np.unique(test.units.patient_N[np.unique(pairing.donor_PJ[pairing.donor_PJ >= 0])])
    return {
        "least_effect": least,
        "class_names": names,
        "num_images": len(recipients),
        "num_patients": units.num_patients,
        "unit": units.unit,
        "num_donor_patients": len(givers),
        "rarest_seen": rarest_seen(len(givers)),
        "note": None if _lesions_are_known(subject) else _UNMASKED,
        "regions": [
            as_dict(one, names, least=least)
            | {"kind": region.kind, "maps": by_map, "readable": read, "picture": picture}
            for one, region, by_map, read, picture in zip(found, regions, maps, alone, pictures, strict=True)
        ],
        "looks": [
            as_dict(one, names, least=least) | {"about": look.about}
            for one, look in zip(looks, LOOKS.values(), strict=True)
        ],
    }


def lines(content: dict[str, Any]) -> list[str]:
    """For the terminal."""
    return shortcut_lines(content)


def _regions(subject: Subject) -> list[Region]:
    """All candidates."""
    height, width = subject.data.cached.images.shape[2:]
    mean_HW = mean_evidence(subject, subject.drawn(subject.val.rows or subject.test.rows))
    by_maps = [] if mean_HW is None else favored(mean_HW)
    return [
        *places(height, width),
        Region("writing", "text", lambda image_CHW: text_mask(image_CHW.mean(axis=0).astype(np.float32))),
        Region("outside of the body", "outside", outside_body, is_narrowed=True),
        *(fixed(f"favored by maps ({number})", "favored", mask) for number, mask in enumerate(by_maps, start=1)),
        *asked_for(subject.shortcut_plan.boxes, height, width),
    ]


def _judged(subject: Subject, pairing: Pairing, regions: Sequence[Region]) -> tuple[list[Candidate], list[Candidate]]:
    """Regions and looks, corrected together."""
    test, read = subject.test, _reader(subject)
    unit_N, least = test.units.patient_N, subject.shortcut_plan.least_effect
    looks = [LookTransfer(look, derived_seed(subject.seed, _NOISE)) for look in LOOKS.values()]
    names = [*(region.name for region in regions), *(look.title for look in LOOKS.values())]
    classes = _classes(subject)
    with progress_bar("shortcuts", total=len(pairing.recipient_P)) as advance:
        changes: list[Change] = [*(RegionSwap(region) for region in regions), *looks]
        plain_PK, answers = answers_to(subject.network, read, pairing, changes, advance=advance)
    found = [
        candidate(name, one, plain_PK, pairing, unit_N, classes=classes)
        for name, one in zip(names, answers, strict=True)
    ]
    for place, region in enumerate(regions):
        if any((one.change.value or 0.0) > least for one in found[place].effects):
            elsewhere = moved(region, num=NUM_ELSEWHERE, seed=derived_seed(subject.seed, _ELSEWHERE, place))
            swaps = [RegionSwap(one) for one in elsewhere]
            told = answers_to(subject.network, read, pairing, swaps)[1] if swaps else []
            found[place] = with_elsewhere(found[place], answers[place], told, pairing, unit_N)
    found = corrected(found, least=least)
    judged = [_in_doubt(one, region, subject) for one, region in zip(found[: len(regions)], regions, strict=True)]
    return judged, found[len(regions) :]


def _in_doubt(found: Candidate, region: Region, subject: Subject) -> Candidate:
    """A place that maps favor, where nobody knows where the disease is, is not convicted: it may be the disease."""
    if region.kind != "favored" or _lesions_are_known(subject):
        return found
    return replace(found, doubt=_MAY_BE_DISEASE)


def _classes(subject: Subject) -> list[int]:
    """All classes; of two, the one that must not be missed, or the last: the other is its mirror."""
    names = subject.class_names
    if len(names) > 2:
        return list(range(len(names)))
    target, _ = named_class(subject.run.config, names)
    return [1 if target is None else target.members[0]]


def _reader(subject: Subject) -> ReadImages:
    test: Predicted = subject.test

    def read(numbers: Sequence[int]) -> tuple[Tensor, Flags]:
        x_BCHW, masks = subject.images([test.rows[n] for n in numbers])
        nothing_HW = np.zeros(x_BCHW.shape[2:], bool)
        return x_BCHW, np.stack([nothing_HW if mask is None else mask > 0 for mask in masks])

    return read


def _lesions_are_known(subject: Subject) -> bool:
    """Whether every test image has a mask, but for those of a class of which none has one while others have: it has no lesions."""
    has_mask_N: NDArray[np.bool_] = np.array(
        [bool(subject.data.cached.has_mask[index_of(row)]) for row in subject.test.rows]
    )
    share_K = [has_mask_N[subject.test.target_N == k].mean() for k in np.unique(subject.test.target_N)]
    return all(share in (0.0, 1.0) for share in share_K) and any(share == 1.0 for share in share_K)


def _seen(
    subject: Subject, regions: Sequence[Region], recipients: Sequence[dict[str, str]]
) -> tuple[list[Region], list[str]]:
    """The regions that a recipient has, and the picture of the first of them, the region marked."""
    subject.run.explanations.mkdir(exist_ok=True)
    for former in subject.run.explanations.glob("shortcut-*.png"):
        former.unlink()
    found, pictures = [], []
    for region in regions:
        for row in recipients:
            image_CHW = subject.data.image_and_mask(index_of(row))[0].numpy()
            mask_HW = region.masks(image_CHW[None])[0]
            if mask_HW.any():
                found.append(region)
                pictures.append(f"shortcut-{len(found):02d}.png")
                marked_png(image_CHW, mask_HW, subject.run.explanations / pictures[-1])
                break
    return found, pictures
