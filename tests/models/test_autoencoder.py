"""The autoencoder, and the classifier that starts from its encoder."""

import pytest
import torch

from scanlens.errors import ModelError
from scanlens.models.autoencoder import Autoencoder
from scanlens.models.encoder_classifier import EncoderClassifier
from scanlens.models.weights import save_weights

SMALL = {"channels": [8, 16], "latent_channels": 8}


def blobs(num, size=16):
    """A bright disk anywhere on gray, known to be describable by few numbers."""
    torch.manual_seed(0)
    centers = torch.rand(num, 2) * size / 2 + size / 4
    pixels = torch.arange(size)
    squared = (pixels - centers[:, :1]).square()[:, :, None] + (pixels - centers[:, 1:]).square()[:, None, :]
    return 0.2 + 0.6 * torch.exp(-squared / 8)[:, None]


def test_learns_to_draw_what_it_sees():
    x_BCHW = blobs(32)
    torch.manual_seed(0)
    network = Autoencoder(1, 16, **SMALL, input_mean=[x_BCHW.mean().item()], input_std=[x_BCHW.std().item()])
    optimizer = torch.optim.AdamW(network.parameter_groups(lr=1e-2))
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(x_BCHW), x_BCHW).backward()
        optimizer.step()
    error = (network.eval()(x_BCHW) - x_BCHW).square().mean().item()
    assert error < 0.1 * x_BCHW.var().item()


@pytest.mark.parametrize("size", [32, 28, 45])
def test_output_has_the_size_of_the_input_and_lies_between_0_and_1(size):
    x_BCHW = torch.rand(2, 3, size, size)
    reconstruction = Autoencoder(3, size)(x_BCHW)
    assert reconstruction.shape == x_BCHW.shape
    assert 0 <= reconstruction.min() <= reconstruction.max() <= 1


def test_latent_of_64_pixels_has_an_eighth_as_many_numbers():
    network = Autoencoder(1, 64).eval()
    latent = network.encode(torch.rand(1, 1, 64, 64))
    assert latent.shape == (1, 32, 4, 4)
    assert latent.numel() * 8 == 64 * 64
    assert latent.min() >= 0
    torch.testing.assert_close(network.embed(torch.rand(1, 1, 64, 64)).shape, torch.Size([1, 32]))


def test_layer_worth_explaining_gives_the_latent():
    network = Autoencoder(1, 32).eval()
    seen = []
    hook = network.feature_layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    latent = network.encode(torch.rand(1, 1, 32, 32))
    hook.remove()
    assert isinstance(network.feature_layer, torch.nn.ReLU)
    assert torch.equal(seen[0], latent)


def test_too_many_stages_for_the_image_are_refused():
    with pytest.raises(ModelError, match="4 stages need images of more than 16 pixels a side, got 16"):
        Autoencoder(1, 16)


def test_classifier_starts_from_the_encoder_of_a_run(tmp_path):
    torch.manual_seed(0)
    teacher = Autoencoder(1, 16, **SMALL, input_mean=[0.3], input_std=[0.2]).eval()
    teacher.encoder(torch.rand(4, 1, 16, 16))
    save_weights(tmp_path / "weights.safetensors", teacher)
    student = EncoderClassifier(3, 1, 16, weights=str(tmp_path), input_mean=[0.9], input_std=[0.9]).eval()
    x_BCHW = torch.rand(2, 1, 16, 16)
    assert torch.equal(student.embed(x_BCHW), teacher.embed(x_BCHW))
    assert student(x_BCHW).shape == (2, 3)
    assert student.channels == [8, 16, 8]
    assert "weights.safetensors" in student.weights_note
    assert set(teacher.encoder_state()) <= set(student.state_dict())


def test_frozen_encoder_keeps_weights_and_statistics_while_the_head_learns():
    torch.manual_seed(0)
    network = EncoderClassifier(2, 1, 16, channels=[4, 4], frozen=True).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.SGD(network.parameter_groups(lr=0.1))
    torch.nn.functional.cross_entropy(network(torch.rand(4, 1, 16, 16)), torch.tensor([0, 1, 0, 1])).backward()
    optimizer.step()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_weights_without_an_encoder_say_what_to_give(tmp_path):
    save_weights(tmp_path / "weights.safetensors", torch.nn.Linear(2, 2))
    with pytest.raises(ModelError, match="model=autoencoder"):
        EncoderClassifier(2, 1, 16, weights=str(tmp_path))


def test_encoder_for_other_channels_is_refused_with_the_tensor(tmp_path):
    save_weights(tmp_path / "weights.safetensors", Autoencoder(1, 16, **SMALL))
    with pytest.raises(ModelError, match=r"encoder\.0\.0\.weight \(8, 1, 4, 4\) instead of \(8, 3, 4, 4\)"):
        EncoderClassifier(2, 3, 16, weights=str(tmp_path))
