"""Explanations ask a network no more than they need, and say the same as if they did."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scanlens.explain.asking import images_per_pass, logits_of, margins_of
from scanlens.explain.base import Explainer
from scanlens.explain.cam import GradCam, HiResCam, LayerCam, explained_together
from scanlens.explain.controls import CenterMap
from scanlens.explain.evidence_order import pixel_order
from scanlens.explain.removal_curve import removal_curve
from scanlens.explain.scope import untouched
from scanlens.explain.verdict.measured import Case, MadeMap, Measuring

Network, Images = Callable[[str], nn.Module], Callable[[int], Tensor]


def counted(model: nn.Module) -> list[int]:
    """Filled with the number of images of each pass."""
    passes: list[int] = []
    model.register_forward_pre_hook(lambda _, inputs: passes.append(len(inputs[0])))
    return passes


@pytest.mark.parametrize(("side", "num"), [(28, 64), (64, 64), (128, 16), (224, 5), (448, 1), (2048, 1)])
def test_fewer_large_images_go_through_a_network_at_once_on_a_processor(side: int, num: int) -> None:
    assert images_per_pass(torch.empty(0, 1, side, side)) == num


def test_at_most_as_many_as_asked_for_go_at_once() -> None:
    assert images_per_pass(torch.empty(0, 1, 64, 64), 32) == 32


def test_large_images_are_answered_in_several_passes_all_the_same() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, stride=8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x_BCHW = torch.rand(7, 1, 224, 224, generator=torch.Generator().manual_seed(1))
    passes = counted(model)
    found = margins_of(model, x_BCHW, [0] * 7)
    assert passes == [5, 2]
    torch.testing.assert_close(found, margins_of(model, x_BCHW, [0] * 7, batch_size=7), rtol=1e-5, atol=1e-6)


def test_maps_of_one_layer_share_one_pass_and_are_the_same(network: Network, images: Images) -> None:
    model, x_BCHW, target = network("flatten"), images(3), [0, 1, 1]
    methods: list[Explainer] = [GradCam(), CenterMap(), HiResCam(), LayerCam()]
    alone = [one.explain(model, x_BCHW, target) for one in methods]
    passes = counted(model)
    together = explained_together(methods, model, x_BCHW, target)
    assert passes == [3]
    for one, other in zip(alone, together, strict=True):
        assert (one.method, one.layer, one.legend) == (other.method, other.layer, other.legend)
        torch.testing.assert_close(one.map_BHW, other.map_BHW, rtol=0, atol=0)
        torch.testing.assert_close(one.score_B, other.score_B, rtol=0, atol=0, equal_nan=True)


def test_a_map_remembers_what_the_network_said(network: Network, images: Images) -> None:
    model, x_BCHW = network("gap"), images(2)
    found = HiResCam().explain(model, x_BCHW, [0, 0]).logits_BK
    assert found is not None
    torch.testing.assert_close(found, logits_of(model, x_BCHW))


def test_parameters_want_no_gradients_while_a_network_is_asked(network: Network, images: Images) -> None:
    model = network("flatten")
    with untouched(model, images(1)):
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_log_odds_that_are_known_are_not_asked_for_again(network: Network, images: Images) -> None:
    model, x_CHW = network("flatten"), images(1)[0]
    order_P = pixel_order(x_CHW[0].numpy(), seed=1)
    asked = removal_curve(model, x_CHW, order_P, 1, shares=(0.1, 0.3), seed=1)
    passes = counted(model)
    told = removal_curve(model, x_CHW, order_P, 1, shares=(0.1, 0.3), plain=asked.plain, seed=1)
    assert sum(passes) == 4
    assert (told.drop, told.held) == (asked.drop, asked.held)


def test_a_verdict_asks_once_about_the_image_as_it_is(network: Network, images: Images) -> None:
    model, x_CHW, method = network("flatten"), images(1)[0], HiResCam()
    found = method.explain(model, x_CHW[None], [1])
    made = MadeMap(found.map_BHW[0].numpy(), found.covered_HW.numpy(), found.geometry.jump_yx, False)
    passes = counted(model)
    case = Case(model, x_CHW, 1, Measuring(num_regions=6))
    measured = case.measured(method, made)
    assert measured.region is not None
    assert measured.stability is not None
    elsewhere, changes, path, ends = len(measured.region.drops_N), len(measured.stability.changes), 8, 2
    assert sum(passes) == 1 + (1 + elsewhere) + changes + path + ends
    margin = float(margins_of(model, x_CHW[None], [1]))
    assert measured.region.margin == pytest.approx(margin, abs=1e-6)
    assert measured.stability.probability == pytest.approx(1 / (1 + np.exp(-margin)), abs=1e-6)
