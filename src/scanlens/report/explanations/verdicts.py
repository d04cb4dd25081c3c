"""The section of the page on verdicts: how often each was given, by chance too, and what a verdict says of an answer."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scanlens.report.folder import RunFolder, finite, mapping, method_title, sequence
from scanlens.report.html import part
from scanlens.report.stamps import LEVELS
from scanlens.report.tables import Cell, cell
from scanlens.report.words import counted, number, percent

TITLE = "Verdicts on maps"


def section(run: RunFolder, content: dict[str, Any]) -> Markup:
    """The body of the section.

    Args:
        run: for the names of methods.
        content: of explanations/verdicts.json.
    """
    methods = [mapping(one) for one in sequence(content.get("methods"))]
    return part(
        "explanations_verdicts.html.j2",
        levels=LEVELS,
        rows=[_row(run, one) for one in methods],
        sentences=[sentence for one in methods if not one.get("is_control") for sentence in _sentences(run, one)],
        note=_note(content),
    )


def _row(run: RunFolder, method: dict[str, Any]) -> dict[str, Any]:
    shares = mapping(method.get("shares"))
    return {
        "name": method_title(run, str(method.get("name")))
        if not method.get("is_control")
        else str(method.get("title")),
        "hint": "control: knows nothing of the network" if method.get("is_control") else "",
        "shares": [_share(mapping(shares.get(level))) for level in LEVELS],
        "correctness": cell(method.get("correctness"), 2),
        "lesion": cell(method.get("lesion"), 2),
    }


def _share(one: dict[str, Any]) -> Cell:
    return cell(one, 2) | {"value": f"{percent(one.get('value'))} ({number(one.get('num'), 0)})"}


def _sentences(run: RunFolder, method: dict[str, Any]) -> list[str]:
    name = method_title(run, str(method.get("name")))
    return [f"{name}: {mapping(method.get(key)).get('says')}" for key in ("correctness", "lesion")]


def _note(content: dict[str, Any]) -> str:
    patients = f" of {counted(content['num_patients'], 'patient')}" if content.get("num_patients") else ""
    sanity, num_regions = mapping(content.get("sanity")), finite(content.get("num_regions")) or 0
    return (
        f"{counted(content.get('num_images'), 'test image')}{patients}, drawn at random; the predicted class is explained. Shares "
        f"with the number of images and the interval of {content.get('resampled')}. AUROC: of the verdict, from WITHHELD to "
        "SUPPORTED, for a right answer, and for a peak inside the marked lesion where one is marked; 0.5 says nothing. The random "
        f"map shows how often luck alone is called SUPPORTED: about 1 in {number(num_regions + 1, 0)}, up to twice as "
        "often where the answer rests on a single spot. What is known of the network as a whole is left out here: maps against "
        f"those of random weights: {sanity.get('status')}."
    )
