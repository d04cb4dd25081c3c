"""Weights on disk: they come back as they went, and anything else is refused with the file and the tensor."""

import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from scanlens import files
from scanlens.errors import ModelError
from scanlens.models.weights import load_weights, read_weights, save_weights


def small():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def test_saved_weights_come_back_bit_by_bit(tmp_path):
    first, second = small(), small()
    first(torch.rand(4, 1, 4, 4))  # moves the statistics of batch norm
    save_weights(tmp_path / "run" / "weights.safetensors", first)
    load_weights(tmp_path / "run", second)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_writing_leaves_nothing_but_the_file(tmp_path):
    save_weights(tmp_path / "weights.safetensors", small())
    assert os.listdir(tmp_path) == ["weights.safetensors"]


def test_failed_write_keeps_the_former_file_and_no_half_one(tmp_path, monkeypatch):
    model = small()
    save_weights(tmp_path / "weights.safetensors", model)
    before = (tmp_path / "weights.safetensors").read_bytes()

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_weights(tmp_path / "weights.safetensors", small())
    assert os.listdir(tmp_path) == ["weights.safetensors"]
    assert (tmp_path / "weights.safetensors").read_bytes() == before


def test_truncated_file_is_refused_by_name(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_weights(file, small())
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ModelError, match=r"weights\.safetensors.*broken or cut short"):
        load_weights(file, small())


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_rubbish_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(ModelError, match=name):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_name_the_tensor(tmp_path, bad):
    model = small()
    with torch.no_grad():
        model[3].bias[1] = bad
    save_weights(tmp_path / "weights.safetensors", model)
    with pytest.raises(ModelError, match=r"'3\.bias' holds NaN or infinite"):
        read_weights(tmp_path)


def test_pickled_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/ran",))

    torch.save({"0.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="could run code"):
        read_weights(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_torch_file_with_a_nested_and_prefixed_state_is_opened(tmp_path):
    model = small()
    state = {f"network.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    assert set(read_weights(tmp_path / "last.ckpt")) == set(model.state_dict())


def test_torch_file_with_something_that_is_no_tensor_names_it(tmp_path):
    torch.save({"a": torch.zeros(1), "epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="'epoch'"):
        read_weights(tmp_path / "a.pth")


def test_weights_of_another_network_change_nothing_and_name_the_difference(tmp_path):
    save_file({"0.weight": torch.zeros(2, 1, 3, 3), "4.bias": torch.zeros(1)}, tmp_path / "other.safetensors")
    model = small()
    before = model[0].weight.clone()
    with pytest.raises(ModelError, match=r"missing: 0\.bias.*and 5 more; unknown: 4\.bias"):
        load_weights(tmp_path / "other.safetensors", model)
    assert torch.equal(model[0].weight, before)


def test_other_shape_names_both_shapes(tmp_path):
    save_weights(tmp_path / "weights.safetensors", nn.Linear(3, 2))
    with pytest.raises(ModelError, match=r"weight \(2, 3\) instead of \(2, 4\)"):
        load_weights(tmp_path, nn.Linear(4, 2))


def test_file_above_the_bound_is_not_read(tmp_path):
    save_weights(tmp_path / "weights.safetensors", small())
    with pytest.raises(ModelError, match="more than the 10"):
        read_weights(tmp_path / "weights.safetensors", max_bytes=10)


def test_absent_file_and_unknown_suffix_say_what_is_taken(tmp_path):
    with pytest.raises(ModelError, match=r"no weights file.*folder of a finished run"):
        read_weights(tmp_path)
    (tmp_path / "weights.h5").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"must end in \.safetensors, \.pth"):
        read_weights(tmp_path / "weights.h5")
