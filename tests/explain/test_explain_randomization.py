"""How alike maps are, and networks whose weights are drawn anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from scanlens.explain.cam import HiResCam
from scanlens.explain.controls import BlurredIntensity
from scanlens.explain.randomization import cascade, depths, layers_from_top
from scanlens.explain.similarity import rank_correlation, structural_similarity
from scanlens.models.lenet import LeNet

Images = Callable[[int], Tensor]


def random_maps(num: int, side: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num, side, side)).round(1)  # rounded: with ties


def test_rank_correlation_is_spearmans_with_ties() -> None:
    a, b = random_maps(2)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, np.exp(3 * a)) == pytest.approx(1)


def test_a_flat_map_is_like_nothing() -> None:
    (a,) = random_maps(1)
    flat = np.full_like(a, 0.3)
    assert rank_correlation(a, flat) is None
    assert structural_similarity(flat, a) is None
    with pytest.raises(ValueError, match="same size"):
        rank_correlation(a, a[:4])


def test_structural_similarity_knows_no_scale_and_needs_room_for_a_window() -> None:
    a, b = random_maps(2)
    assert structural_similarity(a, 7 * a) == pytest.approx(1)
    assert abs(structural_similarity(a, b) or 0) < 0.3
    assert structural_similarity(a[:2], b[:2]) is None
    assert structural_similarity(a[:4], a[:4]) == pytest.approx(1)  # a window of 3


def test_layers_are_named_from_the_output_down() -> None:
    network = LeNet(3, 1, 32)
    assert layers_from_top(network, torch.rand(1, 1, 32, 32)) == [
        "classifier",
        "dense.linear2",
        "dense.linear1",
        "features.conv2",
        "features.conv1",
    ]


@pytest.mark.parametrize(
    "layers, most, expected", [(5, 5, [1, 2, 3, 4, 5]), (19, 5, [1, 6, 10, 14, 19]), (2, 5, [1, 2]), (4, 1, [4])]
)
def test_steps_go_from_the_top_layer_to_all(layers: int, most: int, expected: list[int]) -> None:
    found = depths(layers, most)
    assert (found[-1], len(found)) == (layers, len(expected))
    assert most == 1 or found[0] == 1
    assert layers > 5 or found == expected


def test_each_step_draws_one_more_layer_and_the_network_stays_as_it_was() -> None:
    network = LeNet(3, 1, 32, batch_norm=True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    layers = layers_from_top(network, torch.rand(1, 1, 32, 32))
    for depth, changed in cascade(network, layers, depths(len(layers), 9), seed=3):
        differ = {name.rpartition(".")[0] for name, new in changed.state_dict().items() if not torch.equal(new, before[name]) and "weight" in name}  # fmt: skip
        norms = {name for name in layers if "norm" in name}  # start with weights of one, which they have again
        assert differ == set(layers[:depth]) - norms
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_draws_depend_on_the_seed_alone_and_have_the_spread_of_he() -> None:
    network = nn.Sequential(nn.Linear(400, 300))

    def drawn(seed: int) -> nn.Linear:
        (_, changed), *_ = cascade(network, ["0"], [1], seed=seed)
        return changed[0]  # type: ignore[index, no-any-return]

    torch.manual_seed(1)
    once = drawn(5)
    torch.manual_seed(2)
    assert torch.equal(once.weight, drawn(5).weight)
    assert not torch.equal(once.weight, drawn(6).weight)
    assert float(once.weight.detach().std()) == pytest.approx((2 / 400) ** 0.5, rel=0.01)
    assert not bool(once.bias.any())


def test_a_map_of_the_image_alone_survives_every_step_and_one_of_the_network_does_not(
    network: Callable[[str], nn.Module], images: Images
) -> None:
    model, x = network("flatten"), images(4)
    layers = layers_from_top(model, x)
    blind, seeing = BlurredIntensity(), HiResCam()
    target = [0, 1, 2, 0]
    own = [explainer.explain(model, x, target).cells_Bhw.numpy() for explainer in (blind, seeing)]
    for _, changed in cascade(model, layers, depths(len(layers), 5), seed=1):
        after = blind.explain(changed, x, target).cells_Bhw.numpy()
        assert [rank_correlation(a, b) for a, b in zip(own[0], after, strict=True)] == pytest.approx([1.0] * 4)
    after = seeing.explain(changed, x, target).cells_Bhw.numpy()
    assert max(abs(rank_correlation(a, b) or 0) for a, b in zip(own[1], after, strict=True)) < 0.6
