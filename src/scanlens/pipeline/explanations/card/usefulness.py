"""The heading `usefulness` of the score card: what verdicts on cases predict, once they were measured on the same run.

Score card and verdicts may be measured in either order, or at different times; what is put together has to have been
measured on the same weights and predictions.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from scanlens.evaluation.explanations import score_card as rules
from scanlens.files import write_csv, write_json
from scanlens.pipeline.explanations.card.rows import COLUMNS, card_rows
from scanlens.pipeline.explanations.measured_on import measured_on
from scanlens.runs import Run

log = logging.getLogger(__name__)
CARD_FILE, TABLE_FILE, VERDICTS_FILE = "score_card.json", "score_card.csv", "verdicts.json"
PREDICTED = ("correctness", "lesion")
_NONE_YET = "No verdicts on cases were measured (parts=verdicts)."
Content = dict[str, Any]


def usefulness_content(verdicts: Mapping[str, Any] | None, note: str = _NONE_YET) -> Content:
    """What the card says of one method under this heading.

    Args:
        verdicts: of this method in verdicts.json; None if there are none.
        note: why there are none.

    Returns:
        `status` and `reason`; `correctness` and `lesion`, the AUROC of the verdict for a right answer and for a peak on the
        marked lesion, {value, low, high, reason, num_images, says}, both None without verdicts.

    Raises:
        ValueError: if a number makes no sense.
    """
    found = {name: None if verdicts is None else _number(verdicts.get(name)) for name in PREDICTED}
    verdict = rules.usefulness([one for one in found.values() if one is not None], note=note)
    return {**verdict.as_dict(), **found}


def add_usefulness(run: Run) -> Content | None:
    """Put what verdicts.json of the same run says into its score card, or why it is left out, and write both card files again.

    Returns:
        The card; None if there is none that was measured on this run.
    """
    here = measured_on(run)
    card, unfit = _read(run, CARD_FILE, here)
    if card is None:
        if unfit:
            log.warning("the score card is left as it is: %s", unfit)
        return None
    verdicts, unfit = _read(run, VERDICTS_FILE, here)
    if unfit:
        log.warning("the score card takes no verdicts: %s", unfit)
    try:
        new = [one | {"usefulness": _of(one["name"], verdicts, unfit or _NONE_YET)} for one in card["methods"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        unfit = f"{VERDICTS_FILE} cannot be understood; measure it again (parts=verdicts)."
        log.warning("the score card takes no verdicts: %s", unfit)
        new = [one | {"usefulness": usefulness_content(None, unfit)} for one in card["methods"]]
    if new != card["methods"]:
        card["methods"] = new
        write_json(run.explanations / CARD_FILE, card)
        if new:
            write_csv(run.explanations / TABLE_FILE, COLUMNS, card_rows(card))
    return card


def lines(card: Content) -> list[str]:
    """For the terminal, of the method to be believed first."""
    own = [one for one in card["methods"] if one["name"] == card["primary"]]
    return [f"usefulness  {one['name']}: not assessed. {one['usefulness']['reason']}" for one in own]


def _of(name: str, verdicts: Content | None, note: str) -> Content:
    """Of one method; one that verdicts were not measured of has none."""
    if verdicts is None:
        return usefulness_content(None, note)
    own = [one for one in verdicts["methods"] if one["name"] == name]
    return usefulness_content(own[0]) if own else usefulness_content(None, "Its verdicts on cases were not measured.")


def _read(run: Run, name: str, here: Mapping[str, str]) -> tuple[Content | None, str]:
    """A part that was measured on this run, or None and why; "" if it was not measured."""
    path = run.explanations / name
    if not path.is_file():
        return None, ""
    again = f"measure it again (parts={path.stem})."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("methods"), list):
        return None, f"{name} cannot be understood; {again}"
    if "measured_on" not in content:
        return None, f"{name} does not say on which weights it was measured; {again}"
    if content["measured_on"] != here:
        return None, f"{name} was measured on other weights or predictions than those of this run; {again}"
    return content, ""


def _number(found: Any) -> Content:
    """A number of verdicts.json as one of the card."""
    number = {name: found[name] for name in ("value", "low", "high", "reason", "says")}
    for name in ("value", "low", "high"):
        share = number[name]
        is_share = isinstance(share, (int, float)) and not isinstance(share, bool) and math.isfinite(share)
        if share is not None and not (is_share and 0 <= share <= 1):
            raise ValueError(f"{name}: an AUROC from 0 to 1 is expected, got {share!r}")
    if not isinstance(found["num"], int) or not isinstance(found["says"], str):
        raise ValueError(f"a number of images and a sentence are expected, got {found['num']!r} and {found['says']!r}")
    return number | {"num_images": found["num"]}
