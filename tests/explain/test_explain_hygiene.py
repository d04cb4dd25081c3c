"""The traps of explanation tools: what must be refused, survive, or stay unchanged."""

from __future__ import annotations

import ast
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fakes.explainers import KINDS, METHODS, method, quick
from fakes.tiny_networks import make_vgg19_features
from scanlens.errors import ExplainError
from scanlens.explain import cam
from scanlens.explain.cam import GradCam, GradCamPlusPlus, HiResCam
from scanlens.explain.filters import feature_maps
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.occlusion import Occlusion
from scanlens.explain.residual import LatentCam, Residual


def make_net(is_inplace: bool) -> nn.Sequential:
    torch.manual_seed(0)
    convs = [nn.Conv2d(1, 4, 3), nn.ReLU(is_inplace), nn.Conv2d(4, 4, 3), nn.ReLU(is_inplace)]
    return nn.Sequential(*convs, nn.Flatten(), nn.Linear(4 * 64, 2))


@pytest.mark.parametrize("layer", ["0", "2", "3"])
@pytest.mark.parametrize("explainer", [GradCam, GradCamPlusPlus, HiResCam])
def test_an_in_place_successor_changes_no_map(layer, explainer):
    x = torch.rand(2, 1, 12, 12)
    inplace = explainer(layer).explain(make_net(True), x, [0, 1]).cells_Bhw
    copied = explainer(layer).explain(make_net(False), x, [0, 1]).cells_Bhw
    assert torch.equal(inplace, copied)


def test_activations_are_read_before_the_in_place_relu():
    """HiResCAM of the convolution itself, by hand: the gradient passes only where the ReLU is open."""
    net, x = make_net(True), torch.rand(1, 1, 12, 12)
    out_of_place = make_net(False)
    activation = out_of_place[:3](x).detach().requires_grad_()
    logits = out_of_place[3:](activation)
    (gradient,) = torch.autograd.grad(logits[0, 1] - logits[0, 0], activation)
    assert activation.min() < 0
    found = HiResCam("2").explain(net, x, [1])
    assert torch.allclose(found.cells_Bhw, (gradient * activation).sum(1), atol=1e-6)


def test_an_activation_that_shares_memory_with_its_input_is_kept_as_it_was():
    class Reusing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.through, self.last = nn.Conv2d(1, 2, 3), nn.Dropout(), nn.Conv2d(2, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            stem = self.stem(x)
            logits = self.last(self.through(stem)).mean((2, 3))
            return logits + 0.0 * stem.zero_().sum()

    torch.manual_seed(0)
    net, x = Reusing(), torch.rand(1, 1, 8, 8)
    with torch.no_grad():
        assert np.allclose(feature_maps(net, x, "through"), net.stem(x)[0], atol=1e-6)
    assert not GradCam("through").explain(net, x).is_blank_B.any()


def test_a_network_that_writes_into_its_input_does_not_change_the_images():
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 36, 2))
    x = torch.rand(2, 1, 8, 8) - 0.5
    before = x.clone()
    for explainer in (GradCam("1"), IntegratedGradients(), Occlusion()):
        explainer.explain(net, x)
        assert torch.equal(x, before)


def test_a_shared_layer_is_refused():
    relu = nn.ReLU()
    net = nn.Sequential(nn.Conv2d(1, 2, 3), relu, nn.Conv2d(2, 2, 3), relu, nn.Flatten(), nn.Linear(32, 2))
    with pytest.raises(ExplainError, match=r"'1' \(ReLU\) runs more than once"):
        GradCam("1").explain(net, torch.rand(1, 1, 8, 8))
    assert not relu._forward_hooks


def test_a_single_cell_is_refused_and_the_last_layer_with_a_map_is_named():
    net = nn.Sequential(nn.Conv2d(1, 2, 5), nn.ReLU(), nn.Conv2d(2, 3, 4), nn.Flatten(), nn.Linear(3, 2))
    with pytest.raises(ExplainError, match=r"'2' has a single cell.*such as '1'"):
        GradCam("2").explain(net, torch.rand(1, 1, 8, 8))
    with pytest.raises(ExplainError, match=r"'3' gives a tensor of shape \(1, 3\)"):
        GradCam("3").explain(net, torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize("targets", [[0], [0, 1, 1], [[0], [1]], [0.0, 1.0]])
def test_anything_but_one_class_per_image_is_refused(targets):
    with pytest.raises(ExplainError, match="one target class per image"):
        GradCam("2").explain(make_net(False), torch.rand(2, 1, 12, 12), torch.tensor(targets))


def test_a_class_that_does_not_exist_is_refused():
    with pytest.raises(ExplainError, match=r"must lie in 0\.\.1; got \[0, 2\]"):
        GradCam("2").explain(make_net(False), torch.rand(2, 1, 12, 12), [0, 2])


@pytest.mark.parametrize(
    "x", [torch.rand(1, 12, 12), torch.zeros(1, 1, 12, 12, dtype=torch.uint8), torch.rand(0, 1, 2, 2)]
)
def test_anything_but_a_batch_of_floating_point_images_is_refused(x):
    with pytest.raises(ExplainError, match=r"floating-point tensor \(B, C, H, W\)"):
        GradCam("2").explain(make_net(False), x)


def test_a_misspelt_layer_gets_a_suggestion_and_a_missing_one_the_way_out(network):
    with pytest.raises(ExplainError, match=r"no layer 'featurs\.0'.*Did you mean 'features\.0'"):
        GradCam("featurs.0").check(network("gap"))
    with pytest.raises(ExplainError, match=r"names no feature layer.*explain=integrated_gradients"):
        GradCam().explainers_for(network("mlp"))


def test_a_layer_that_takes_no_part_or_does_not_matter_is_refused(network, images):
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused, self.ignored = (nn.Conv2d(1, 2, 3) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            self.ignored(x)
            return self.used(x).mean((2, 3))

    for name, message in (("unused", "took no part"), ("ignored", "does not depend on")):
        with pytest.raises(ExplainError, match=message):
            GradCam(name).explain(Aside(), images(1))
    with pytest.raises(ExplainError, match="took no part"):
        LatentCam("decoder.0").explain(network("autoencoder"), images(1))


def test_output_that_is_no_class_score_is_refused():
    with pytest.raises(ExplainError, match=r"class scores \(B, K\); got \(1, 2, 10, 10\)"):
        GradCam("0").explain(nn.Sequential(nn.Conv2d(1, 2, 3)), torch.rand(1, 1, 12, 12))


def test_residual_and_latent_cam_show_what_they_say(network, images):
    model, x = network("autoencoder"), images(3)
    with torch.no_grad():
        residual = x - model(x)
    found = Residual().explain(model, x, [0, 1, 2])
    assert torch.allclose(found.map_BHW, residual.mean(1), atol=1e-7)
    assert torch.allclose(found.score_B, residual.square().mean((1, 2, 3)))
    assert (found.map_BHW < 0).any()
    assert found.target_B is None
    with torch.no_grad():
        latent = model.encoder(x)  # the feature layer is the code: the gradient of its energy is the code itself
    energy = LatentCam().explain(model, x)
    expected = (latent.mean((2, 3), keepdim=True) * latent).sum(1)
    assert torch.allclose(energy.cells_Bhw, expected, atol=1e-6)
    assert torch.allclose(energy.score_B, 0.5 * latent.square().sum((1, 2, 3)))


def test_a_reconstruction_of_another_size_is_refused():
    with pytest.raises(ExplainError, match="reconstruction of the shape of the images"):
        Residual().explain(nn.Conv2d(1, 1, 3), torch.rand(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Occlusion(fill="noise"), "explain.fill must be one of blur, mean, zero"),
        (lambda: Occlusion(patch=4, stride=5), "stride = 5 is larger than explain.patch = 4"),
        (lambda: Occlusion(patch=0), "explain.patch must be at least 1"),
        (lambda: IntegratedGradients(baseline="black"), "explain.baseline must be one of"),
        (lambda: IntegratedGradients(steps=0), "explain.steps must be at least 1"),
        (lambda: IntegratedGradients(tolerance=0.0), "explain.tolerance must be positive"),
    ],
)
def test_impossible_settings_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_four_threads_on_one_network_get_the_serial_result(network, images):
    """Fifty calls each, through every method; the library's own objects crash Python when they are shared."""
    model, x = network("flatten"), images(4)
    explainers = [quick(name) for name in METHODS if "flatten" in KINDS[name]]
    expected = [[explainer(model, x[i : i + 1], [i % 3]) for explainer in explainers] for i in range(4)]
    wrong: list[object] = []

    def work(index: int) -> None:
        for turn in range(50):
            which = (turn + 5 * index) % len(explainers)
            found = explainers[which](model, x[index : index + 1], [index % 3])
            if not torch.equal(found, expected[index][which]):
                wrong.append((index, explainers[which].name))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert all(module.training and not module._forward_hooks for module in model.modules())


def test_three_hundred_calls_leave_no_memory_and_no_hooks_behind(network, images):
    psutil = pytest.importorskip("psutil", reason="memory is measured with psutil")
    model, x = network("gap"), images(2)
    explainers = [quick(name) for name in METHODS if "gap" in KINDS[name]]
    for explainer in explainers:
        explainer.explain(model, x)
    before = psutil.Process().memory_info().rss
    for turn in range(300):
        explainers[turn % len(explainers)].explain(model, x)
    assert psutil.Process().memory_info().rss - before < 20 * 2**20
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("layer", [34, 35])
@pytest.mark.parametrize("name", ["grad_cam", "hires_cam", "layer_cam", "xgrad_cam", "ablation_cam", "score_cam"])
def test_vgg19_with_relus_in_place_and_a_frozen_backbone_is_explained_like_one_without(layer, name):
    def make(is_inplace: bool) -> nn.Module:
        torch.manual_seed(2)
        features = make_vgg19_features(4, is_inplace=is_inplace)
        return nn.Sequential(features, nn.Flatten(), nn.Linear(4, 3))

    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    in_place, copied = make(True), make(False)
    in_place[0].requires_grad_(False)
    found = [method(name, layer=f"0.{layer}").explain(net, x, [0, 2]) for net in (in_place, copied)]
    assert torch.equal(found[0].cells_Bhw, found[1].cells_Bhw)


def test_without_torchvision_maps_of_pixels_work_and_class_activation_maps_say_what_to_install(
    network, images, monkeypatch
):
    for module in [name for name in sys.modules if name.partition(".")[0] == "pytorch_grad_cam"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    for name in ("integrated_gradients", "occlusion", "edges"):
        assert not method(name).explain(network("flatten"), images(1)).is_blank_B.any()
    for name in ("hires_cam", "score_cam", "eigen_cam"):
        with pytest.raises(ExplainError, match=r"grad-cam, which cannot be imported.*torchvision.*explain=occlusion"):
            method(name).explain(network("flatten"), images(1))


def test_heavy_libraries_are_imported_only_when_a_map_is_asked_for():
    for path in Path(cam.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & {"torchvision", "pytorch_grad_cam", "captum"}, path
