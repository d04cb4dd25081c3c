"""What is measured on a map, with networks whose evidence is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scanlens.evaluation.explanations.verdict import PASS, Sanity, verdict_of
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.explain.base import Explainer
from scanlens.explain.cam import GradCam, HiResCam
from scanlens.explain.controls import CenterMap
from scanlens.explain.geometry import PIXELS
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.occlusion import Occlusion
from scanlens.explain.verdict.agreement import agreement, second_opinion
from scanlens.explain.verdict.input_quality import Usual, input_quality, usual_of
from scanlens.explain.verdict.measured import NOTHING_POSITIVE, Case, MadeMap, Measuring
from scanlens.explain.verdict.region_effect import region_effect
from scanlens.explain.verdict.stability import changed, stability, turned_back

SIZE = 32
FULL = np.ones((SIZE, SIZE), dtype=bool)


class Weighted(nn.Module):
    """Class 1 against class 0: a weight for every pixel, after a convolution that copies the image."""

    head_kind = "flatten"

    def __init__(self, weight_HW: Tensor, bias: float = 0.0) -> None:
        super().__init__()
        self.copy = nn.Conv2d(1, 1, 1, bias=False)
        self.relu = nn.ReLU()
        self.linear = nn.Linear(SIZE * SIZE, 2)
        with torch.no_grad():
            self.copy.weight.fill_(1.0)
            self.linear.weight.zero_()
            self.linear.weight[1] = weight_HW.flatten()
            self.linear.bias.copy_(torch.tensor([0.0, bias]))

    @property
    def feature_layer(self) -> nn.Module:
        return self.relu

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.linear(self.relu(self.copy(x_BCHW)).flatten(1))


def block(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[rows, columns] = True
    return mask


def noise(seed: int) -> Tensor:
    return 0.2 + 0.2 * torch.rand(1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def lesion_image() -> tuple[Tensor, np.ndarray]:
    """Gray noise with a bright square, and where that is."""
    x, lesion = noise(1), block(slice(8, 13), slice(18, 23))
    x[0, lesion] = 0.9
    return x, lesion


def made(explainer: Explainer, model: nn.Module, x: Tensor, target: int = 1) -> MadeMap:
    found = explainer.explain(model, x[None], [target])
    return MadeMap(
        found.map_BHW[0].numpy(), found.covered_HW.numpy(), found.geometry.jump_yx, bool(found.is_blank_B[0])
    )


def test_the_drop_is_that_of_the_log_odds_and_no_other_region_does_as_much() -> None:
    x, lesion = lesion_image()
    weight = torch.from_numpy(lesion).float()
    found = region_effect(Weighted(weight), x, 1, lesion, FULL, FULL, num=24, seed=1)
    without = float((torch.from_numpy(found.removed_CHW)[0] * weight).sum())
    assert found.margin == pytest.approx(25 * 0.9, abs=1e-4)
    assert found.drop == pytest.approx(25 * 0.9 - without, abs=1e-4)
    assert without < 25 * 0.5, "the lesion is gone"
    assert (found.num_as_large, found.p_value) == (0, 1 / 25)
    assert np.abs(found.drops_N).max() < 1e-4, "no other region matters to this network"


def test_equal_drops_count_against_a_map() -> None:
    x, lesion = lesion_image()
    dead = region_effect(Weighted(torch.zeros(SIZE, SIZE)), x, 1, lesion, FULL, FULL, num=24, seed=1)
    assert dead.drop == 0
    assert (dead.num_as_large, dead.p_value) == (24, 1.0)


def test_an_answer_that_is_no_number_has_no_p_value() -> None:
    x, lesion = lesion_image()
    found = region_effect(Weighted(torch.full((SIZE, SIZE), float("inf"))), x, 1, lesion, FULL, FULL, num=5, seed=1)
    assert found.p_value is None
    assert found.as_dict()["drop"] is None


def test_random_maps_pass_at_the_nominal_rate_and_right_maps_always() -> None:
    """24 regions elsewhere: 1 of 25 by luck, somewhat more since they may not touch the highlighted one."""
    passed, num = 0, 100
    for seed in range(num):
        rng = np.random.default_rng(seed)
        weight = torch.from_numpy(rng.normal(size=(SIZE, SIZE))).float()
        top, left = rng.integers(0, SIZE - 4, 2)
        region = block(slice(top, top + 4), slice(left, left + 4))
        found = region_effect(Weighted(weight), noise(seed), 1, region, FULL, FULL, num=24, seed=seed)
        passed += (found.p_value or 1.0) <= 0.05
    assert 0.02 <= passed / num <= 0.12
    x, lesion = lesion_image()
    network = Weighted(torch.from_numpy(lesion) + 0.02 * torch.randn(SIZE, SIZE))
    for explainer in (HiResCam(), IntegratedGradients()):
        found_p = Case(network, x, 1, Measuring(seed=3)).measured(explainer, made(explainer, network, x)).region
        assert found_p is not None
        assert found_p.p_value == 1 / 25


def test_regions_on_empty_ground_would_make_the_test_too_easy() -> None:
    """The network reads a pattern that fills the body, so no region of it is special; beside empty ground, each one seems so."""
    y, x = np.indices((SIZE, SIZE))
    body_HW, pattern_HW = np.hypot(y - 15.5, x - 15.5) <= 8, (y + x) % 2
    network, p_values = Weighted(torch.from_numpy(2.0 * pattern_HW - 1).float()), {True: [], False: []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image_HW = np.where(body_HW, 0.3 + 0.4 * pattern_HW * rng.random((SIZE, SIZE)), 0.0)
        top, left = rng.integers(12, 17, 2)
        region_HW = block(slice(top, top + 3), slice(left, left + 3))
        for same_ground, found in p_values.items():
            effect = region_effect(
                network, torch.from_numpy(image_HW).float()[None], 1, region_HW, FULL, body_HW,
                num=24, seed=seed, same_ground=same_ground,
            )  # fmt: skip
            found.append(effect.p_value)
    assert np.mean(p_values[True]) > 0.35
    assert np.mean(p_values[False]) < 0.2


def test_a_map_that_points_into_the_ignored_half_is_not_supported_and_the_exact_one_is() -> None:
    weight = torch.zeros(SIZE, SIZE)
    weight[:, : SIZE // 2] = 1.0
    network, x = Weighted(weight), noise(1)
    x[0, 10:14, 4:8], x[0, 16:22, 22:28] = 0.8, 1.0
    case = Case(network, x, 1, Measuring(share=0.02, seed=1))  # 20 pixels, fewer than the bright ones on the right
    averaged = case.measured(GradCam(), made(GradCam(), network, x))
    exact = case.measured(HiResCam(), made(HiResCam(), network, x))
    assert averaged.region is not None
    assert not averaged.region.region_HW[:, : SIZE // 2].any()
    assert averaged.region.drop == pytest.approx(0, abs=1e-4)
    assert verdict_of(averaged.as_dict(), VerdictPlan(), Sanity(PASS)).level == "NOT SUPPORTED"
    assert exact.region is not None
    assert exact.region.region_HW[10:14, 4:8].all()
    assert verdict_of(exact.as_dict(), VerdictPlan(), Sanity(PASS)).level == "SUPPORTED"


def test_two_methods_that_see_the_same_agree_and_a_moved_copy_does_not() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(SIZE, SIZE))
    same = agreement(values, values, FULL, FULL, other="itself", share=0.02, seed=1)
    assert same is not None
    assert (same.overlap, same.rank_correlation) == (1.0, pytest.approx(1.0))
    assert same.overlap_p == same.rank_correlation_p == 1 / 100
    moved = agreement(values, np.roll(values, (9, 13), (0, 1)), FULL, FULL, other="moved", share=0.02, seed=1)
    assert moved is not None
    assert moved.overlap < 0.2
    assert moved.overlap_p > 0.2


def test_two_maps_of_one_head_agree_by_chance_only() -> None:
    """Both are zero outside of the head; within it they have nothing in common."""
    rng, head = np.random.default_rng(3), np.hypot(*(np.indices((SIZE, SIZE)) - 15.5)) <= 11
    found = [
        agreement(
            head * rng.random((SIZE, SIZE)), head * rng.random((SIZE, SIZE)), FULL, head, other="x", share=0.02, seed=k
        )
        for k in range(20)
    ]
    p_values = [one.rank_correlation_p for one in found if one is not None and one.rank_correlation_p is not None]
    assert len(p_values) == 20
    assert 0.3 < float(np.mean(p_values)) < 0.7


def test_the_second_opinion_works_differently() -> None:
    assert isinstance(second_opinion(HiResCam(), (64, 64)), IntegratedGradients)
    assert isinstance(second_opinion(IntegratedGradients(), (64, 64)), Occlusion)


def test_maps_of_changed_images_are_turned_back_to_where_they_were() -> None:
    values = torch.zeros(1, SIZE, SIZE)
    values[0, 10:16, 12:20] = 1.0
    back = turned_back(changed(values, seed=1)[:, 0], FULL)
    assert len(back) == 5
    inside = (slice(11, 15), slice(13, 19))
    assert np.abs(back[0] - values[0].numpy())[1:-1, 1:-1].max() < 1e-4
    assert np.abs(back[4][inside] - 1).max() < 0.05
    assert np.isnan(back[0]).any(), "what came in from outside is not known"


def test_a_map_that_moves_with_the_image_is_stable_and_one_that_does_not_is_not() -> None:
    x, _lesion = lesion_image()
    network = Weighted(torch.ones(SIZE, SIZE))
    first = made(HiResCam(), network, x)
    found = stability(network, HiResCam(), x, 1, first.map_HW, FULL, share=0.02, seed=1)
    assert min(one.kept for one in found.changes) > 0.5
    assert all(one.is_same_answer for one in found.changes)

    class Elsewhere(CenterMap):
        """Another place for every image."""

        def _pixels(self, x_BCHW: Tensor) -> Tensor:
            return torch.stack([torch.rand(SIZE, SIZE) for _ in x_BCHW])

    torch.manual_seed(0)
    other = Elsewhere()
    unsteady = stability(network, other, x, 1, made(other, network, x).map_HW, FULL, share=0.02, seed=1)
    assert max(one.kept for one in unsteady.changes) < 0.3


def test_an_answer_on_the_edge_is_told_to_flip() -> None:
    x, _ = lesion_image()
    weight = torch.ones(SIZE, SIZE)
    network = Weighted(weight, bias=-float((x[0] * weight).sum()) + 0.5)
    found = stability(network, HiResCam(), x, 1, made(HiResCam(), network, x).map_HW, FULL, share=0.02, seed=1)
    flipped = [one.name for one in found.changes if not one.is_same_answer]
    assert "5 % darker" in flipped
    assert "2 % brighter everywhere" not in flipped
    assert found.probability == pytest.approx(1 / (1 + np.exp(-0.5)), abs=1e-3)


@pytest.mark.parametrize(
    ("image", "status", "fault"),
    [
        (np.full((1, 8, 8), np.nan), "bad", "no numbers"),
        (np.full((1, 8, 8), 0.4), "bad", "shows nothing"),
        (0.04 * np.random.default_rng(0).random((1, 8, 8)), "bad", "nearly black"),
        (1 - 0.04 * np.random.default_rng(0).random((1, 8, 8)), "bad", "nearly white"),
        (3 * np.random.default_rng(0).random((1, 8, 8)), "bad", "0 to 1 is expected"),
        (0.3 * np.random.default_rng(0).random((1, 8, 8)), "odd", "darker than all of 20 training images"),
        (np.random.default_rng(0).random((1, 8, 8)), "good", ""),
    ],
)
def test_what_is_wrong_with_an_image_is_said(image: np.ndarray, status: str, fault: str) -> None:
    usual = usual_of(np.random.default_rng(seed).random((1, 8, 8)) for seed in range(20))
    found = input_quality(image, usual)
    assert found.status == status
    assert fault in " ".join(found.faults)


def test_what_training_images_look_like_is_their_range() -> None:
    images = [np.full((1, 2, 2), 0.2), np.array([[[0.0, 1.0], [0.0, 1.0]]])]
    assert usual_of(images) == Usual((pytest.approx(0.2), 0.5), (0.0, 0.5), 2)


def test_nothing_is_tried_on_a_blank_map_or_a_broken_image() -> None:
    x, _ = lesion_image()
    network = Weighted(torch.ones(SIZE, SIZE))
    blank = MadeMap(np.zeros((SIZE, SIZE)), FULL, PIXELS.jump_yx, is_blank=True)
    found = Case(network, x, 1, Measuring()).measured(HiResCam(), blank)
    assert found.blank == "the map is the same everywhere"
    assert found.region is found.agreement is found.stability is None
    against = MadeMap(-np.ones((SIZE, SIZE)) - block(slice(0, 2), slice(0, 2)), FULL, PIXELS.jump_yx, is_blank=False)
    assert Case(network, x, 1, Measuring()).measured(HiResCam(), against).blank == NOTHING_POSITIVE
    broken = torch.full_like(x, float("nan"))
    assert Case(network, broken, 1, Measuring()).measured(HiResCam(), against).quality.status == "bad"


def test_measuring_twice_gives_the_same_and_leaves_the_network_alone() -> None:
    x, _ = lesion_image()
    network = Weighted(torch.rand(SIZE, SIZE)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    first, again = (
        Case(network, x, 1, Measuring(seed=4)).measured(HiResCam(), made(HiResCam(), network, x)).as_dict()
        for _ in range(2)
    )
    assert first == again
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in network.parameters())
