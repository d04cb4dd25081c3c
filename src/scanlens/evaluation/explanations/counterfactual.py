"""Whether a change of images sways a network towards the class that the change was taken from, and whether that convicts it.

Two questions of each class. Swap-in: images of other classes are given something (a region, a look) of images of the class;
how much does the probability of the class rise above what the same gift of an image of their own class does? Swap-out:
images of the class are given the thing by others; how much does it fall? A network that does not look gives 0 to both, and
so does one that is merely disturbed by pasting, whoever gives.

Recipients, donors and reference donors are patients that come several times. The variance of a mean effect adds what each of
the three brings (by leaving out a patient at a time) and takes off, twice, what they share; the degrees of freedom are
those of the fewest. Where all pairs agree to the last digit there is no variance; then as many patients have to agree as
make a sign test sure.

The verdict: CONVICTED if an effect lies above the least one worth it, by one-sided p values of 2.5 % after Holm's correction
for all effects that are looked at together, and above that of regions elsewhere. ACQUITTED if all effects lie below it and
above its negative, at 2.5 % each: an innocent verdict needs no correction, since it has to hold for each thing by itself.
NOT DECIDED otherwise.

Legend of axes: P recipients, J other classes, K classes, R pairs that count, M places elsewhere.

References:
    Cameron, Gelbach & Miller 2011, doi:10.1198/jbes.2010.07136 (several ways of clustering);
    Holm 1979; Schuirmann 1987, doi:10.1007/BF01068419 (two one-sided tests, for acquittals).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.explanations.pairing import ABSENT, Pairing
from scanlens.evaluation.intervals import LEVEL, Interval, clustered_error, entry
from scanlens.evaluation.paired_tests import holm

ONE_SIDED = (1 - LEVEL) / 2
MIN_PATIENTS = 5
_NOTHING = 1e-12
_SMALLEST = 1e-300
Verdict = Literal["convicted", "acquitted", "not decided"]
_RANK = {"acquitted": 0, "not decided": 1, "convicted": 2}
Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network says after one kind of change.

    Args:
        reference_PK: probabilities after a gift of the own class.
        donor_PJK: after a gift of each other class.
        counts_PJ: pairs that count; not those where a lesion is in what was swapped.
    """

    reference_PK: Floats
    donor_PJK: Floats
    counts_PJ: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over pairs and how sure it is.

    Args:
        value: None without pairs.
        error: its standard error.
        degrees: of freedom.
        num_pairs: R.
        num_patients: the fewest among recipients and donors.
    """

    value: float | None
    error: float
    degrees: float
    num_pairs: int
    num_patients: int

    @property
    def half(self) -> float:
        """Half of the width of its interval."""
        return float(t.ppf((1 + LEVEL) / 2, self.degrees)) * self.error

    @property
    def highest(self) -> float:
        """The upper end of its interval; minus infinity without pairs."""
        return -math.inf if self.value is None else self.value + self.half

    def p_above(self, bound: float) -> float:
        """Probability of a mean at least as high if the truth were `bound` at most."""
        return self._p(bound, sign=1)

    def p_below(self, bound: float) -> float:
        """Probability of a mean at least as low if the truth were `bound` at least."""
        return self._p(bound, sign=-1)

    def as_entry(self, *, most: float = math.inf) -> dict[str, Any]:
        """{value, low, high, reason}, bounds within -most and most."""
        if self.value is None:
            return entry(None, Interval(None, None), remark="no pair of images to compare")
        if self.num_patients < 2:
            return entry(self.value, Interval(None, None, "no interval: needs at least two patients on either side"))
        if self.error <= _NOTHING:
            return entry(
                self.value, Interval(None, None, f"no interval: all {self.num_pairs} pairs give the same value")
            )
        return entry(self.value, Interval(max(-most, self.value - self.half), min(most, self.value + self.half)))

    def _p(self, bound: float, *, sign: int) -> float:
        if self.value is None or self.num_patients < MIN_PATIENTS:
            return 1.0
        beyond = sign * (self.value - bound)
        if self.error > _NOTHING:
            return float(t.sf(beyond / self.error, self.degrees))
        return 0.5**self.num_patients if beyond > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Effect:
    """What one change does to one class.

    Args:
        class_number: whose probability is looked at.
        direction: "in": others are given something of this class; "out": this class is given something of others.
        change: of the probability, towards the class for "in", away from it for "out"; above 0 if the network goes by it.
        log_odds: the same in log-odds.
        elsewhere: the median over regions elsewhere; None if not asked.
        beyond: the change less that; None if not asked.
        p_adjusted: that the change is at most the least effect, after Holm's correction.
    """

    class_number: int
    direction: Direction
    change: Mean
    log_odds: Mean
    elsewhere: Mean | None = None
    beyond: Mean | None = None
    p_adjusted: float = 1.0

    def verdict(self, least: float) -> Verdict:
        """See the head of this module."""
        if self.p_adjusted <= ONE_SIDED:
            return "convicted" if self.is_beyond else "not decided"
        is_small = max(self.change.p_below(least), self.change.p_above(-least)) <= ONE_SIDED
        return "acquitted" if is_small else "not decided"

    @property
    def is_beyond(self) -> bool:
        """Whether it is more than what regions elsewhere do, where that was asked."""
        return self.beyond is None or self.beyond.p_above(0.0) <= ONE_SIDED


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may sway the network.

    Args:
        name: of the region or look.
        effects: on each class, in both directions.
        disturbance: mean absolute change of probability by a gift of the own class: what pasting alone does.
        num_left_out: pairs that do not count.
        doubt: why an effect would not convict; None if it would.
    """

    name: str
    effects: list[Effect]
    disturbance: float | None
    num_left_out: int
    doubt: str | None = None

    def verdict(self, least: float) -> Verdict:
        """Convicted by any effect unless there is a doubt, acquitted by all."""
        found = [one.verdict(least) for one in self.effects]
        if "convicted" in found:
            return "not decided" if self.doubt else "convicted"
        return "acquitted" if found and all(one == "acquitted" for one in found) else "not decided"

    def worst(self, least: float) -> Effect | None:
        """The largest that convicts, else that which may reach highest and is not decided, else the largest; None if there is none."""
        known = [one for one in self.effects if one.change.value is not None]
        return max(known, key=lambda one: (_RANK[one.verdict(least)], one.change.highest), default=None)


def candidate(
    name: str,
    answers: Answers,
    plain_PK: Floats,
    pairing: Pairing,
    unit_N: Ints,
    *,
    classes: Sequence[int],
) -> Candidate:
    """The effects of one change on these classes, not yet corrected for others.

    Args:
        name: of the change.
        answers: of the network after it.
        plain_PK: of the network to the recipients as they are.
        pairing: who gave to whom.
        unit_N: patient of each image.
        classes: whose probabilities are looked at; of two classes one is enough, since the other is its mirror.
    """
    effects = [
        Effect(k, direction, *_means(answers, pairing, unit_N, k, direction))
        for k in classes
        for direction in ("in", "out")
    ]
    moved_P = np.abs(answers.reference_PK - plain_PK)[:, list(classes)].max(axis=1)
    has_reference_P = pairing.reference_P != ABSENT
    disturbance = float(moved_P[has_reference_P].mean()) if has_reference_P.any() else None
    num_left_out = int((_exists(pairing) & ~answers.counts_PJ).sum())
    return Candidate(name, effects, disturbance, num_left_out)


def with_elsewhere(
    found: Candidate, answers: Answers, elsewhere: Sequence[Answers], pairing: Pairing, unit_N: Ints
) -> Candidate:
    """The same with what the same swap does at other places, pair by pair the median of them."""
    if not elsewhere:
        return found
    return replace(found, effects=[_compared(one, answers, elsewhere, pairing, unit_N) for one in found.effects])


def corrected(candidates: Sequence[Candidate], *, least: float) -> list[Candidate]:
    """All candidates with p values corrected for all of their effects together (Holm)."""
    p_values = [one.change.p_above(least) for found in candidates for one in found.effects]
    adjusted = iter(holm(p_values))
    return [
        replace(found, effects=[replace(one, p_adjusted=next(adjusted) or 0.0) for one in found.effects])
        for found in candidates
    ]


def as_dict(found: Candidate, class_names: Sequence[str], *, least: float) -> dict[str, Any]:
    """For JSON: `verdict`, `worst` (place in `effects`), `effects` and what pasting alone does."""
    worst = found.worst(least)
    return {
        "name": found.name,
        "verdict": found.verdict(least),
        "worst": None if worst is None else found.effects.index(worst),
        "effects": [_effect_dict(one, class_names, least) for one in found.effects],
        "disturbance": found.disturbance,
        "num_left_out": found.num_left_out,
        "doubt": found.doubt if found.verdict(least) == "not decided" else None,
    }


def rarest_seen(num_patients: int) -> float:
    """Share of patients who bear something, below which it may well (2.5 %) not be among those that gave."""
    return 1 - ONE_SIDED ** (1 / max(1, num_patients))


def _effect_dict(one: Effect, class_names: Sequence[str], least: float) -> Mapping[str, Any]:
    return {
        "class": class_names[one.class_number],
        "direction": one.direction,
        "verdict": one.verdict(least),
        "change": one.change.as_entry(most=1.0),
        "log_odds": one.log_odds.as_entry(),
        "elsewhere": None if one.elsewhere is None else one.elsewhere.as_entry(most=1.0),
        "is_beyond_elsewhere": one.is_beyond,
        "p_adjusted": one.p_adjusted,
        "num_pairs": one.change.num_pairs,
        "num_patients": one.change.num_patients,
    }


def _exists(pairing: Pairing) -> NDArray[np.bool_]:
    return (pairing.donor_PJ != ABSENT) & (pairing.reference_P != ABSENT)[:, None]


def _chosen(
    answers: Answers, pairing: Pairing, class_number: int, direction: Direction
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pairs of this question (P, J), and which of them count."""
    is_asked_PJ = (
        pairing.class_PJ == class_number
        if direction == "in"
        else np.broadcast_to((pairing.own_P == class_number)[:, None], pairing.class_PJ.shape)
    )
    is_asked_PJ = is_asked_PJ & _exists(pairing)
    return is_asked_PJ, is_asked_PJ & answers.counts_PJ


def _gains(answers: Answers, k: int, direction: Direction) -> tuple[Floats, Floats]:
    """Change of probability and of log-odds of each pair, (P, J)."""
    sign = 1 if direction == "in" else -1
    probability = answers.donor_PJK[..., k] - answers.reference_PK[:, None, k]
    log_odds = _log_odds(answers.donor_PJK, k) - _log_odds(answers.reference_PK, k)[:, None]
    return sign * probability, sign * log_odds


def _log_odds(probabilities_XK: Floats, k: int) -> Floats:
    """Exact also where a probability rounds to 1, since the others are small numbers of their own."""
    others_X = np.delete(probabilities_XK, k, axis=-1).sum(axis=-1)
    return np.log(np.maximum(probabilities_XK[..., k], _SMALLEST)) - np.log(np.maximum(others_X, _SMALLEST))


def _means(answers: Answers, pairing: Pairing, unit_N: Ints, k: int, direction: Direction) -> tuple[Mean, Mean]:
    _, counts_PJ = _chosen(answers, pairing, k, direction)
    units = _units(pairing, unit_N, counts_PJ)
    probability_PJ, log_odds_PJ = _gains(answers, k, direction)
    return _mean(probability_PJ[counts_PJ], units), _mean(log_odds_PJ[counts_PJ], units)


def _compared(effect: Effect, answers: Answers, elsewhere: Sequence[Answers], pairing: Pairing, unit_N: Ints) -> Effect:
    k, direction = effect.class_number, effect.direction
    _, counts_PJ = _chosen(answers, pairing, k, direction)
    gain_MPJ = np.stack([np.where(one.counts_PJ, _gains(one, k, direction)[0], np.nan) for one in elsewhere])
    counts_PJ = counts_PJ & ~np.isnan(gain_MPJ).all(axis=0)
    units = _units(pairing, unit_N, counts_PJ)
    median_R = np.nanmedian(gain_MPJ[:, counts_PJ], axis=0) if counts_PJ.any() else np.zeros(0)
    own_R = _gains(answers, k, direction)[0][counts_PJ]
    return replace(effect, elsewhere=_mean(median_R, units), beyond=_mean(own_R - median_R, units))


def _units(pairing: Pairing, unit_N: Ints, counts_PJ: NDArray[np.bool_]) -> list[Ints]:
    """Patients of recipients, donors and reference donors of the pairs that count, (R,) each."""
    givers = (pairing.recipient_P[:, None], pairing.donor_PJ, pairing.reference_P[:, None])
    return [unit_N[np.broadcast_to(side, counts_PJ.shape)[counts_PJ]] for side in givers]


def _mean(value_R: Floats, units: Sequence[Ints]) -> Mean:
    if len(value_R) == 0:
        return Mean(None, 0.0, 1.0, 0, 0)
    num_patients = min(len(np.unique(unit_R)) for unit_R in units)
    value = float(value_R.mean())
    if num_patients < 2:
        return Mean(value, 0.0, 1.0, len(value_R), num_patients)
    of_each = [clustered_error(value_R, unit_R) ** 2 for unit_R in units]
    alone = clustered_error(value_R, np.arange(len(value_R))) ** 2
    variance = max(*of_each, sum(of_each) - (len(units) - 1) * alone)
    degrees = min(_degrees(unit_R) for unit_R in units)
    error = math.sqrt(variance)
    return Mean(value, 0.0 if np.ptp(value_R) <= _NOTHING else error, degrees, len(value_R), num_patients)


def _degrees(unit_R: Ints) -> float:
    """One less than the number of equally large patients that would be as certain (Kish)."""
    share = np.unique(unit_R, return_counts=True)[1] / len(unit_R)
    return max(1.0, 1 / float(np.square(share).sum()) - 1)
