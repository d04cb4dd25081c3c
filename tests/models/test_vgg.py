"""VGG-19: counts of the paper, freezing, gray images, weights from files, cache and nowhere; nothing is downloaded."""

import email.message
import importlib
import io
import threading
import urllib.error

import pytest
import torch
from safetensors.torch import save_file

from scanlens.errors import ModelError
from scanlens.models import pretrained
from scanlens.models.vgg import VGG19
from scanlens.models.weights import save_weights


def make(num_classes=2, in_channels=3, **settings):
    torch.manual_seed(settings.pop("seed", 0))
    return VGG19(num_classes, in_channels, 32, **{"weights": "none", "batch_norm": False} | settings)


@pytest.fixture(scope="module")
def former_run(tmp_path_factory):
    """The folder of a finished run with four classes."""
    folder = tmp_path_factory.mktemp("outputs") / "former-run"
    network = make(4, 3, seed=5, input_mean=[0.1, 0.2, 0.3], input_std=[0.4, 0.5, 0.6])
    save_weights(folder / "weights.safetensors", network)
    return folder


@pytest.fixture
def broken_network(monkeypatch, tmp_path):
    """No cache, and a network that refuses."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(pretrained.urllib.request, "urlopen", refuse)


def trained_state(**change):
    return {name: tensor.clone() for name, tensor in make(1000, 3, seed=3).state_dict().items()} | change


def test_features_have_the_parameters_of_the_paper():
    assert sum(p.numel() for p in make().features.parameters()) == 20_024_384


def test_original_head_makes_the_whole_network_that_of_the_paper():
    with torch.device("meta"):
        network = make(1000, head="original")
    assert sum(p.numel() for p in network.parameters()) == 143_667_240  # torchvision's own number
    assert network.head_kind == "flatten"


def test_original_head_computes_what_torchvision_computes_under_the_same_names():
    reference = importlib.import_module("torchvision.models.vgg").vgg19(init_weights=False).eval()
    with torch.device("meta"):
        network = make(1000, head="original").eval()
    identity = {"standardize.mean_C": torch.zeros(3), "standardize.std_C": torch.ones(3)}
    network.load_state_dict(reference.state_dict() | identity, assign=True)
    x_BCHW = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(x_BCHW), reference(x_BCHW))


def test_layer_worth_explaining_is_the_last_relu():
    plain, normalized = make(), make(batch_norm=True)
    assert plain.feature_layer is plain.features[35]
    assert normalized.feature_layer is normalized.features[51]
    assert isinstance(plain.feature_layer, torch.nn.ReLU)
    assert plain.first_conv is plain.features[0]
    assert plain.feature_layer is plain.features[-1], "the linear head averages it without a pool between"
    assert isinstance(make(head="original").features[-1], torch.nn.MaxPool2d)


def test_maps_of_the_last_relu_add_up_to_the_logits_of_the_linear_head():
    network, x_BCHW = make().eval(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        maps_BChw = network.features(network.standardize(x_BCHW))
        shares_BKhw = torch.einsum("kc,bchw->bkhw", network.classifier[-1].weight, maps_BChw) / maps_BChw[0, 0].numel()
        logits_BK = network(x_BCHW)
    assert maps_BChw.shape == (2, 512, 4, 4)
    torch.testing.assert_close(
        shares_BKhw.sum(dim=(2, 3)) + network.classifier[-1].bias, logits_BK, rtol=1e-4, atol=1e-5
    )


def test_features_compute_what_torchvision_computes():
    network = make().eval()
    with torch.device("meta"):
        reference = importlib.import_module("torchvision.models.vgg").vgg19(init_weights=False).features[:-1]
    reference.load_state_dict(network.features.state_dict(), assign=True)
    x_BCHW = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network.embed(x_BCHW), reference(x_BCHW).mean(dim=(2, 3)))


def test_gray_image_equals_color_image_of_three_equal_channels():
    gray = make(in_channels=1, input_mean=[0.4], input_std=[0.2]).eval()
    color = make(in_channels=3, input_mean=[0.4] * 3, input_std=[0.2] * 3).eval()
    x_BCHW = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(gray(x_BCHW), color(x_BCHW.expand(-1, 3, -1, -1)))


def test_too_small_image_says_what_is_needed():
    with pytest.raises(ModelError, match="at least 32x32 pixels, got 28x28"):
        VGG19(2, 1, 28, weights="none")


def test_absent_torchvision_says_what_to_install(monkeypatch):
    def absent(name):
        raise ImportError("No module named 'torchvision'")

    monkeypatch.setattr(pretrained.importlib, "import_module", absent)
    with pytest.raises(ModelError, match="pip install torch torchvision"):
        make()


class TestFreezing:
    def test_exactly_the_lowest_blocks_are_frozen(self):
        network = make()
        for count in (3, 0, 5, 1):
            network.set_frozen_blocks(count)
            learning = [all(p.requires_grad for p in block) for block in network.blocks()]
            assert learning == [False] * count + [True] * (5 - count)
            assert all(p.requires_grad for p in network.classifier.parameters())

    def test_blocks_hold_2_2_4_4_4_convolutions(self):
        assert [len(block) // 2 for block in make().blocks()] == [2, 2, 4, 4, 4]

    def test_frozen_batch_norm_keeps_its_statistics_and_thawed_learns_them(self):
        network = make(batch_norm=True, frozen_blocks=2).train()
        before = {name: tensor.clone() for name, tensor in network.features.state_dict().items()}
        with torch.no_grad():
            network(torch.rand(4, 3, 32, 32))
        moved = [
            int(name.split(".")[0])
            for name, tensor in network.features.state_dict().items()
            if "running_mean" in name and not torch.equal(tensor, before[name])
        ]
        assert min(moved) > 13  # features[13] is the pool that ends block 2
        assert len(moved) == 12
        network.set_frozen_blocks(0)
        assert network.features[1].training

    def test_thawing_in_evaluation_mode_does_not_start_training_mode(self):
        network = make(batch_norm=True, frozen_blocks=2).eval()
        network.set_frozen_blocks(0)
        assert not any(module.training for module in network.modules())

    @pytest.mark.parametrize("count", [-1, 6])
    def test_impossible_count_is_refused(self, count):
        with pytest.raises(ModelError, match="between 0 and 5"):
            make().set_frozen_blocks(count)

    def test_lower_blocks_learn_more_slowly(self):
        groups = make(frozen_blocks=3).parameter_groups(lr=0.1, block_decay=0.5)
        rates = {group["name"]: group["lr"] for group in groups if "/" not in group["name"]}
        assert rates == {
            "head": 0.1, "block5": 0.05, "block4": 0.025, "block3": 0.0125, "block2": 0.00625, "block1": 0.003125,
        }  # fmt: skip

    def test_decay_outside_its_range_is_refused(self):
        with pytest.raises(ModelError, match="block_decay"):
            make().parameter_groups(lr=0.1, block_decay=1.5)


class TestWeightsFromFiles:
    def test_run_with_other_classes_gives_its_backbone_and_statistics(self, former_run):
        former = make(4, 3, seed=5)
        network = make(2, weights=str(former_run), batch_norm="auto", input_mean=[0.9] * 3)
        assert torch.equal(network.features[34].weight, former.features[34].weight)
        assert network.standardize.mean_C.tolist() == pytest.approx([0.1, 0.2, 0.3])
        assert network.weights_note.endswith("former-run/weights.safetensors; the head is new")
        assert network.frozen_blocks == 2
        assert not network.has_batch_norm

    def test_run_with_as_many_classes_gives_its_head_too(self, former_run):
        network = make(4, weights=str(former_run), seed=9)
        assert torch.equal(network.classifier[1].weight, make(4, 3, seed=5).classifier[1].weight)
        assert network.weights_note.endswith("its head too")

    def test_torch_file_without_statistics_is_taken_for_imagenet_scaled(self, tmp_path):
        state = {name: t for name, t in trained_state().items() if name.startswith("features.")}
        torch.save(state, tmp_path / "vgg19.pth")
        network = make(in_channels=1, weights=str(tmp_path / "vgg19.pth"), input_mean=[0.5], input_std=[0.5])
        assert network.standardize.mean_C.tolist() == pytest.approx([0.485, 0.456, 0.406])

    def test_five_channels_see_the_mean_of_the_color_kernels(self, former_run):
        network = make(in_channels=5, weights=str(former_run), input_mean=[0.2] * 5, input_std=[0.3] * 5)
        color = make(4, 3, seed=5).features[0]
        equal = torch.rand(1, 1, 8, 8)
        with torch.no_grad():
            response = network.features[0](equal.expand(-1, 5, -1, -1))
            torch.testing.assert_close(response, color(equal.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)
        assert network.standardize.mean_C.tolist() == pytest.approx([0.2] * 5)

    def test_missing_tensor_names_file_and_tensor(self, tmp_path):
        state = trained_state()
        del state["features.10.bias"]
        save_file(state, tmp_path / "cut.safetensors")
        with pytest.raises(ModelError, match=r"cut\.safetensors.*missing: features\.10\.bias"):
            make(weights=str(tmp_path / "cut.safetensors"))

    def test_wrong_shape_names_file_and_tensor(self, tmp_path):
        save_file(trained_state(**{"features.34.bias": torch.zeros(7)}), tmp_path / "odd.safetensors")
        with pytest.raises(ModelError, match=r"odd\.safetensors.*features\.34\.bias \(7,\) instead of \(512,\)"):
            make(weights=str(tmp_path / "odd.safetensors"))

    def test_nan_names_file_and_tensor(self, tmp_path):
        save_file(trained_state(**{"features.34.bias": torch.full((512,), torch.nan)}), tmp_path / "nan.safetensors")
        with pytest.raises(ModelError, match=r"nan\.safetensors.*'features\.34\.bias' holds NaN"):
            make(weights=str(tmp_path / "nan.safetensors"))

    def test_truncated_file_is_named(self, former_run, tmp_path):
        content = (former_run / "weights.safetensors").read_bytes()
        (tmp_path / "short.safetensors").write_bytes(content[: len(content) // 2])
        with pytest.raises(ModelError, match=r"short\.safetensors.*cut short"):
            make(weights=str(tmp_path / "short.safetensors"))

    def test_batch_norm_that_the_file_lacks_says_what_to_set(self, former_run):
        with pytest.raises(ModelError, match=r"without batch norm.*batch_norm=auto"):
            make(weights=str(former_run), batch_norm=True)

    def test_misspelled_word_is_corrected(self):
        with pytest.raises(ModelError, match=r"got 'imagnet'. Did you mean 'imagenet'\?"):
            make(weights="imagnet")


class TestImageNet:
    def test_cached_weights_are_used_without_asking_the_network(self, tmp_path, broken_network):
        cache = tmp_path / "hub" / "checkpoints"
        cache.mkdir(parents=True)
        state = {n: t for n, t in trained_state().items() if n.startswith("features.")}
        torch.save(state, cache / "vgg19-dcbb9e9d.pth", _use_new_zipfile_serialization=False)  # as the real one
        network = make(in_channels=1, weights="auto", batch_norm="auto")
        assert torch.equal(network.features[0].weight, state["features.0.weight"])
        assert network.standardize.std_C.tolist() == pytest.approx([0.229, 0.224, 0.225])
        assert network.weights_note == "backbone from ImageNet weights; the head is new"
        assert (network.frozen_blocks, network.has_batch_norm) == (2, False)

    def test_auto_without_network_falls_back_and_says_so_loudly(self, broken_network, caplog):
        network = make(weights="auto", batch_norm="auto", frozen_blocks=3, input_mean=[0.3], input_std=[0.2])
        assert network.weights_note.startswith("trained from scratch")
        assert "Name or service not known" in network.weights_note
        assert network.weights_note in caplog.text
        assert "freezes random weights" in caplog.text
        assert network.has_batch_norm
        assert network.standardize.mean_C.tolist() == pytest.approx([0.3] * 3)

    def test_fallback_freezes_nothing_by_itself(self, broken_network):
        assert make(weights="auto").frozen_blocks == 0

    def test_imagenet_on_demand_is_an_error_with_the_way_out(self, broken_network):
        with pytest.raises(ModelError, match=r"vgg19-dcbb9e9d\.pth.*TORCH_HOME"):
            make(weights="imagenet")

    def test_broken_file_in_the_cache_falls_back(self, tmp_path, broken_network, caplog):
        cache = tmp_path / "hub" / "checkpoints"
        cache.mkdir(parents=True)
        (cache / "vgg19-dcbb9e9d.pth").write_bytes(b"half a file")
        assert make(weights="auto").weights_note.startswith("trained from scratch")

    def test_silent_server_is_given_up(self, broken_network, monkeypatch):
        test_is_over = threading.Event()

        def stay_silent(*args, **kwargs):
            test_is_over.wait(timeout=5)
            raise urllib.error.URLError("too late")

        monkeypatch.setattr(pretrained, "CONNECT_TIMEOUT_S", 0.05)
        monkeypatch.setattr(pretrained.urllib.request, "urlopen", stay_silent)
        note = make(weights="auto").weights_note
        test_is_over.set()
        assert "no answer within 0.05 s" in note

    def test_download_with_a_wrong_hash_falls_back_and_leaves_nothing(self, tmp_path, broken_network, monkeypatch):
        def serve(*args, **kwargs):
            answer = io.BytesIO(b"something else")
            answer.info = email.message.Message
            return answer

        monkeypatch.setattr(pretrained.urllib.request, "urlopen", serve)
        monkeypatch.setattr(torch.hub, "urlopen", serve)
        assert "invalid hash value" in make(weights="auto").weights_note
        assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []

    def test_rebuilding_loads_nothing_and_keeps_what_was_settled(self, tmp_path, broken_network):
        again = make(batch_norm="auto", weights="auto", input_mean=[0.3], input_std=[0.2]).rebuild_arguments()
        assert (again["weights"], again["frozen_blocks"], again["batch_norm"]) == ("none", 0, True)
        assert again["input_mean"] == pytest.approx([0.3] * 3)
