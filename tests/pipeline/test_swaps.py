"""Networks written by hand, whose answer to every exchange is known: one that reads a corner, one that does not, one that reads brightness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scanlens.evaluation.explanations.counterfactual import Candidate, candidate, corrected
from scanlens.evaluation.explanations.pairing import Pairing, paired
from scanlens.explain.cam import GradCam, HiResCam
from scanlens.explain.interventions import LOOKS
from scanlens.explain.measure import pointing_hit
from scanlens.explain.regions import Region, places
from scanlens.pipeline.explanations.swaps import LookTransfer, RegionSwap, answers_to

SIZE, PATIENTS, IMAGES = 24, 24, 2
LEAST = 0.05


class ReadsMean(nn.Module):
    """Log-odds of class 1: 8 times the mean of a part of the image, less 4."""

    def __init__(self, rows: slice, columns: slice) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        mean_B = x_BCHW[:, 0, self.rows, self.columns].mean(dim=(1, 2))
        return torch.stack([torch.zeros_like(mean_B), 8 * mean_B - 4], dim=1)


CORNER = ReadsMean(slice(0, 4), slice(0, 4))
MIDDLE = ReadsMean(slice(8, 16), slice(8, 16))


@pytest.fixture(scope="module")
def cohort() -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Images whose upper left corner is 1 in class 1 and 0 in class 0; the middle is random in both."""
    unit_N = np.repeat(np.arange(PATIENTS), IMAGES)
    target_N = unit_N % 2
    x_NCHW = torch.zeros(len(unit_N), 1, SIZE, SIZE)
    rng = np.random.default_rng(0)
    x_NCHW[:, 0, 8:16, 8:16] = torch.tensor(rng.uniform(0, 1, (len(unit_N), 1, 1)), dtype=torch.float32)
    x_NCHW[target_N == 1, :, :4, :4] = 1.0
    return x_NCHW, target_N, unit_N


def audited(
    network: nn.Module,
    cohort: tuple[Tensor, np.ndarray, np.ndarray],
    regions: Sequence[Region],
    looks: Sequence[str] = (),
    lesion_NHW: np.ndarray | None = None,
) -> dict[str, Candidate]:
    x_NCHW, target_N, unit_N = cohort
    lesion = np.zeros((len(x_NCHW), SIZE, SIZE), bool) if lesion_NHW is None else lesion_NHW

    def read(numbers: Sequence[int]) -> tuple[Tensor, np.ndarray]:
        return x_NCHW[list(numbers)], lesion[list(numbers)]

    pairing = paired(target_N, unit_N, num_classes=2, most=40, seed=1)
    changes = [*(RegionSwap(one) for one in regions), *(LookTransfer(LOOKS[name], 7) for name in looks)]
    plain_PK, answers = answers_to(network, read, pairing, changes)
    names = [*(one.name for one in regions), *looks]
    found = [
        candidate(name, one, plain_PK, pairing, unit_N, classes=[1]) for name, one in zip(names, answers, strict=True)
    ]
    return {one.name: one for one in corrected(found, least=LEAST)}


def test_a_network_that_reads_the_corner_alone_is_convicted_of_it_with_the_exact_effect(cohort):
    found = audited(CORNER, cohort, places(SIZE, SIZE))
    corner = found["upper left corner"]
    whole = 1 / (1 + np.exp(-4)) - 1 / (1 + np.exp(4))
    for effect in corner.effects:
        assert effect.change.value == pytest.approx(whole, abs=1e-6)
        assert effect.log_odds.value == pytest.approx(8.0, abs=1e-5)
    assert corner.verdict(LEAST) == "convicted"
    assert corner.disturbance == pytest.approx(0.0, abs=1e-6)
    assert found["all borders"].verdict(LEAST) == "convicted"
    guilty = {name for name, one in found.items() if one.verdict(LEAST) == "convicted"}
    assert guilty == {"upper left corner", "upper border", "left border", "all borders"}
    assert {one.verdict(LEAST) for name, one in found.items() if name not in guilty} == {"acquitted"}


def test_the_border_convicts_by_half_where_it_holds_half_of_the_tag(cohort):
    half = audited(CORNER, cohort, places(SIZE, SIZE))["upper border"].effects[0]
    assert half.change.value == pytest.approx(0.5 - 1 / (1 + np.exp(4)), abs=1e-6), "2 of 4 rows: log-odds 0"


def test_a_network_that_does_not_look_at_the_corner_is_acquitted_though_the_tag_is_there(cohort):
    found = audited(MIDDLE, cohort, places(SIZE, SIZE))
    assert {one.verdict(LEAST) for one in found.values()} == {"acquitted"}
    assert all(effect.change.value == 0.0 for one in found.values() for effect in one.effects)


def test_pasting_that_disturbs_without_telling_the_class_convicts_nobody(cohort):
    middle = Region("middle", "box", lambda image: np.ones((SIZE, SIZE), bool), np.zeros((SIZE, SIZE), bool))
    middle.fixed_HW[8:16, 8:16] = True
    found = audited(MIDDLE, cohort, [middle])["middle"]
    assert found.disturbance > 0.1
    assert found.verdict(LEAST) != "convicted"


def test_pairs_with_a_lesion_in_what_is_swapped_are_left_out(cohort):
    lesion = np.zeros((PATIENTS * IMAGES, SIZE, SIZE), bool)
    lesion[:4, 2, 2] = True
    free = audited(CORNER, cohort, places(SIZE, SIZE))["upper left corner"]
    found = audited(CORNER, cohort, places(SIZE, SIZE), lesion_NHW=lesion)
    corner = found["upper left corner"]
    assert corner.num_left_out > 0
    pairs_each = [one.change.num_pairs for one in corner.effects]
    assert sum(pairs_each) == sum(one.change.num_pairs for one in free.effects) - corner.num_left_out
    assert corner.verdict(LEAST) == "convicted"
    assert found["lower right corner"].num_left_out == 0


def test_a_shortcut_without_a_place_is_found_by_exchanging_looks(cohort):
    _, target_N, unit_N = cohort
    rng = np.random.default_rng(3)
    brightness_N = 0.35 + 0.3 * target_N + rng.normal(0, 0.02, len(target_N))
    x_NCHW = torch.tensor(brightness_N, dtype=torch.float32)[:, None, None, None] + 0.02 * torch.randn(
        len(target_N), 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1)
    )
    whole = ReadsMean(slice(None), slice(None))
    found = audited(whole, (x_NCHW, target_N, unit_N), places(SIZE, SIZE)[:4], looks=list(LOOKS))
    verdicts = {name: one.verdict(LEAST) for name, one in found.items()}
    assert verdicts["offset"] == verdicts["histogram"] == "convicted"
    assert verdicts["noise"] == verdicts["sharpness"] == "acquitted"
    expected = 1 / (1 + np.exp(-8 * 0.65 + 4)) - 1 / (1 + np.exp(-8 * 0.35 + 4))
    assert found["offset"].effects[0].change.value == pytest.approx(expected, abs=0.03)


def test_the_network_is_left_as_it_was(cohort):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    audited(network, cohort, places(SIZE, SIZE)[:1])
    assert network.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_absent_donors_do_not_count(cohort):
    x_NCHW, target_N, unit_N = cohort
    alone_N = np.where(target_N == 1, 99, unit_N)
    pairing: Pairing = paired(target_N, alone_N, num_classes=2, most=20, seed=1)
    nothing = np.zeros((len(x_NCHW), SIZE, SIZE), bool)
    plain_PK, (answers,) = answers_to(
        CORNER, lambda n: (x_NCHW[list(n)], nothing[list(n)]), pairing, [RegionSwap(places(SIZE, SIZE)[0])]
    )
    found = candidate("corner", answers, plain_PK, pairing, alone_N, classes=[1])
    given, taken = found.effects
    assert given.change.num_pairs == (pairing.own_P == 0).sum()
    assert given.change.num_patients == 1, "all donors are one patient"
    assert taken.change.num_pairs == 0, "no reference of another patient"


class LooksAt(nn.Module):
    """One map that is the image itself, and a head whose evidence for class 1 is the map inside of a part of it."""

    head_kind = "flatten"

    def __init__(self, rows: slice, columns: slice) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU())
        self.head = nn.Linear(SIZE * SIZE, 2)
        weight_2HW = torch.zeros(2, SIZE, SIZE)
        weight_2HW[1, rows, columns] = 1.0
        with torch.no_grad():
            self.features[0].weight.fill_(1.0)
            self.head.weight.copy_(weight_2HW.flatten(1))
            self.head.bias.copy_(torch.tensor([0.0, -8.0]))

    @property
    def feature_layer(self) -> nn.Module:
        return self.features[1]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.features(x_BCHW).flatten(1))


@pytest.mark.parametrize(
    "looks_at, tag, verdict, grad_cam",
    [
        ((slice(8, 16), slice(8, 16)), 1.0, "acquitted", 1.0),  # brighter than what the network looks at
        ((slice(0, 4), slice(0, 4)), 0.9, "convicted", 0.0),  # darker than a lesion that the network does not look at
    ],
)
def test_the_exchange_is_right_where_plain_grad_cam_is_wrong_in_both_directions(looks_at, tag, verdict, grad_cam):
    unit_N = np.repeat(np.arange(PATIENTS), IMAGES)
    target_N = unit_N % 2
    x_NCHW = torch.full((len(unit_N), 1, SIZE, SIZE), 0.1)
    lesion = 0.95 if verdict == "convicted" else 0.3
    x_NCHW[target_N == 1, :, 8:16, 8:16] = lesion
    x_NCHW[target_N == 1, :, :4, :4] = tag
    network = LooksAt(*looks_at)
    corner = places(SIZE, SIZE)[0]
    found = audited(network, (x_NCHW, target_N, unit_N), [corner])
    assert found["upper left corner"].verdict(LEAST) == verdict
    ill_BCHW = x_NCHW[target_N == 1][:4]
    for explainer, expected in ((GradCam(), grad_cam), (HiResCam(), float(verdict == "convicted"))):
        map_HW = explainer.explain(network, ill_BCHW, [1] * 4).map_BHW[0].numpy()
        assert pointing_hit(map_HW, corner.fixed_HW) == expected, explainer.name
