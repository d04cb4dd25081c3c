"""Whether something that is not the disease predicts the label: the size of a file, the site, the border of a picture.

A small classifier sees that one thing alone. Its scores are cross-fitted: groups (patients, or near-duplicates where
patients are unknown) are dealt into five folds, stratified by class, and a fold is scored by a classifier fitted on the
other four. The area under the ROC curve compares pairs of the same fold only. Pooled pairs would lie below 0.5 where
there is nothing to find, since a fold with more of a class leaves less of it for fitting; within a fold the scores
know nothing of its labels, and 0.5 is what chance gives.

The interval resamples groups, with their out-of-fold scores as they are: classifiers are not fitted anew, so it holds
what the choice of test images does, not what the choice of training images does. With labels that say nothing it is
therefore about a fifth too narrow: of 16 x 16 pictures of 2,400 cells of 125 patients, it lay above 0.5 in 14 of 300
shufflings of labels among images and in 19 of 300 among patients, where 2.5 % were to be expected. A verdict asks for more.

Legend of axes: N images, D columns, K classes, F folds, R resamples.

References:
    Airola et al., A comparison of AUC estimators in small-sample studies, 2009 (negative bias of pooling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.naive_bayes import CategoricalNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scanlens.evaluation.checks import Floats, Ints, check_length, checked_target
from scanlens.evaluation.intervals import percentile_interval
from scanlens.evaluation.ranking import Ranking, divided
from scanlens.evaluation.resampling import PatientGroups, bootstrap, group_patients

CHANCE = 0.5
MIN_GROUPS = 5  # of a class, one for each fold
MOST_IMAGES = 5000
NUM_RESAMPLES = 400
_NUM_FOLDS = 5
_NUM_TREES = 40
_DEPTH = 5
_IN_A_LEAF = 5
_INVERSE_L2 = 0.01  # 188 to 256 pixels that are alike, from some hundred images

Kind = Literal["numbers", "category", "pixels"]
Origin = Literal["file", "person", "picture"]
Level = Literal["warning", "notice"]


class Feature(Protocol):
    """What may give the label away.

    `values_ND` holds one row an image. Numbers: NaN for unknown, which may itself be telling. Category: one column of
    whole numbers from 0, -1 or NaN for unknown. Pixels: finite.
    `origin`: "file" for what cannot be the disease, "person" and "picture" for what may go with it.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def origin(self) -> Origin: ...

    @property
    def values_ND(self) -> NDArray[Any]: ...


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well one thing alone predicts the label.

    Args:
        name, origin: of the feature.
        auroc: one class against the rest, mean over classes; 0.5 is chance. None if not measurable.
        low, high: 95 % interval over groups; None with the reason.
        num_images, num_groups: that were measured (at most `MOST_IMAGES`, in whole groups).
        left_out: numbers of the classes with too few groups.
        reason: why a number is missing.
    """

    name: str
    origin: Origin
    auroc: float | None
    low: float | None
    high: float | None
    num_images: int
    num_groups: int
    left_out: list[int]
    reason: str | None = None


def measure_shortcuts(
    features: Sequence[Feature],
    target_N: Ints,
    group_N: Ints,
    *,
    seed: int,
    most_images: int = MOST_IMAGES,
    num_resamples: int = NUM_RESAMPLES,
) -> list[Shortcut]:
    """One answer a feature, in their order; the same images, folds and resamples for all.

    Args:
        features: with a row for each image.
        target_N: class numbers, 0 or more.
        group_N: equal numbers for images that belong together.
        seed: of the draw of images, the folds, the trees and the resamples.
        most_images: of more, whole groups are drawn, as many of each class as its share says.
        num_resamples: of groups.

    Raises:
        ValueError: if lengths do not fit.
    """
    target_N = checked_target(target_N, num_images=len(target_N), num_classes=int(target_N.max(initial=0)) + 1)
    check_length(group_N, name="group_N", num_images=len(target_N))
    for feature in features:
        check_length(feature.values_ND, name=feature.name, num_images=len(target_N))
    bench = _Bench(target_N, group_N, seed=seed, most_images=most_images, num_resamples=num_resamples)
    return [bench.measured(feature) for feature in features]


def verdict(shortcut: Shortcut, *, file_margin: float, picture_margin: float) -> Level | None:
    """How loudly to tell of it; None for nothing to tell.

    Args:
        shortcut: as measured.
        file_margin: a thing of the file is a warning if the lower end of its interval lies further above 0.5.
        picture_margin: the same for what a disease may change, or go with; then it is a notice.
    """
    surely = shortcut.auroc if shortcut.low is None else shortcut.low  # a perfect one is so in all resamples
    if surely is None:
        return None
    is_of_file = shortcut.origin == "file"
    if surely <= CHANCE + (file_margin if is_of_file else picture_margin):
        return None
    return "warning" if is_of_file else "notice"


class _Bench:
    """Images, folds and groups that all features are measured on."""

    def __init__(self, target_N: Ints, group_N: Ints, *, seed: int, most_images: int, num_resamples: int) -> None:
        num_groups_K = [len(np.unique(group_N[target_N == k])) for k in range(int(target_N.max(initial=0)) + 1)]
        present = [k for k, num in enumerate(num_groups_K) if num]
        classes = [k for k in present if num_groups_K[k] >= MIN_GROUPS]
        self.left_out = [k for k in present if k not in classes]
        self.seed, self.num_resamples = seed, num_resamples
        chosen = np.flatnonzero(np.isin(target_N, classes))
        self.chosen = chosen[_sample(target_N[chosen], group_N[chosen], most=most_images, seed=seed)]
        self.target_N = np.searchsorted(classes, target_N[self.chosen])
        self.num_classes = len(classes)
        self.groups = _grouped(self.target_N, group_N[self.chosen])
        self.rarest = min((num_groups_K[k] for k in classes), default=0)
        self.reason = self._why_not(len(present))
        self.folds = [] if self.reason else self._folds()

    def measured(self, feature: Feature) -> Shortcut:
        values_ND = np.asarray(feature.values_ND[self.chosen], dtype=np.float64)
        values_ND = values_ND.reshape(len(values_ND), int(np.prod(values_ND.shape[1:])))
        reason = self.reason or _why_nothing_to_see(values_ND)
        sizes = len(self.chosen), self.groups.num_patients, self.left_out
        if reason:
            return Shortcut(feature.name, feature.origin, None, None, None, *sizes, reason)
        area = _AreaWithinFolds(self._scores(values_ND, feature.kind), self.target_N, self.folds)
        value = float(area(np.ones((len(values_ND), 1)))["auroc"][0])
        samples = bootstrap(area, self.groups, num_resamples=self.num_resamples, seed=self.seed)
        found = percentile_interval(samples.get("auroc"), num_patients=self.rarest)
        return Shortcut(feature.name, feature.origin, value, found.low, found.high, *sizes, found.reason)

    def _why_not(self, num_present: int) -> str | None:
        if num_present < 2:
            return "all images are of one class"
        if self.num_classes < 2:
            return f"fewer than two classes are carried by {MIN_GROUPS} patients or groups"
        return None

    def _folds(self) -> list[tuple[Ints, Ints]]:
        splitter = StratifiedGroupKFold(_NUM_FOLDS, shuffle=True, random_state=self.seed % 2**32)
        blank_N1 = np.zeros((len(self.target_N), 1))
        return list(splitter.split(blank_N1, self.target_N, self.groups.patient_N))

    def _scores(self, values_ND: Floats, kind: Kind) -> Floats:
        """Probabilities (N, K) of each image by a classifier that has seen none of its fold."""
        scores_NK = np.zeros((len(values_ND), self.num_classes))
        if kind == "category":
            values_ND = np.nan_to_num(values_ND, nan=-1) + 1
        for fitted, judged in self.folds:
            classifier = _classifier(kind, values_ND, seed=self.seed)
            classifier.fit(values_ND[fitted], self.target_N[fitted])
            scores_NK[np.ix_(judged, classifier.classes_)] = classifier.predict_proba(values_ND[judged])
        return scores_NK


class _AreaWithinFolds:
    """Macro AUROC over pairs of images of one fold, for many weightings at once."""

    def __init__(self, scores_NK: Floats, target_N: Ints, folds: Sequence[tuple[Ints, Ints]]) -> None:
        self.judged_F = [judged for _, judged in folds]
        self.is_class_NK = target_N[:, None] == np.arange(scores_NK.shape[1])
        self.rankings_FK = [
            [Ranking(scores_NK[judged, k], self.is_class_NK[judged, k]) for k in range(scores_NK.shape[1])]
            for judged in self.judged_F
        ]

    def __call__(self, weights_NR: Floats) -> dict[str, Floats]:
        """{"auroc": (R,)}; NaN where a class has no weight."""
        per_class = [self._of_class(k, weights_NR) for k in range(self.is_class_NK.shape[1])]
        return {"auroc": np.mean(per_class, axis=0)}

    def _of_class(self, k: int, weights_NR: Floats) -> Floats:
        right_R, pairs_R = np.zeros(weights_NR.shape[1]), np.zeros(weights_NR.shape[1])
        for judged, rankings_K in zip(self.judged_F, self.rankings_FK, strict=True):
            fold_NR, is_positive_N = weights_NR[judged], self.is_class_NK[judged, k]
            positive_R = fold_NR[is_positive_N].sum(axis=0)
            in_fold_R = positive_R * (fold_NR.sum(axis=0) - positive_R)
            area_R, _ = rankings_K[k].areas(fold_NR)
            right_R += np.where(in_fold_R > 0, area_R * in_fold_R, 0)
            pairs_R += in_fold_R
        return divided(right_R, pairs_R)


def _classifier(kind: Kind, values_ND: Floats, *, seed: int) -> Any:
    if kind == "category":
        return CategoricalNB(min_categories=int(values_ND.max()) + 1)
    if kind == "pixels":
        return make_pipeline(StandardScaler(), LogisticRegression(C=_INVERSE_L2, max_iter=1000, tol=1e-3))
    return RandomForestClassifier(
        _NUM_TREES, max_depth=_DEPTH, min_samples_leaf=_IN_A_LEAF, random_state=seed % 2**32, class_weight="balanced"
    )


def _why_nothing_to_see(values_ND: Floats) -> str | None:
    is_known_ND = ~np.isnan(values_ND)
    if not is_known_ND.any():
        return "known of no image"
    is_same_D = np.all((values_ND == values_ND[:1]) | ~(is_known_ND | is_known_ND[:1]), axis=0)
    return "the same for every image" if is_same_D.all() else None


def _grouped(target_N: Ints, group_N: Ints) -> PatientGroups:
    return group_patients([None] * len(target_N), target_N, groups=[f"g{group}" for group in group_N.tolist()])


def _sample(target_N: Ints, group_N: Ints, *, most: int, seed: int) -> Ints:
    """Places of at most `most` images: whole groups in random order, each stratum up to its share."""
    if len(target_N) <= most:
        return np.arange(len(target_N))
    groups = _grouped(target_N, group_N)
    sizes_P = np.bincount(groups.patient_N)
    generator = np.random.default_rng(seed)
    taken: list[Ints] = []
    for members in groups.strata:
        shuffled = generator.permutation(members)
        room = most * sizes_P[members].sum() / len(target_N)
        taken.append(shuffled[np.cumsum(sizes_P[shuffled]) <= room])
    return np.flatnonzero(np.isin(groups.patient_N, np.concatenate(taken)))
