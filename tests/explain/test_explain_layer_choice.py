"""Which layer is taken of a network that names none, which are fused, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fakes.explainers import method
from fakes.tiny_networks import make_vgg19_features
from scanlens.errors import ExplainError
from scanlens.explain.auto import Auto
from scanlens.explain.cam import HiResCam, LayerCam
from scanlens.explain.fusion import Fusion
from scanlens.explain.geometry import Geometry, shared_out

X = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
X3 = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class VGG19(nn.Module):
    """As in torchvision, with few channels: ReLUs in place, a last pool, an adaptive one, three linear layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features, self.avgpool = make_vgg19_features(4), nn.AdaptiveAvgPool2d(2)
        self.classifier = nn.Sequential(nn.Linear(16, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Residual(nn.Module):
    """As in torchvision's ResNet: one ReLU in place used twice, and a sum in place."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3, stride, 1)
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.conv2, self.down = nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(channels, 4, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += self.down(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer1, self.layer2 = nn.Sequential(Residual(1, 2)), nn.Sequential(Residual(4, 2))
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


class Functional(nn.Module):
    """Everything but the convolutions happens in functions, one in place; or in the wrong order of axes."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how = how
        self.conv1, self.conv2, self.norm, self.fc = (
            nn.Conv2d(1, 4, 3),
            nn.Conv2d(4, 4, 3),
            nn.LayerNorm(4),
            nn.Linear(4, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv2(torch.relu(self.conv1(x)))
        if self.how == "in place":
            features = torch.relu_(features)
        if self.how == "channels last":
            features = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        if self.how == "aside":
            return self.fc(features.mean((2, 3))) + x.mean((1, 2, 3))[:, None]
        return self.fc(features.mean((2, 3)))


def chosen(net: nn.Module, x: Tensor = X) -> str:
    (explainer,) = Auto().explainers_for(net)
    assert explainer.name == "hires_cam"
    assert "heads that average positions and for heads that weigh them" in explainer.legend
    return explainer.explain(net, x).layer


def test_of_vgg19_the_relu_before_the_last_pool_is_taken():
    assert chosen(VGG19(), X3) == "features.35"
    legend = Auto().explainers_for(net := VGG19())[0].explain(net, X3).legend
    assert "Layer features.35, 4x4 cells of 16x16 px. Explained: margin (log-odds)." in legend
    assert "the last one with more than one cell that everything goes through" in legend


def test_of_a_residual_network_the_block_is_taken_not_its_shared_relu_nor_a_branch():
    assert chosen(ResNet()) == "layer2.0"
    assert chosen(nn.Sequential(ResNet().layer1, nn.Conv2d(4, 4, 8), nn.Flatten(), nn.Linear(4, 2))) == "0.0"


@pytest.mark.parametrize(("how", "layer"), [("plain", "conv2"), ("in place", "conv1"), ("channels last", "conv2")])
def test_what_is_overwritten_or_has_another_order_of_axes_is_passed_over(how, layer):
    assert chosen(Functional(how)) == layer


def test_a_map_of_one_cell_is_never_taken():
    conv = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 7), nn.ReLU()]
    assert chosen(nn.Sequential(*conv, nn.Flatten(), nn.Linear(6, 3))) == "1"


def test_where_no_layer_suits_the_reason_is_told():
    with pytest.raises(ExplainError, match=r"none was found.*everything goes through.*explain=integrated_gradients"):
        HiResCam().explain(Functional("aside"), X)
    relu = nn.ReLU(inplace=True)
    shared = nn.Sequential(nn.Conv2d(1, 2, 3), relu, nn.Conv2d(2, 2, 3), relu, nn.Flatten(), nn.Linear(2 * 144, 2))
    with pytest.raises(ExplainError, match="runs once in a pass, is not overwritten in place"):
        HiResCam().explain(shared, X)


def test_a_network_without_convolution_is_asked_for_its_pixels():
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
    assert [one.name for one in Auto().explainers_for(mlp)] == ["integrated_gradients", "occlusion"]


def test_nothing_is_left_behind_by_choosing():
    net = VGG19().train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    HiResCam().explain(net, X3)
    assert all(module.training and not module._forward_hooks for module in net.modules())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


@pytest.mark.parametrize("name", ["grad_cam", "eigen_cam", "score_cam", "ablation_cam", "fusion", "random"])
def test_every_method_that_needs_a_layer_takes_the_same(name):
    found = method(name).explain(VGG19(), X3)
    assert found.layer == {"fusion": "features.26 + features.35", "random": "input"}.get(name, "features.35")


def test_vgg19_is_fused_from_26_and_35_and_the_sum_stays():
    net = VGG19().eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    found = Fusion().explain(net, X3, [1], [2])
    fine, coarse = (HiResCam(f"features.{index}").explain(net, X3, [1], [2]) for index in (26, 35))
    assert found.cells_Bhw.shape == (1, 8, 8)
    assert fine.geometry == Geometry((8, 8), (3.5, 3.5), (116, 116))
    assert found.geometry == Geometry((8, 8), (3.5, 3.5), (252, 252))  # it sees as far as the coarser layer
    twice = nn.functional.interpolate(coarse.cells_Bhw[None], (8, 8), mode="bilinear", align_corners=False)[0]
    assert torch.allclose(found.cells_Bhw, (fine.cells_Bhw + twice / 4) / 2, atol=1e-6)
    with torch.no_grad():
        logits = net(X3)
    assert abs(float(logits[0, 1] - logits[0, 2])) > 0.01
    for one in (found, fine, coarse):
        assert torch.allclose(one.cells_Bhw.sum((1, 2)), logits[:, 1] - logits[:, 2], rtol=1e-3)


def test_layer_cam_is_fused_too_and_layers_can_be_named(network, images):
    model, x = network("flatten"), images(2)
    found = Fusion("layer_cam", finer="features.2").explain(model, x, [0, 1])
    fine, coarse = (LayerCam(layer).explain(model, x, [0, 1]).cells_Bhw for layer in ("features.2", None))
    spread = shared_out(coarse, Geometry((2, 2), (0.5, 0.5), None), Geometry((1, 1), (0, 0), None), (16, 16))
    assert torch.allclose(found.cells_Bhw, (fine + spread) / 2, atol=1e-6)
    assert (found.cells_Bhw >= 0).all()


def test_evidence_is_shared_out_without_loss_also_where_cells_do_not_nest():
    cells = torch.rand(3, 5, 5)
    lenet_pool2, lenet_conv1 = Geometry((4, 4), (7.5, 7.5), None), Geometry((1, 1), (2, 2), None)
    spread = shared_out(cells, lenet_pool2, lenet_conv1, (28, 28))
    assert torch.allclose(spread.sum((1, 2)), cells.sum((1, 2)), atol=1e-4)
    one = torch.zeros(1, 5, 5)
    one[0, 2, 3] = 1.0
    where = shared_out(one, lenet_pool2, lenet_conv1, (28, 28))[0]
    rows = torch.arange(28.0) + 2
    assert (float((where.sum(1) * rows).sum()), float((where.sum(0) * rows).sum())) == pytest.approx((15.5, 19.5))


def test_a_network_without_a_finer_layer_is_refused(network, images):
    flat = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 3))
    with pytest.raises(ExplainError, match=r"no layer before '3' with finer cells.*explain=hires_cam"):
        Fusion(layer="3").explain(flat, X)
    with pytest.raises(ExplainError, match=r"nothing is gained by fusing.*explain\.finer"):
        Fusion(finer="features.4").explain(network("flatten"), images(1))
    with pytest.raises(ExplainError, match=r"no convolution.*explain=integrated_gradients"):
        Fusion().explainers_for(network("mlp"))
    with pytest.raises(ValueError, match=r"explain\.method must be one of hires_cam, layer_cam"):
        Fusion(method="grad_cam")
