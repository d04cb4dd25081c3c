"""What tasks, explanations and reports rely on, for every network alike. A new network joins the list `NETWORKS`."""

import pytest
import torch

from scanlens.models.autoencoder import Autoencoder
from scanlens.models.encoder_classifier import EncoderClassifier
from scanlens.models.lenet import LeNet
from scanlens.models.mlp import MLP
from scanlens.models.vgg import VGG19
from scanlens.models.weights import load_weights, save_weights

SIZE = 32
NETWORKS = {
    "mlp": (MLP, {}),
    "lenet": (LeNet, {"batch_norm": True}),
    "vgg19": (VGG19, {"weights": "none"}),
    "autoencoder": (Autoencoder, {}),
    "encoder_classifier": (EncoderClassifier, {}),
}


def build(name, **more):
    make, settings = NETWORKS[name]
    facts = {"num_classes": 3, "in_channels": 1, "input_size": SIZE, "input_mean": [0.5], "input_std": [0.25]}
    torch.manual_seed(0)
    return make(**facts | settings | more)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    return build(request.param)


def test_eight_images_together_equal_eight_alone(network):
    network.eval()
    x_BCHW = torch.rand(8, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = network(x_BCHW)
        alone = torch.cat([network(x[None]) for x in x_BCHW])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_image_is_standardized_inside_the_network(network):
    network.eval()
    seen = []
    hook = network.standardize.register_forward_hook(lambda module, inputs, output: seen.append(output))
    x_BCHW = torch.rand(1, 1, SIZE, SIZE)
    with torch.no_grad():
        network(x_BCHW)
    hook.remove()
    torch.testing.assert_close(seen[0][:, :1], (x_BCHW - 0.5) / 0.25)


def test_explained_layer_has_positions_and_carries_gradient(network):
    network.eval()
    stored = []
    hook = network.feature_layer.register_forward_hook(lambda module, inputs, output: stored.append(output))
    output = network(torch.rand(2, 1, SIZE, SIZE, requires_grad=True))
    hook.remove()
    assert len(stored) == 1
    assert stored[0].ndim == 4
    (gradient,) = torch.autograd.grad(output.square().sum(), stored[0])
    assert gradient.abs().sum() > 0


def test_nothing_works_in_place(network):
    assert not [name for name, module in network.named_modules() if getattr(module, "inplace", False)]


def test_each_layer_is_called_once_per_image(network):
    network.eval()
    leaves = [module for module in network.modules() if not list(module.children())]
    calls = []
    hooks = [leaf.register_forward_hook(lambda module, inputs, output: calls.append(module)) for leaf in leaves]
    with torch.no_grad():
        network(torch.rand(1, 1, SIZE, SIZE))
    for hook in hooks:
        hook.remove()
    assert len(calls) == len(set(calls))


def test_groups_hold_every_parameter_once_and_decay_only_kernels(network):
    groups = network.parameter_groups(lr=0.1)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())
    assert all(p.ndim > 1 for group in groups if "weight_decay" not in group for p in group["params"])
    assert {group["lr"] for group in groups} == {0.1}


def test_features_are_one_finite_vector_an_image(network):
    with torch.no_grad():
        z_BD = network.eval().embed(torch.rand(3, 1, SIZE, SIZE))
    assert z_BD.ndim == 2
    assert len(z_BD) == 3
    assert z_BD.isfinite().all()


def test_head_kind_says_whether_positions_reach_the_head(network):
    kinds = {MLP: "flatten", LeNet: "flatten", VGG19: "gap", Autoencoder: "none", EncoderClassifier: "gap"}
    assert network.head_kind == kinds[type(network)]


@pytest.mark.parametrize("name", NETWORKS)
def test_network_built_from_its_rebuild_arguments_and_weights_answers_the_same(name, tmp_path):
    first = build(name).eval()
    save_weights(tmp_path / "weights.safetensors", first)
    second = build(name, **first.rebuild_arguments()).eval()
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.zero_()
    load_weights(tmp_path, second)
    x_BCHW = torch.rand(2, 1, SIZE, SIZE)
    with torch.no_grad():
        assert torch.equal(first(x_BCHW), second(x_BCHW))


def test_block_decay_without_blocks_is_announced(caplog):
    build("lenet").parameter_groups(lr=0.1, block_decay=0.5)
    assert "block_decay=0.5 has no effect" in caplog.text
