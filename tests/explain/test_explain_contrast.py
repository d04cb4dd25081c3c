"""Why this and not that: differences of two classes by hand, their signs, sums and identities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fakes.explainers import method
from scanlens.errors import ExplainError
from scanlens.explain.contrast import Contrast
from scanlens.explain.rival import rival_number
from scanlens.explain.target import difference, margin, runner_up

LINEAR = [
    "hires_cam",
    "grad_cam",
    "xgrad_cam",
    "ablation_cam",
    "score_cam",
    "integrated_gradients",
    "occlusion",
    "fusion",
]
ONE, TWO, ZERO = [1, 1], [2, 2], [0, 0]


def hires_of_logit(model: nn.Module, x_BCHW: Tensor, target: int) -> Tensor:
    """Gradient times activation of a single logit, by autograd alone."""
    model.eval()
    with torch.no_grad():
        activation_BChw = model.features(x_BCHW)
    activation_BChw.requires_grad_()
    (gradient_BChw,) = torch.autograd.grad(model.head(activation_BChw)[:, target].sum(), activation_BChw)
    return (gradient_BChw * activation_BChw).sum(1).detach()


def test_the_difference_is_the_log_odds_between_two_classes_whatever_the_third():
    logits = torch.tensor([[1.0, 4.0, -2.0], [2.0, -1.0, 50.0]], dtype=torch.float64)
    found = difference(logits, torch.tensor([1, 0]), torch.tensor([0, 1]))
    p = logits.softmax(1)
    assert found.tolist() == [3.0, 3.0]
    assert torch.allclose(found, torch.log(torch.stack([p[0, 1] / p[0, 0], p[1, 0] / p[1, 1]])))
    assert torch.equal(
        difference(logits[:, :2], torch.tensor([1, 0]), torch.tensor([0, 1])),
        margin(logits[:, :2], torch.tensor([1, 0])),
    )
    assert difference(logits[:, :1], torch.tensor([1, 0]), torch.tensor([0, 1])).tolist() == [1.0, -2.0]


def test_the_runner_up_is_the_likeliest_other_class():
    logits = torch.tensor([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0], [0.5, 0.5, 0.5]])
    assert runner_up(logits, torch.tensor([1, 0, 0])).tolist() == [2, 1, 1]
    assert runner_up(logits[:, :1], torch.tensor([1, 0, 0])).tolist() == [0, 1, 1]


def test_the_map_is_the_difference_of_the_maps_of_both_logits(network, images):
    model, x = network("flatten"), images(2)
    found = method("hires_cam").explain(model, x, ONE, TWO)
    expected = hires_of_logit(model, x, 1) - hires_of_logit(model, x, 2)
    assert torch.allclose(found.cells_Bhw, expected, atol=1e-6)
    assert (found.target_B.tolist(), found.against_B.tolist()) == (ONE, TWO)
    assert found.score_name == "log-odds between the two classes"
    assert "Explained: log-odds between the two classes." in found.legend
    assert (found.cells_Bhw < 0).any()
    assert (found.cells_Bhw > 0).any()


def test_it_sums_to_the_log_odds_between_the_two_but_for_the_biases():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    x = torch.rand(2, 1, 8, 8)
    for name in ("hires_cam", "xgrad_cam"):
        found = method(name, layer="1").explain(net, x, ONE, TWO)
        logits = net(x).detach()
        assert torch.allclose(found.score_B, logits[:, 1] - logits[:, 2], atol=1e-6)
        bias = (net[3].bias[1] - net[3].bias[2]).detach()
        assert torch.allclose(found.cells_Bhw.sum((1, 2)) + bias, found.score_B, atol=1e-5)


@pytest.mark.parametrize("name", LINEAR)
def test_the_other_way_round_is_the_negative_and_two_steps_add_up(name, network, images):
    model, x = network("flatten"), images(2)
    settings = {"steps": 24, "max_steps": 24} if name == "integrated_gradients" else {}

    def between(target: list[int], against: list[int]) -> Tensor:
        return method(name, **settings).explain(model, x, target, against).cells_Bhw

    assert torch.allclose(between(ONE, TWO), -between(TWO, ONE), atol=1e-6)
    assert torch.allclose(between(ONE, TWO) + between(TWO, ZERO), between(ONE, ZERO), atol=1e-5)


def test_of_two_classes_it_is_the_ordinary_map(images):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 196, 2))
    ordinary = method("hires_cam", layer="1").explain(net, images(3))
    against = Contrast("hires_cam", layer="1").explain(net, images(3))
    assert torch.equal(ordinary.cells_Bhw, against.cells_Bhw)
    assert torch.equal(against.against_B, 1 - against.target_B)


def test_integrated_gradients_between_two_classes_add_up(network, images):
    found = method("integrated_gradients").explain(network("flatten"), images(2), ONE, TWO)
    change = found.map_BHW.double().sum((1, 2)) - found.completeness_gap_B
    assert (found.completeness_gap_B.abs() <= 0.01 * change.abs().clamp(min=0.01)).all()


def test_contrast_takes_the_runner_up_or_the_class_that_was_named(network, images):
    model, x = network("flatten"), images(6)
    model.eval()
    with torch.no_grad():
        logits = model(x)
    second = logits.argsort(1, descending=True)[:, 1]
    found = Contrast("hires_cam").explain(model, x)
    assert torch.equal(found.target_B, logits.argmax(1))
    assert torch.equal(found.against_B, second)
    same = method("hires_cam").explain(model, x, logits.argmax(1), second)
    assert torch.equal(found.cells_Bhw, same.cells_Bhw)
    named = Contrast("hires_cam", against=2).explain(model, x, [0, 1, 2, 0, 1, 2])
    rival = logits[:, :2].argmax(1)
    assert named.against_B.tolist() == [2, 2, int(rival[2]), 2, 2, int(rival[5])]
    explicit = Contrast("hires_cam", against=2).explain(model, x[:1], [0], [1])
    assert explicit.against_B.tolist() == [1]


@pytest.mark.parametrize(
    ("kind", "inner"), [("gap", "Grad-CAM"), ("flatten", "HiResCAM"), ("mlp", "Integrated gradients")]
)
def test_contrast_says_which_method_it_took_and_against_whom(kind, inner, network, images):
    (explainer,) = Contrast().explainers_for(network(kind))
    legend = explainer.explain(network(kind), images(1)).legend
    assert f"The rival is the likeliest other class. Method: {inner}. Chosen" in legend
    assert "class number 1, or the likeliest other class" in Contrast(against=1).legend


def test_a_rival_may_be_named(network, images):
    model, x, names = network("flatten"), images(3), ["glioma", "normal", "other"]
    by_name = Contrast("hires_cam", against="other", class_names=names).explain(model, x, [0, 1, 2])
    by_number = Contrast("hires_cam", against=2).explain(model, x, [0, 1, 2])
    assert torch.equal(by_name.cells_Bhw, by_number.cells_Bhw)
    assert by_name.against_B.tolist()[:2] == [2, 2]
    assert "The rival is class other, or the likeliest other class where" in by_name.legend
    assert rival_number(["1", "0"], "0") == 1, "text is a name, also where it looks like a number"
    assert rival_number(["1", "0"], 0) == 0
    assert rival_number(names, None) is None


def test_impossible_rivals_are_refused(network, images):
    model, x = network("flatten"), images(2)
    with pytest.raises(ExplainError, match=r"cannot be set against itself.*\[1, 0\], against \[2, 0\]"):
        method("hires_cam").explain(model, x, [1, 0], [2, 0])
    with pytest.raises(ExplainError, match=r"must lie in 0\.\.2"):
        method("hires_cam").explain(model, x, [1, 0], [2, 3])
    with pytest.raises(ExplainError, match="one target class per image"):
        method("hires_cam").explain(model, x, [1, 0], [2])
    with pytest.raises(ExplainError, match=r"explain\.against must be the number of a class, 0 to 2; got 7"):
        Contrast(against=7).explain(model, x)
    with pytest.raises(
        ValueError, match=r"explain\.against=gliom: the classes are glioma, normal, other\. Did you mean 'glioma'\?"
    ):
        Contrast(against="gliom", class_names=["glioma", "normal", "other"])
    with pytest.raises(ValueError, match=r"by number; got 3\. The classes are glioma \(0\), normal \(1\), other \(2\)"):
        Contrast(against=3, class_names=["glioma", "normal", "other"])
    with pytest.raises(ValueError, match="not known here; give its number"):
        Contrast(against="glioma")
    with pytest.raises(ValueError, match=r"explain\.method must be auto or one of hires_cam"):
        Contrast(method="eigen_cam")
    with pytest.raises(ExplainError, match="knows no classes"):
        Contrast().explainers_for(network("autoencoder"))
