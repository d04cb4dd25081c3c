"""Every yaml of conf/explain keeps the same promises; a new one enrolls itself."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
import torch
from torch import nn

from fakes.explainers import CASE_IDS, CASES, CLASS_METHODS, KINDS, METHODS, YAMLS, build, method, settings
from fakes.tiny_networks import NETWORKS
from scanlens.errors import ExplainError
from scanlens.explain.auto import Auto
from scanlens.paths import config_dir

AUTOENCODER_METHODS = ["residual", "latent_cam"]
ENROLLED = {
    "auto": set(NETWORKS),
    "none": set(),
    **{name: {"flatten", "gap"} for name in ("grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "xgrad_cam")},
    **{name: {"flatten", "gap"} for name in ("score_cam", "ablation_cam", "fusion")},
    "eigen_cam": {"flatten", "gap", "autoencoder"},
    **{name: {"flatten", "gap", "mlp"} for name in ("integrated_gradients", "occlusion", "contrast")},
    **{name: {"autoencoder"} for name in AUTOENCODER_METHODS},
    **{name: set(NETWORKS) for name in ("random", "center", "blurred_intensity", "edges")},
}


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Everything that an explanation must leave alone."""
    modules = list(model.modules())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "training": [module.training for module in modules],
        "hooks": [len(getattr(module, hook)) for module in modules for hook in hooks],
        "parameters": [id(parameter) for parameter in model.parameters()],
        "weights": [value.clone() for value in model.state_dict().values()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "grad_objects": [id(parameter.grad) for parameter in model.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "random": torch.get_rng_state(),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for key, value in before.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, after[key]), key
        elif value and any(isinstance(item, torch.Tensor) for item in value):
            pairs = zip(value, after[key], strict=True)
            assert all(a is b if a is None or b is None else torch.equal(a, b) for a, b in pairs), key
        else:
            assert value == after[key], key


FILLED_IN = {"class_names"}  # by the program, which knows the data


def in_mid_training(model: nn.Module) -> nn.Module:
    """Mixed modes, a frozen layer, and gradients of a step that is not finished."""
    model.train()
    convs = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()
    convs[0].requires_grad_(False)
    for index, parameter in enumerate(model.parameters()):
        if parameter.requires_grad and index % 3:
            parameter.grad = torch.full_like(parameter, index + 0.5)
    return model


def test_every_designed_method_has_its_yaml_and_explains_what_it_should():
    assert ENROLLED.items() <= {name: set(kinds) for name, kinds in KINDS.items()}.items()


def test_every_yaml_but_none_explains_something():
    assert [name for name, kinds in KINDS.items() if not kinds] == ["none"]


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_every_setting_of_the_yaml_is_an_annotated_argument_with_that_default(path):
    arguments = settings(path)
    module, _, name = arguments.pop("_target_").rpartition(".")
    parameters = dict(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    assert arguments == {key: one.default for key, one in parameters.items() if key not in FILLED_IN}
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in parameters.values())


def test_none_explains_nothing(network):
    assert build(config_dir() / "explain" / "none.yaml").explainers_for(network("flatten")) == []


@pytest.mark.parametrize("name", [name for name in METHODS if "gap" in KINDS[name]])
def test_a_method_is_called_like_its_yaml_and_stands_for_itself(name, network):
    explainer = method(name)
    assert explainer.name == name
    assert explainer.explainers_for(network("gap")) == [explainer]


@pytest.mark.parametrize(("path", "kind"), CASES, ids=CASE_IDS)
def test_maps_are_finite_float32_of_the_size_of_the_image(path, kind, network, images):
    model = network(kind)
    for explainer in build(path).explainers_for(model):
        found = explainer.explain(model, images(3), None)
        assert found.map_BHW.shape == (3, 16, 16)
        assert found.map_BHW.dtype == found.cells_Bhw.dtype == torch.float32
        assert torch.isfinite(found.map_BHW).all()
        assert not found.is_blank_B.any()
        assert (found.map_BHW[:, ~found.covered_HW] == 0).all()
        assert found.method == explainer.name
        assert found.score_B.shape == (3,)
        assert found.legend.startswith(explainer.legend)
        rows, columns = found.geometry.jump_yx
        assert f"Layer {found.layer}, " in found.legend
        assert f" cells of {rows:g}x{columns:g} px. Explained: {found.score_name}." in found.legend
        assert torch.equal(explainer(model, images(3), None), found.map_BHW)


@pytest.mark.parametrize(("path", "kind"), CASES, ids=CASE_IDS)
def test_nothing_is_left_behind_also_under_inference_mode_and_autocast(path, kind, network, images):
    model = in_mid_training(network(kind))
    before = snapshot(model)
    for explainer in build(path).explainers_for(model):
        plain = explainer.explain(model, images(2), [1, 0])
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            born_inside = images(2) * 1.0
            guarded = explainer.explain(model, born_inside, torch.tensor([1, 0]))
        assert torch.equal(plain.map_BHW, guarded.map_BHW)
        assert_same(before, snapshot(model))


@pytest.mark.parametrize(("path", "kind"), CASES, ids=CASE_IDS)
def test_nothing_is_left_behind_when_the_network_raises_and_the_error_gets_out(path, kind, network, images):
    model = in_mid_training(network(kind))
    explainers = build(path).explainers_for(model)
    passes: list[str] = []

    def fail(*_: object) -> None:
        torch.rand(3)
        passes.append(kind)
        raise IndexError("from inside")

    list(model.modules())[-1 if kind != "autoencoder" else 4].register_forward_hook(fail)
    before = snapshot(model)
    for explainer in explainers:
        passes.clear()
        raised = ""
        try:
            explainer.explain(model, images(2), [1, 0])
        except IndexError as error:
            raised = str(error)
        assert raised == ("from inside" if passes else "")
        assert passes or (explainer.is_control and (not explainer.asks_network or kind == "mlp"))
        assert_same(before, snapshot(model))


@pytest.mark.parametrize(("path", "kind"), CASES, ids=CASE_IDS)
def test_a_batch_equals_its_images_one_by_one(path, kind, network, images):
    model, x, target = network(kind), images(8), torch.tensor([0, 1, 2, 2, 1, 0, 1, 2])
    for explainer in build(path).explainers_for(model):
        together = explainer.explain(model, x, target)
        for index in range(8):
            alone = explainer.explain(model, x[index : index + 1], target[index : index + 1])
            assert torch.allclose(together.cells_Bhw[index], alone.cells_Bhw[0], atol=1e-5)
            assert torch.allclose(together.score_B[index], alone.score_B[0], atol=1e-5, equal_nan=explainer.is_control)


@pytest.mark.parametrize(("path", "kind"), CASES, ids=CASE_IDS)
def test_a_frozen_network_is_explained_like_an_unfrozen_one(path, kind, network, images):
    thawed, frozen = network(kind), network(kind).requires_grad_(False)
    for free, fixed in zip(build(path).explainers_for(thawed), build(path).explainers_for(frozen), strict=True):
        assert torch.equal(free(thawed, images(2), [1, 2]), fixed(frozen, images(2), [1, 2]))


@pytest.mark.parametrize(("path", "kind"), CASES, ids=CASE_IDS)
def test_weights_in_half_precision_or_born_in_inference_mode_work(path, kind, network, images):
    rounded = network(kind).bfloat16().float()
    half = network(kind).bfloat16()
    with torch.inference_mode():
        born_inside = network(kind).bfloat16().float()
    assert any(parameter.is_inference() for parameter in born_inside.parameters())
    for explainer in build(path).explainers_for(rounded):
        expected = explainer(rounded, images(2), [1, 2])
        for model in (half, born_inside):
            before = [(id(p), p.dtype) for p in model.parameters()]
            assert torch.allclose(explainer(model, images(2), [1, 2]), expected, atol=1e-6)
            assert [(id(p), p.dtype) for p in model.parameters()] == before


@pytest.mark.parametrize("name", CLASS_METHODS)
def test_predicted_classes_are_explained_when_none_are_named(name, network, images):
    model, x = network("flatten"), images(5)
    model.eval()
    with torch.no_grad():
        predicted = model(x).argmax(1)
    found, named = method(name).explain(model, x), method(name).explain(model, x, predicted)
    assert torch.equal(found.map_BHW, named.map_BHW)
    assert torch.equal(found.target_B, predicted)


@pytest.mark.parametrize("name", CLASS_METHODS)
def test_class_maps_of_an_autoencoder_are_refused_with_the_alternative(name, network, images):
    with pytest.raises(ExplainError, match=r"knows no classes.*explain=residual"):
        method(name).explainers_for(network("autoencoder"))
    with pytest.raises(ExplainError, match="knows no classes"):
        method(name).explain(network("autoencoder"), images(1))


@pytest.mark.parametrize("name", AUTOENCODER_METHODS)
def test_residuals_of_a_classifier_are_refused_with_the_alternative(name, network):
    with pytest.raises(ExplainError, match=r"is a classifier.*explain=auto"):
        method(name).explainers_for(network("gap"))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("gap", ["grad_cam"]),
        ("flatten", ["hires_cam", "grad_cam"]),
        ("autoencoder", ["residual", "latent_cam"]),
        ("mlp", ["integrated_gradients", "occlusion"]),
    ],
)
def test_auto_chooses_by_the_head_and_says_why(kind, expected, network):
    chosen = Auto().explainers_for(network(kind))
    assert [explainer.name for explainer in chosen] == expected
    assert "Chosen" in chosen[0].legend
    assert all(explainer.reason in explainer.legend for explainer in chosen)


def test_auto_trusts_grad_cam_only_at_the_layer_that_the_head_averages(network, images):
    model = network("gap")
    own = next(name for name, module in model.named_modules() if module is model.feature_layer)
    earlier = next(name for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    assert [explainer.name for explainer in Auto(own).explainers_for(model)] == ["grad_cam"]
    assert [explainer.name for explainer in Auto(earlier).explainers_for(model)] == ["hires_cam", "grad_cam"]
    chosen, same = Auto().explainers_for(model)[0], method("hires_cam")
    torch.testing.assert_close(chosen.explain(model, images(2)).cells_Bhw, same.explain(model, images(2)).cells_Bhw)


def test_auto_asks_the_pixels_of_a_network_whose_only_feature_layer_is_its_input(network):
    model = network("mlp")
    model._feature = 0
    assert [explainer.name for explainer in Auto().explainers_for(model)] == ["integrated_gradients", "occlusion"]
    assert [explainer.layer for explainer in Auto("features.0").explainers_for(model)] == ["features.0"] * 2


def test_auto_asks_for_a_method_when_the_head_is_of_an_unknown_kind(network):
    model = network("gap")
    model.head_kind = "attention"
    with pytest.raises(ExplainError, match=r"head_kind must be .* got 'attention'.*explain=hires_cam"):
        Auto().explainers_for(model)
