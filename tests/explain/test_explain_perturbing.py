"""Ablation-CAM, Score-CAM and XGrad-CAM by hand, where the library's own results are wrong."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain import progress
from scanlens.explain.cam import GradCam, HiResCam, XGradCam
from scanlens.explain.perturbing_cams import AblationCam, ScoreCam

X = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(4))


def make_net(*head: nn.Module, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), *head)


def make_gap(seed: int = 0) -> nn.Sequential:
    return make_net(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2), seed=seed)


def margin_without(net: nn.Sequential, x: Tensor, channel: int) -> Tensor:
    with torch.no_grad():
        activation = net[:2](x)
        activation[:, channel] = 0
        logits = net[2:](activation)
    return logits[:, 1] - logits[:, 0]


def test_ablation_cam_is_exact_for_a_head_that_averages():
    net = make_gap()
    found = AblationCam("1", batch_size=2).explain(net, X, [1, 1, 0])
    exact = GradCam("1").explain(net, X, [1, 1, 0])
    assert torch.allclose(found.cells_Bhw, exact.cells_Bhw, atol=1e-6)
    bias = (net[4].bias[1] - net[4].bias[0]).detach() * torch.tensor([1, 1, -1])
    assert torch.allclose(found.cells_Bhw.sum((1, 2)) + bias, found.score_B, atol=1e-5)


def test_ablation_cam_sums_to_the_drops_and_keeps_its_sign_where_the_score_is_negative():
    """The library divides the drop by the score: for a negative one it shows evidence for the class as evidence against."""
    net = make_net(nn.Flatten(), nn.Linear(320, 6), nn.ReLU(), nn.Linear(6, 2))
    with torch.no_grad():
        net[5].bias.copy_(torch.tensor([5.0, 0.0]))
    found = AblationCam("1").explain(net, X, [1, 1, 1])
    assert (found.score_B < 0).all()
    drops = torch.stack([found.score_B - margin_without(net, X, channel) for channel in range(5)], dim=1)
    assert torch.allclose(found.cells_Bhw.sum((1, 2)), drops.sum(1), atol=1e-5)
    with torch.no_grad():
        activation = net[:2](X)
    expected = (drops[:, :, None, None] * activation / activation.sum((2, 3), keepdim=True).clamp(min=1e-9)).sum(1)
    assert torch.allclose(found.cells_Bhw, expected, atol=1e-5)
    library = (drops / found.score_B[:, None])[:, :, None, None] * activation
    assert all(np.corrcoef(a.flatten(), b.flatten())[0, 1] < 0 for a, b in zip(library.sum(1), expected, strict=True))


def test_ablation_sets_a_channel_to_zero_also_where_activations_are_negative():
    """The library puts -10 million there."""
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(320, 2))
    found = AblationCam("1").explain(net, X, [1, 1, 1])
    with torch.no_grad():
        activation = net[:2](X)
    assert activation.min() < 0
    drops = torch.stack([found.score_B - margin_without(net, X, channel) for channel in range(5)], dim=1)
    expected = (drops[:, :, None, None] * activation / activation.abs().sum((2, 3), keepdim=True)).sum(1)
    assert torch.allclose(found.cells_Bhw, expected, atol=1e-5)


def test_a_head_that_does_not_take_a_batch_of_any_size_is_refused():
    class Folding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.features(x).mean((2, 3)))[: len(x)]

    with pytest.raises(ExplainError, match=r"4 variants of layer 'features'.*answered 1.*explain=hires_cam"):
        AblationCam("features").explain(Folding(), X)
    one_by_one = AblationCam("features", batch_size=1).explain(Folding(), X)
    assert not one_by_one.is_blank_B.any()


def test_xgrad_cam_has_the_sum_of_hires_cam_and_the_shape_of_the_paper():
    net = make_net(nn.Flatten(), nn.Linear(320, 2))
    found, exact = (explainer("1").explain(net, X, [1, 0, 1]) for explainer in (XGradCam, HiResCam))
    assert torch.allclose(found.cells_Bhw.sum((1, 2)), exact.cells_Bhw.sum((1, 2)), atol=1e-4)
    with torch.no_grad():
        activation = net[:2](X)
        sign = torch.tensor([1.0, -1.0, 1.0])[:, None, None, None]
        gradient = sign * (net[3].weight[1] - net[3].weight[0]).reshape(1, 5, 8, 8)
        weights = (gradient * activation).sum((2, 3), keepdim=True) / (activation.sum((2, 3), keepdim=True) + 1e-7)
    assert torch.allclose(found.cells_Bhw, (weights * activation).sum(1), atol=1e-4)


def test_score_cam_weighs_a_channel_by_what_showing_it_alone_gains():
    """Two channels copy the left and the right half; the left speaks for the class, the right against it."""

    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.sides = nn.Conv2d(1, 2, 1, bias=False), nn.Parameter(torch.zeros(2, 4, 4))
            with torch.no_grad():
                self.features.weight.fill_(1.0)
                self.sides[0, :, :2], self.sides[1, :, 2:] = 1.0, 1.0
            self.halves = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            left, right = self.halves(self.features(x) * self.sides).sum((2, 3)).T
            return torch.stack([torch.zeros(len(x)), 3 * left - 2 * right], dim=1)

    x = torch.tensor([[0.0, 1.0, 0.5, 0.0]]).repeat(4, 1)[None, None]
    found = ScoreCam("halves", fill="zero").explain(Halves(), x, [1])
    # shown alone, the left gains 3 x 4 x 1.0, the right -2 x 4 x 0.5; mean over two channels, on maps stretched to [0, 1]
    expected = torch.tensor([[0.0, 12 / 2, -4 / 2, 0.0]]).repeat(4, 1)
    assert torch.allclose(found.cells_Bhw[0], expected, atol=1e-5)
    assert found.score_B.tolist() == [8.0]


def test_score_cam_shows_the_image_through_the_map_placed_by_geometry():
    """An unpadded network: cell (0, 0) lies at pixel (2, 2), where a plain resize would show the corner."""
    net = nn.Sequential(nn.Conv2d(1, 1, 5, bias=False), nn.Flatten(), nn.Linear(16, 2, bias=False))
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].weight[0, 0, 2, 2] = 1.0
        net[2].weight.copy_(torch.tensor([0.0, 1.0])[:, None].expand(2, 16))
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 2, 2] = 1.0
    found = ScoreCam("0", fill="zero").explain(net, x, [1])
    expected = torch.zeros(4, 4)
    expected[0, 0] = 1.0
    assert torch.allclose(found.cells_Bhw[0], expected, atol=1e-6)


def test_a_channel_that_is_the_same_everywhere_highlights_nothing():
    net = make_gap()
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.fill_(0.5)
    found = ScoreCam("1").explain(net, X, [1, 1, 1])
    assert found.is_blank_B.all()
    assert torch.isfinite(found.cells_Bhw).all()


@pytest.mark.parametrize("kind", [AblationCam, ScoreCam])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_channels_per_pass_make_no_difference(kind, batch_size):
    net = make_net(nn.Flatten(), nn.Linear(320, 2))
    found, other = (kind("1", batch_size=size).explain(net, X).cells_Bhw for size in (batch_size, 5))
    assert torch.allclose(found, other, atol=1e-6)


def test_images_that_are_not_finite_are_blank_and_settings_are_checked():
    x = X.clone()
    x[1] = float("nan")
    for explainer in (AblationCam("1"), ScoreCam("1"), ScoreCam("1", fill="zero"), XGradCam("1")):
        found = explainer.explain(make_gap(), x, [0, 0, 0])
        assert found.is_blank_B.tolist() == [False, True, False]
        assert torch.isfinite(found.map_BHW).all()
    for make in (AblationCam, ScoreCam):
        with pytest.raises(ValueError, match=r"explain\.batch_size must be at least 1"):
            make(batch_size=0)
    with pytest.raises(ValueError, match=r"explain\.fill must be one of"):
        ScoreCam(fill="black")


def test_long_work_says_how_far_it_is(monkeypatch, caplog):
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    caplog.set_level(logging.INFO, logger=progress.__name__)
    work = progress.Progress("Score-CAM", 100)
    for _ in range(5):
        work.add(20)
    assert caplog.messages == [
        "Score-CAM: 40 of 100 passes, about 30 s left",
        "Score-CAM: 80 of 100 passes, about 10 s left",
    ]
