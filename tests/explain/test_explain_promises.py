"""What each explainer says of itself in its class attributes is true of every yaml of conf/explain; a new one enrolls itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fakes.explainers import CASE_IDS, CASES, CLASS_METHODS, CONTROLS, KINDS, METHODS, build, method
from fakes.tiny_networks import make_network
from scanlens.errors import ExplainError

ON_MAPS = [name for name in METHODS if "flatten" in KINDS[name]]
POSITIONAL = [name for name in ON_MAPS if METHODS[name].keeps_positions]


def left_half_network() -> tuple[nn.Module, Tensor]:
    """Two layers that copy the image, a head that reads the left half only; the right half of the image is brighter."""
    features = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(1, 1, 1), nn.ReLU())
    net = nn.Sequential(*features, nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net[0].weight.fill_(1.0)
        net[3].weight.fill_(1.0)
        net[6].weight.view(2, 8, 8)[1, :, :4] = 1.0
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 4:6, 2:4], x[0, 0, 6:12, 10:14] = 0.5, 1.0
    return net, x


def redrawn(model: nn.Module) -> nn.Module:
    """The same network with other weights."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


@pytest.mark.parametrize("name", ON_MAPS)
def test_evidence_lies_where_the_head_reads_it_exactly_where_that_is_promised(name):
    net, x = left_half_network()
    found = method(name).explain(net, x, [1]).map_BHW[0].clamp(min=0)
    share_right = float(found[:, 8:].sum() / found.sum())
    assert (share_right < 0.01) == METHODS[name].keeps_positions, share_right


@pytest.mark.parametrize("name", POSITIONAL)
def test_the_peak_lies_on_the_evidence_where_positions_are_kept(name):
    net, x = left_half_network()
    found = method(name).explain(net, x, [1]).map_BHW[0]
    row, column = divmod(int(found.argmax()), 16)
    assert 3 <= row <= 6
    assert 1 <= column <= 4


def test_the_method_that_auto_believes_keeps_positions_for_a_head_that_weighs_them(network):
    assert all(
        build(path).explainers_for(network(kind))[0].keeps_positions
        for path, kind in CASES
        if path.stem == "auto" and kind != "gap"
    )


@pytest.mark.parametrize(("path", "kind"), CASES, ids=CASE_IDS)
def test_controls_do_not_know_the_weights_and_everything_else_depends_on_them(path, kind, network, images):
    model, other, x = network(kind), redrawn(network(kind)), images(2)
    for explainer in build(path).explainers_for(model):
        same = torch.equal(explainer(model, x, [1, 0]), explainer(other, x, [1, 0]))
        assert same == explainer.is_control


@pytest.mark.parametrize(("path", "kind"), [(p, k) for p, k in CASES if k != "autoencoder"])
def test_maps_depend_on_the_class_exactly_where_a_class_is_needed(path, kind, network, images):
    model, x = network(kind), images(2)
    for explainer in build(path).explainers_for(model):
        one, other = (explainer.explain(model, x, [k, k]) for k in (0, 2))
        assert torch.equal(one.map_BHW, other.map_BHW) == (not explainer.needs_class)
        assert (one.target_B is None) == (not explainer.needs_class)
        assert torch.isnan(one.score_B).all() == explainer.is_control


@pytest.mark.parametrize("name", CLASS_METHODS)
@pytest.mark.parametrize("against", [None, [1, 0]])
def test_a_function_added_to_all_logits_changes_no_map(name, against, images):
    class Shifted(nn.Module):
        head_kind = "flatten"

        def __init__(self, is_shifted: bool) -> None:
            super().__init__()
            self.body, self.is_shifted = make_network("flatten"), is_shifted

        @property
        def feature_layer(self) -> nn.Module:
            return self.body.features[5]

        def forward(self, x: Tensor) -> Tensor:
            features = self.body.features(x)
            common = 3 * x.square().mean((1, 2, 3)) + features.mean((1, 2, 3))
            return self.body.head(features) + (common[:, None] if self.is_shifted else 0.0)

    explainer = method("fusion", finer="body.features.2") if name == "fusion" else method(name)
    plain, shifted = (explainer.explain(Shifted(how), images(2), [0, 1], against) for how in (False, True))
    assert torch.allclose(plain.cells_Bhw, shifted.cells_Bhw, atol=2e-6)
    assert torch.allclose(plain.score_B, shifted.score_B, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CLASS_METHODS if METHODS[name].unit == "log-odds"])
def test_a_map_in_log_odds_doubles_with_the_log_odds(name, images):
    """So maps of different images can be compared: none is stretched to look good."""
    model, doubled = make_network("flatten"), make_network("flatten")
    with torch.no_grad():
        doubled.head[4].weight.mul_(2)
        doubled.head[4].bias.mul_(2)
    one, two = (method(name).explain(net, images(2), [0, 1], [1, 2]) for net in (model, doubled))
    assert torch.allclose(two.score_B, 2 * one.score_B, atol=1e-5)
    assert torch.allclose(two.cells_Bhw, 2 * one.cells_Bhw, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in METHODS if not METHODS[name].needs_class])
def test_nothing_is_set_against_a_class_where_none_is_explained(name, images):
    with pytest.raises(ExplainError, match="explains no class"):
        method(name).explain(make_network(KINDS[name][-1]), images(1), [0], [1])


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_says_so_and_has_no_unit(name):
    kind = METHODS[name]
    assert kind.description.startswith("Control: ")
    assert kind.unit == "arbitrary"
    assert not kind.needs_class


def test_a_random_map_is_that_of_the_image_and_of_the_seed(network, images):
    model, x = network("flatten"), images(3)
    found = method("random").explain(model, x)
    assert found.cells_Bhw.shape == (3, 8, 8)
    assert found.geometry == method("hires_cam").explain(model, x).geometry
    assert torch.equal(found.cells_Bhw.flip(0), method("random").explain(model, x.flip(0)).cells_Bhw)
    assert not torch.equal(found.cells_Bhw, method("random", seed=1).explain(model, x).cells_Bhw)
    one, other = found.cells_Bhw[:2].flatten(1)
    assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 0.3
    many = method("random").explain(model, images(64)).cells_Bhw
    assert abs(float(many.mean())) < 0.05
    assert float(many.std()) == pytest.approx(1.0, abs=0.05)


def test_the_middle_brightness_and_edges_are_what_they_say(network):
    x = torch.zeros(1, 2, 24, 20)
    x[0, :, 5:9, 12:16] = 1.0
    x[0, 1] *= 0.5
    middle, bright, edges = (method(name)(network("mlp"), x)[0] for name in ("center", "blurred_intensity", "edges"))
    assert float(middle[11, 9]) == float(middle.max()) == float(middle[12, 10])
    assert float(middle[12, 5] / middle[12, 10]) == pytest.approx(
        torch.tensor(-0.5 * (4.5**2 - 0.5**2) / 25).exp().item()
    )
    assert divmod(int(bright.argmax()), 20) in [(6, 13), (6, 14), (7, 13), (7, 14)]
    assert float(bright.sum()) == pytest.approx(16 * 0.75, rel=1e-4)
    slope = torch.zeros(1, 1, 12, 12) + torch.arange(12) * 0.05
    assert torch.allclose(method("edges")(network("mlp"), slope)[0, :, 4:8], torch.tensor(0.05), atol=1e-4)
    assert float(edges[6:8, 13:15].max()) < 0.6 * float(edges.max())
    blank = method("edges").explain(network("mlp"), torch.full((1, 1, 8, 8), 0.3))
    assert blank.is_blank_B.tolist() == [True]


def test_impossible_blurs_are_refused():
    for name in ("blurred_intensity", "edges"):
        with pytest.raises(ValueError, match=r"explain\.sigma_px must be positive"):
            method(name, sigma_px=0.0)
