"""Maps that can be worked out on paper, or compared with an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.base import cleaned
from scanlens.explain.cam import EigenCam, GradCam, GradCamPlusPlus, HiResCam, LayerCam
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.measure import peak_yx
from scanlens.explain.occlusion import Occlusion
from scanlens.explain.target import margin


def activations(net: nn.Sequential, x_BCHW: Tensor, upto: int) -> Tensor:
    with torch.no_grad():
        return net[:upto](x_BCHW)


def make_gap(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), pool, nn.Flatten(), nn.Linear(5, 2))


def make_flat(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 64, 2))


def test_margin_is_the_log_odds_of_the_softmax_probability():
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 3, 0, 2])
    p = logits.softmax(1)[torch.arange(6), target]
    assert torch.allclose(margin(logits, target), torch.log(p / (1 - p)), atol=1e-12)


def test_margin_of_two_classes_is_the_difference_of_logits_and_of_one_logit_its_sign():
    logits = torch.tensor([[1.0, 4.0], [2.0, -1.0]])
    assert margin(logits, torch.tensor([1, 1])).tolist() == [3.0, -3.0]
    assert margin(logits[:, :1], torch.tensor([1, 0])).tolist() == [1.0, -2.0]


def test_gap_head_makes_grad_cam_exact():
    net, x = make_gap(), torch.rand(3, 1, 8, 8)
    found = GradCam("1").explain(net, x, [1, 1, 1])
    weight = net[4].weight[1] - net[4].weight[0]
    expected = torch.einsum("c,bchw->bhw", weight.detach(), activations(net, x, 2))
    assert torch.allclose(found.cells_Bhw * 64, expected, atol=1e-5)
    bias = net[4].bias[1] - net[4].bias[0]
    assert torch.allclose(found.cells_Bhw.sum((1, 2)) + bias, found.score_B, atol=1e-5)


def test_flatten_head_makes_hires_cam_exact_and_grad_cam_not():
    net, x = make_flat(), torch.rand(3, 1, 8, 8)
    found = HiResCam("1").explain(net, x, [1, 1, 1])
    weight = (net[3].weight[1] - net[3].weight[0]).reshape(5, 8, 8).detach()
    expected = (weight * activations(net, x, 2)).sum(1)
    assert torch.allclose(found.cells_Bhw, expected, atol=1e-5)
    bias = net[3].bias[1] - net[3].bias[0]
    assert torch.allclose(found.cells_Bhw.sum((1, 2)) + bias, found.score_B, atol=1e-5)
    coarse = GradCam("1").explain(net, x, [1, 1, 1]).cells_Bhw
    assert all(abs(spearmanr(a.flatten(), b.flatten()).statistic) < 0.5 for a, b in zip(coarse, expected, strict=True))


def test_hires_cam_of_a_relu_head_without_biases_sums_to_the_margin():
    torch.manual_seed(1)
    head = [nn.Flatten(), nn.Linear(8 * 16, 16, bias=False), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2, bias=False)]
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), *head)
    found = HiResCam("2").explain(net, torch.rand(4, 1, 8, 8))
    assert torch.allclose(found.cells_Bhw.sum((1, 2)), found.score_B, atol=1e-5)


def test_hires_cam_finds_the_evidence_on_the_left_half_where_grad_cam_points_right():
    """One feature map, which copies the image; the head reads only the left half. The right half is brighter."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2, bias=False))
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[3].weight.zero_()
        net[3].weight.view(2, 8, 8)[1, :, :4] = 1.0
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 2, 1], x[0, 0, 3:6, 5:7] = 0.5, 1.0
    exact = HiResCam("1").explain(net, x, [1]).map_BHW[0]
    averaged = GradCam("1").explain(net, x, [1]).map_BHW[0]
    assert exact[:, 4:].abs().sum() == 0
    assert peak_yx(exact) == (2.0, 1.0)
    assert averaged[:, 4:].sum() / averaged.sum() > 0.75


def test_layer_cam_and_grad_cam_plus_plus_follow_their_papers():
    net, x = make_flat(5), torch.rand(2, 1, 8, 8)
    act = activations(net, x, 2)
    grad = (net[3].weight[1] - net[3].weight[0]).reshape(1, 5, 8, 8).detach().expand_as(act)
    layer_cam = (grad.clamp(min=0) * act).sum(1)
    assert torch.allclose(LayerCam("1").explain(net, x, [1, 1]).cells_Bhw, layer_cam, atol=1e-5)
    alpha = grad**2 / (2 * grad**2 + act.sum((2, 3), keepdim=True) * grad**3 + 1e-6)
    weights = (alpha * grad.clamp(min=0)).sum((2, 3), keepdim=True)
    plus_plus = GradCamPlusPlus("1").explain(net, x, [1, 1]).cells_Bhw
    assert torch.allclose(plus_plus, (weights * act).sum(1), rtol=1e-3, atol=1e-5)


def test_maps_are_signed_and_the_other_class_is_the_negative():
    net, x = make_flat(5), torch.rand(2, 1, 8, 8)
    one, other = (GradCam("1").explain(net, x, [k, k]).cells_Bhw for k in (1, 0))
    assert (one < 0).any() or (other < 0).any()
    assert torch.allclose(one, -other, atol=1e-6)


def test_eigen_cam_shows_where_the_layer_is_active_with_a_settled_sign():
    """All channels are multiples of the same blob, so the first component is the centered blob, whatever SVD's sign."""
    net = nn.Sequential(nn.Conv2d(1, 3, 1, bias=False), nn.Flatten(), nn.Linear(192, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1.0, 2.0, -0.5]).reshape(3, 1, 1, 1))
    x = torch.zeros(1, 1, 8, 8)
    x[0, 0, 2:4, 5:7] = 1.0
    found = EigenCam("0").explain(net, x)
    expected = (x[0, 0] - x.mean()) * np.sqrt(1 + 4 + 0.25)
    assert torch.allclose(found.cells_Bhw[0], expected, atol=1e-5)
    assert found.score_B[0] == pytest.approx(1.0, abs=1e-5)
    assert found.target_B is None
    assert "Class-blind" in found.legend


def test_linear_network_is_explained_exactly_by_pixels():
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(2 * 36, 3)), torch.rand(2, 2, 6, 6)
    with torch.no_grad():
        net[1].weight[0] = net[1].weight[2] = 0.0  # margin of class 1 in closed form: no other logit depends on x
        net[1].bias.zero_()
    expected = (net[1].weight[1].detach().reshape(1, 2, 6, 6) * x).sum(1)
    gradients = IntegratedGradients(steps=1, baseline="zero").explain(net, x, [1, 1])
    covered = Occlusion(patch=1, stride=1, fill="zero").explain(net, x, [1, 1])
    assert torch.allclose(gradients.map_BHW, expected, atol=1e-6)
    assert gradients.completeness_gap_B.abs().max() < 1e-5
    assert torch.allclose(covered.map_BHW, expected, atol=1e-5)


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur"])
def test_integrated_gradients_add_up_within_one_percent(network, images, baseline):
    net, x = network("flatten"), images(4)
    found = IntegratedGradients(baseline=baseline).explain(net, x, [0, 1, 2, 0])
    total = found.map_BHW.double().sum((1, 2))
    change = total - found.completeness_gap_B
    assert (found.completeness_gap_B.abs() <= 0.01 * change.abs().clamp(min=0.01)).all()
    if baseline == "zero":
        net.eval()
        with torch.no_grad():
            at_zero = margin(net(torch.zeros_like(x)), torch.tensor([0, 1, 2, 0]))
        assert torch.allclose(found.score_B - at_zero, change.float(), atol=1e-5)


def test_occlusion_covers_every_pixel_and_peaks_at_the_only_evidence():
    class OnePixel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([torch.zeros(len(x)), 10 * x[:, 0, 0, 13]], dim=1)

    found = Occlusion(patch=4, stride=2, fill="zero", batch_size=7).explain(OnePixel(), torch.ones(1, 1, 15, 17), [1])
    assert found.covered_HW.all()
    assert found.cells_Bhw.shape == (1, 8, 9)
    assert set(found.cells_Bhw.unique().tolist()) == {0.0, 10.0}
    assert peak_yx(found.map_BHW[0]) == pytest.approx((0.5, 12.5), abs=1.0)


@pytest.mark.parametrize(("patch", "stride"), [(3, 1), (4, 2), (5, 2), (5, 5)])
def test_occlusion_is_drawn_where_the_patch_was(patch, stride):
    """Each cell lies in the middle of its patch: the cells that cover pixel (7, 7) surround it."""

    class OnePixel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([torch.zeros(len(x)), x[:, 0, 7, 7]], dim=1)

    found = Occlusion(patch=patch, stride=stride, fill="zero").explain(OnePixel(), torch.ones(1, 1, 15, 15), [1])
    centers = found.geometry.start_yx[0] + stride * torch.arange(found.cells_Bhw.shape[1])
    is_near = ((centers - 7).abs() <= (patch - 1) / 2).float()
    assert torch.equal(found.cells_Bhw[0], is_near[:, None] * is_near[None, :])


def test_refining_integrated_gradients_equals_starting_with_as_many_steps(network, images):
    model, x = network("flatten"), images(1)
    refined = IntegratedGradients(steps=3, max_steps=27, tolerance=1e-12)(model, x, [1])
    direct = IntegratedGradients(steps=27, max_steps=27)(model, x, [1])
    assert torch.allclose(refined, direct, rtol=1e-4, atol=1e-8)


def test_a_dead_network_and_a_broken_one_give_blank_maps_without_nan():
    dead, x = make_flat(), torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        dead[0].weight.zero_()
        dead[0].bias.fill_(-1.0)
    found = HiResCam("1").explain(dead, x)
    assert found.is_blank_B.tolist() == [True, True]
    x[1] = float("nan")
    for explainer in (GradCam("1"), EigenCam("1"), IntegratedGradients(), Occlusion()):
        found = explainer.explain(make_flat(), x, [0, 0])
        assert found.is_blank_B.tolist() == [False, True]
        assert torch.isfinite(found.map_BHW).all()
        assert (found.map_BHW[1] == 0).all()


def test_a_map_that_is_the_same_everywhere_is_blank_but_small_values_are_not():
    maps = torch.stack([torch.full((2, 2), 0.3), torch.tensor([[0.0, 0.0], [0.0, 1e-9]])])
    assert cleaned(maps)[1].tolist() == [True, False]


def test_eigen_cam_of_a_huge_layer_is_refused_with_the_reason():
    net = nn.Sequential(nn.Conv2d(1, 2, 1))
    with pytest.raises(ExplainError, match="4096 are affordable"):
        EigenCam("0").explain(net, torch.rand(1, 1, 65, 64))
