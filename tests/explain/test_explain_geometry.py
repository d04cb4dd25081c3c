"""Where a cell lies: published numbers, and the pixels that really influence a cell."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fakes.tiny_networks import make_vgg19_features
from scanlens.explain.cam import HiResCam
from scanlens.explain.geometry import Geometry, layer_geometry, place
from scanlens.explain.layers import find_layer
from scanlens.explain.measure import peak_yx


class Standardize(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x.repeat(1, 3, 1, 1) - 0.5) / 0.25


def make_lenet(pool: type[nn.Module] = nn.AvgPool2d) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 1, 5), nn.ReLU(), pool(2), nn.Conv2d(1, 1, 5), nn.ReLU(), pool(2))


def geometry(net: nn.Module, name: str, *shape: int) -> Geometry:
    return layer_geometry(net, torch.rand(1, *shape), find_layer(net, name))


@pytest.mark.parametrize(
    ("index", "jump", "start", "field"),
    [(34, 16, 7.5, 252), (35, 16, 7.5, 252), (36, 32, 15.5, 268), (26, 8, 3.5, 116)],
)
def test_vgg19_has_the_published_geometry(index, jump, start, field):
    net = nn.Sequential(Standardize(), make_vgg19_features())
    found = geometry(net, f"1.{index}", 1, 224, 224)
    assert found == Geometry((jump, jump), (start, start), (field, field))


@pytest.mark.parametrize(("index", "jump", "start", "field"), [(4, 2, 6.5, 14), (5, 4, 7.5, 16)])
def test_unpadded_lenet_has_the_published_geometry(index, jump, start, field):
    assert geometry(make_lenet(), str(index), 1, 32, 32) == Geometry((jump, jump), (start, start), (field, field))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # the point of that case
@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Conv2d(1, 1, (3, 5), padding=(1, 0), dilation=(2, 1)), nn.AvgPool2d((3, 2), (2, 3), (1, 0))),
        nn.Sequential(nn.Conv2d(1, 1, 4, padding="same"), nn.Conv2d(1, 1, 3, stride=2), nn.AvgPool2d(2)),
        nn.Sequential(nn.ZeroPad2d((3, 1, 2, 0)), nn.Conv2d(1, 1, 2, stride=2), nn.LPPool2d(1, 3)),
        nn.Sequential(nn.Conv2d(1, 1, 3, stride=3, padding=2), nn.AdaptiveAvgPool2d((4, 7)), nn.Conv2d(1, 1, 2)),
        nn.Sequential(nn.MaxPool2d(3, 2, 1, dilation=2), nn.ReLU(), nn.Conv2d(1, 1, 3, padding="valid")),
    ],
    ids=["dilated", "same-even", "asymmetric", "adaptive", "max-dilated"],
)
def test_geometry_agrees_with_the_pixels_that_influence_a_cell(net):
    """Weights of one: the pixels with a gradient are the receptive field; its middle is the center of the cell."""
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    net.double()
    hw = (35, 60) if not any(isinstance(m, nn.AdaptiveAvgPool2d) for m in net) else (33, 60)
    found = layer_geometry(net, torch.rand(1, 1, *hw), find_layer(net, str(len(net) - 1)))
    assert found.is_exact, found.note
    reached = influence(net, hw)
    cell = (reached.shape[0] // 2, reached.shape[1] // 2)
    for axis in (0, 1):
        touched = reached[cell].any(dim=1 - axis).nonzero().flatten()
        first, last = int(touched.min()), int(touched.max())
        assert last - first + 1 == found.receptive_field_yx[axis]
        assert (first + last) / 2 == found.start_yx[axis] + cell[axis] * found.jump_yx[axis]


def influence(net: nn.Sequential, hw: tuple[int, int]) -> Tensor:
    """Which pixels (H, W) each cell (h, w) depends on; maxima become means, so that all of a window counts."""
    layers = [SpreadMax(m) if isinstance(m, nn.MaxPool2d) else m for m in net]
    x = torch.rand(1, 1, *hw, dtype=torch.float64, requires_grad=True)
    cells = nn.Sequential(*layers)(x)[0, 0]
    rows = [torch.autograd.grad(cell, x, retain_graph=True)[0][0, 0] != 0 for cell in cells.flatten()]
    return torch.stack(rows).reshape(*cells.shape, *hw)


class SpreadMax(nn.Module):
    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.ones(1, 1, self.pool.kernel_size, self.pool.kernel_size, dtype=x.dtype)
        options = {"stride": self.pool.stride, "padding": self.pool.padding, "dilation": self.pool.dilation}
        return nn.functional.conv2d(x, kernel, **options)


def test_one_bright_pixel_is_drawn_within_one_jump_wherever_the_unpadded_lenet_sees_it():
    net = nn.Sequential(*make_lenet()[:5], nn.Flatten(), nn.Linear(100, 2, bias=False))
    with torch.no_grad():
        for conv in (net[0], net[3]):
            conv.weight.zero_()
            conv.weight[0, 0, 2, 2] = 1.0
            conv.bias.zero_()
        net[6].weight.copy_(torch.tensor([0.0, 1.0])[:, None].expand(2, 100))
    places = [(r, c) for r in range(6, 26) for c in range(6, 26)]
    x = torch.zeros(400, 1, 32, 32)
    for image, (r, c) in zip(x, places, strict=True):
        image[0, r, c] = 1.0
    found = HiResCam("4").explain(net, x, [1] * 400)
    errors = torch.tensor([peak_yx(m) for m in found.map_BHW]) - torch.tensor(places)
    assert errors.norm(dim=1).max() < 2.0
    assert errors.norm(dim=1).mean() < 0.9
    resized = nn.functional.interpolate(found.cells_Bhw[:, None], (32, 32), mode="bilinear")[:, 0]
    plain = torch.tensor([peak_yx(m) for m in resized]) - torch.tensor(places)
    assert plain.norm(dim=1).max() > 5.0


def test_nothing_is_drawn_where_no_cell_speaks():
    lenet = Geometry((2, 2), (6.5, 6.5), (14, 14))
    drawn, covered = place(torch.ones(1, 10, 10), lenet, (32, 32))
    assert covered.sum() == 20 * 20
    assert covered[6:26, 6:26].all()
    assert (drawn[0][covered] == 1).all()
    assert (drawn[0][~covered] == 0).all()


def test_a_padded_network_is_placed_like_a_half_pixel_resize():
    cells = torch.rand(2, 14, 14)
    drawn, covered = place(cells, Geometry((16, 16), (7.5, 7.5), (252, 252)), (224, 224))
    expected = nn.functional.interpolate(cells[:, None], (224, 224), mode="bilinear", align_corners=False)[:, 0]
    assert covered.all()
    assert torch.allclose(drawn, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.ConvTranspose2d(2, 2, 2, 2)), "ConvTranspose2d '1'"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(5), nn.Conv2d(1, 2, 1)), "AdaptiveAvgPool2d '0'"),
        (nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 2, 1)), "Upsample '0'"),
    ],
)
def test_what_has_no_fixed_window_is_resized_and_says_so(net, reason):
    found = geometry(net, "1", 1, 16, 16)
    assert not found.is_exact
    assert reason in found.note
    assert found.receptive_field_yx is None
    assert place(torch.rand(1, 8, 8), found, (16, 16))[1].shape == (16, 16)


class Skipping(nn.Module):
    """A stem, and a branch with a skip connection; or pooling that is no layer."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.stem, self.left, self.right = (nn.Conv2d(1, 1, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem(x)
        if self.how == "pooled":
            return self.right(nn.functional.max_pool2d(stem, 2))
        left = self.left(stem)
        return self.right(stem + left if self.how == "skip" else stem) + left


def test_a_skip_connection_keeps_the_geometry_of_its_longest_path():
    assert geometry(Skipping("skip"), "right", 1, 8, 8) == Geometry((1, 1), (0, 0), (7, 7))


@pytest.mark.parametrize(("how", "reason"), [("pooled", "size changes outside of layers"), ("fork", "starts a branch")])
def test_hidden_pooling_and_branches_are_noticed(how, reason):
    found = geometry(Skipping(how), "right", 1, 8, 8)
    assert not found.is_exact
    assert reason in found.note
