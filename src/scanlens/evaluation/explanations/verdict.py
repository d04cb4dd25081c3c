"""The verdict on the heat map of one case: a rule that makes words of what was measured, and nothing else.

A map that points somewhere convinces whether or not it is true (Gaube et al. 2021, doi:10.1038/s41746-021-00385-9), so
every map is tested before anybody is shown it, and some are withheld. The rule looks at the numbers of one case and at what
is known of the network; it never sees the image, the reference standard or whether the answer is right. That the answer
depends on a region does not make the answer right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scanlens.evaluation.explanations.verdict_plan import VerdictPlan

Level = Literal["WITHHELD", "NOT SUPPORTED", "WEAK", "SUPPORTED"]
LEVELS: tuple[Level, ...] = ("WITHHELD", "NOT SUPPORTED", "WEAK", "SUPPORTED")
"""From the worst to the best."""

MEANINGS: dict[Level, str] = {
    "SUPPORTED": "the network's answer depends on the highlighted region more than on comparable regions elsewhere. Whether "
    "the answer is right, or the region is diseased, this does not say.",
    "WEAK": "the answer may depend on the highlighted region, but this may be chance, or there is a reason not to rely on it; do not "
    "take the map for the reason of the answer.",
    "NOT SUPPORTED": "no sign was found that the answer depends on the highlighted region more than on comparable regions "
    "elsewhere. The map must not be taken for the reason of the answer.",
    "WITHHELD": "the map is not shown, because it could mislead.",
}
"""What each verdict means, for a legend."""

PASS, FAIL = "PASS", "FAIL"
_OTHER_GROUND = 0.2  # difference of the shares on the body from which regions are not comparable


@dataclass(frozen=True, slots=True)
class Sanity:
    """Whether maps of this network depend on what it has learned (Adebayo et al. 2018, arXiv:1810.03292).

    Args:
        status: PASS, FAIL, or anything else for not assessed.
        reason: in a sentence; "" for none.
    """

    status: str = "not assessed"
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"status": self.status, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reader is told of a map.

    Args:
        level: see `MEANINGS`.
        reasons: what decided, in sentences.
        against: what keeps a map whose region matters from being SUPPORTED.
        also: what else was asked, and what came of it.
    """

    level: Level
    reasons: tuple[str, ...]
    against: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        words = {name: list(getattr(self, name)) for name in ("reasons", "against", "also")}
        return {"level": self.level, **words}


def verdict_of(measured: Mapping[str, Any], plan: VerdictPlan, sanity: Sanity | None = None) -> Verdict:
    """The verdict on one map.

    Args:
        measured: `quality` {status, faults}, `blank` (why nothing is highlighted, or None), and `region`, `agreement` and
            `stability`, each None where it could not be asked; as `Measured.as_dict` of `explain.verdict` writes them.
        plan: thresholds.
        sanity: of the network; None for not assessed.
    """
    sanity = sanity or Sanity()
    if withheld := tuple(_withheld(measured, sanity)):
        return Verdict("WITHHELD", withheld)
    region = measured["region"]
    decided = _region_in_words(region)
    also = tuple(_also(measured, plan, sanity))
    if region["p_value"] > plan.weak_alpha or region["drop"] <= 0:
        return Verdict("NOT SUPPORTED", (decided,), also=also)
    by_chance = (_chance_in_words(region["p_value"]),) if region["p_value"] > plan.alpha else ()
    against = (*by_chance, *_against(measured, plan, sanity))
    is_supported = not against
    rest = tuple(one for one in also if one not in against)
    return Verdict("SUPPORTED" if is_supported else "WEAK", (decided,), against, rest)


def _withheld(measured: Mapping[str, Any], sanity: Sanity) -> Iterator[str]:
    """Why nobody should see the map."""
    quality = measured["quality"]
    if quality["status"] == "bad":
        yield f"The image {_joined(quality['faults'])}."
    elif measured["blank"]:
        yield f"Nothing is highlighted: {measured['blank']}."
    elif measured["region"] is None:
        yield "What happens without the highlighted region was not tried."
    elif measured["region"]["drop"] is None or measured["region"]["margin"] is None:
        yield "The network's answer is no finite number, with or without the highlighted region."
    elif measured["region"]["p_value"] is None:
        yield "The highlighted region cannot be compared: there is no room for it elsewhere, or an answer is no finite number."
    stability = measured["stability"]
    if stability and (flipped := [one["name"] for one in stability["changes"] if not one["is_same_answer"]]):
        yield (
            f"The network names another class when the image is hardly changed ({_joined(flipped)}), so there is no firm answer "
            "to explain."
        )
    if sanity.status == FAIL:
        yield f"Maps of this network do not depend on what it has learned. {sanity.reason}".strip()


def _region_in_words(region: Mapping[str, Any]) -> str:
    drop, num, as_large = region["drop"], region["num_regions"], region["num_as_large"]
    if drop <= 0:
        moves = "do not fall" if drop == 0 else f"rise by {-drop:.2f}"
        return (
            f"Without the highlighted region the log-odds of the explained class {moves} (from {region['margin']:.2f}): no sign "
            "that the answer rests on it."
        )
    others = f"{num} regions of the same shape elsewhere"
    if as_large == 0:
        compared = f"more than without any of {others}"
    else:
        compared = f"and at least as much without {as_large} of {others}"
    margin = region["margin"]
    part = f", {round(100 * drop / margin)} % of it" if drop <= margin else ""
    return (
        f"Without the highlighted region the log-odds of the explained class fall by {drop:.2f} (from {margin:.2f}{part}), "
        f"{compared} (p = {_p(region['p_value'])})."
    )


def _chance_in_words(p_value: float) -> str:
    """Said where the highlighted region matters no more than one at random often does."""
    return f"This may be chance: where an answer rests on no region, about {round(100 * p_value)} of 100 maps would come out like this one or better."


def _against(measured: Mapping[str, Any], plan: VerdictPlan, sanity: Sanity) -> Iterator[str]:
    """Reasons not to rely on a map whose region matters."""
    agreement, stability = measured["agreement"], measured["stability"]
    if (gap := _ground_in_words(measured["region"])) is not None:
        yield gap
    if agreement is not None and not _agrees(agreement, plan):
        yield _agreement_in_words(agreement, plan)
    if stability is not None and _kept(stability) < plan.least_kept:
        yield _stability_in_words(stability)
    if measured["quality"]["status"] == "odd":
        yield _oddity_in_words(measured["quality"])
    if plan.needs_sanity and sanity.status != PASS:
        yield _sanity_in_words(sanity)


def _also(measured: Mapping[str, Any], plan: VerdictPlan, sanity: Sanity) -> Iterator[str]:
    """Everything else that was asked, whatever came of it."""
    agreement, stability = measured["agreement"], measured["stability"]
    yield _agreement_in_words(agreement, plan)
    if stability is not None:
        yield _stability_in_words(stability)
    if measured["quality"]["status"] == "odd":
        yield _oddity_in_words(measured["quality"])
    yield _sanity_in_words(sanity)


def _ground_in_words(region: Mapping[str, Any]) -> str | None:
    """Said where the regions elsewhere show less of the body, or more, than the highlighted one."""
    own, others = region["body_share"], region["body_share_elsewhere"]
    if others is None or abs(own - others) <= _OTHER_GROUND:
        return None
    return (
        f"There was too little room on the same kind of ground: {round(100 * own)} % of the highlighted region shows something, "
        f"of the regions elsewhere {round(100 * others)} %, so the comparison is not fair."
    )


def _agrees(agreement: Mapping[str, Any], plan: VerdictPlan) -> bool:
    """Whether the second method points there more than some of its own copies moved elsewhere do."""
    p_values = [agreement["overlap_p"], agreement["rank_correlation_p"]]
    return any(one is not None and one <= plan.agreement_alpha for one in p_values)


def _kept(stability: Mapping[str, Any]) -> float:
    kept = [one["kept"] for one in stability["changes"]]
    return sum(kept) / len(kept)


def _agreement_in_words(agreement: Mapping[str, Any] | None, plan: VerdictPlan) -> str:
    if agreement is None:
        return "Agreement with a second method: not assessed."
    share, chance = round(100 * agreement["overlap"]), round(100 * agreement["overlap_by_chance"])
    correlation = agreement["rank_correlation"]
    also = "" if correlation is None else f"; rank correlation of the two maps {correlation:.2f}"
    says = "" if _agrees(agreement, plan) else ", hardly more than by chance or less"
    return (
        f"{agreement['other']} highlights {share} % of the same region too{says} (moved elsewhere, {chance} %; "
        f"p = {_p(agreement['overlap_p'])}{also})."
    )


def _stability_in_words(stability: Mapping[str, Any]) -> str:
    changes = stability["changes"]
    worst = min(changes, key=lambda one: one["kept"])
    apart = max(abs(one["probability"] - stability["probability"]) for one in changes)
    return (
        f"Under {len(changes)} small changes of the image {round(100 * _kept(stability))} % of the region stays highlighted on "
        f"average (at worst {round(100 * worst['kept'])} %: {worst['name']}), while the probability of the class moves by at most "
        f"{apart:.2f}."
    )


def _oddity_in_words(quality: Mapping[str, Any]) -> str:
    return f"The image {_joined(quality['faults'])}."


def _sanity_in_words(sanity: Sanity) -> str:
    if sanity.status == PASS:
        return f"Maps of this network depend on what it has learned. {sanity.reason}".strip()
    about = sanity.reason or "scanlens explain parts=score_card compares them with maps of random weights."
    return f"Whether maps of this network depend on what it has learned: not assessed. {about}"


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.3f}"


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
