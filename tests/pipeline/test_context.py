"""What is told of an explained case beside its answer: compared with a search by hand, and with nothing lost when it fails."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from fakes.commands import train
from scanlens.config import build
from scanlens.data.burnt_in_text import MIN_MARKS
from scanlens.data.image_facts import FACTS
from scanlens.data.preprocess import Preprocess
from scanlens.errors import RunError
from scanlens.explain.cam import HiResCam
from scanlens.models.lenet import LeNet
from scanlens.models.mlp import MLP
from scanlens.pipeline import context
from scanlens.pipeline.context import add_context, neighbors, plain
from scanlens.pipeline.context.batch import Batch, ContextCase, batches, seen_and_said
from scanlens.pipeline.context.native import Native
from scanlens.pipeline.context.neighbors import read_neighbors
from scanlens.pipeline.context.original import Originals
from scanlens.pipeline.context.pictures import Pictures
from scanlens.pipeline.context.quality import Quality
from scanlens.pipeline.context.runner_up import TWO_CLASSES, RunnerUp
from scanlens.pipeline.fingerprint import embedded, read_fingerprint
from scanlens.pipeline.predict import predict
from scanlens.pipeline.run_images import open_data
from scanlens.runs import Run, load_run

SMALL = ["model=lenet", "data=mri", "data.num_patients=40", "data.slices_per_patient=3", "preprocess.size=32"]
SMALL += ["trainer.max_epochs=2", "callbacks.num_explained_cases=4", "callbacks.bootstrap_resamples=0"]
SMALL += ["audit.enabled=false", "verdict.enabled=false", "report=none", "trainer.num_threads=1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("context")
    done = train(*SMALL, "run_id=r", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "the context of explained cases" not in done.stderr
    return Run(folder / "outputs" / "r")


def told(run: Run) -> dict[str, Any]:
    return json.loads((run.explanations / "context.json").read_text(encoding="utf-8"))


def changed(run: Run, folder: Path, **settings: Any) -> Run:
    """A copy whose configuration says something else below `callbacks`, `facts` or `data`."""
    shutil.copytree(run.folder, folder / "r")
    copy = Run(folder / "r")
    config = yaml.safe_load(copy.config_file.read_text(encoding="utf-8"))
    for path, value in settings.items():
        part, _, name = path.partition("__")
        config[part][name] = value
    copy.config_file.write_text(yaml.safe_dump(config), encoding="utf-8")
    for path in [*copy.explanations.glob("similar_*"), copy.explanations / "context.json", copy.neighbors_file]:
        path.unlink()
    return copy


def written(run: Run) -> dict[str, Any]:
    _, network = load_run(run.folder)
    add_context(run, network, open_data(run))
    return told(run)


def test_neighbors_are_those_of_a_search_by_hand(finished: Run) -> None:
    """All training images, features by `embed`, standardized and compared one by one."""
    run, network = load_run(finished.folder)
    data, found = open_data(run), told(run)
    train_, val, names = (np.array(run.indices("train")), np.array(run.indices("val")), run.facts["class_names"])
    features = embedded(network, data.cached, train_)
    spread = features.std(axis=0)
    varies = spread > 1e-6
    assert found["similar"]["num_features"] == varies.sum()

    def scaled(indices: np.ndarray) -> np.ndarray:
        return ((embedded(network, data.cached, indices) - features.mean(axis=0)) / np.where(varies, spread, 1))[
            :, varies
        ]

    known = scaled(train_)
    nearest_of_val = [np.sqrt(((known - one) ** 2).mean(axis=1)).min() for one in scaled(val)]
    for case in found["cases"]:
        distance = np.sqrt(((known - scaled(np.array([int(case["case"][5:])]))) ** 2).mean(axis=1))
        (said,) = [c for c in explained(run) if c["case"] == case["case"]]
        for kind in ("same", "other"):
            expected: list[int] = []
            for place in np.argsort(distance):
                row = run.split_rows[train_[place]]
                is_kind = (row["target"] == said["predicted"]) == (kind == "same")
                if is_kind and row["patient"] not in {run.split_rows[train_[one]]["patient"] for one in expected}:
                    expected.append(int(place))
            entries = case["similar"][kind]
            assert [e["case"] for e in entries] == [f"train-{train_[one]:05d}" for one in expected[:3]]
            np.testing.assert_allclose([e["distance"] for e in entries], distance[expected[:3]], rtol=2e-3)
            for entry, place in zip(entries, expected, strict=False):
                x_1CHW = data.image_and_mask(int(train_[place]))[0][None]
                probabilities = network(x_1CHW).softmax(1)[0].detach().numpy()
                assert entry["label"] == run.split_rows[train_[place]]["target"]
                assert entry["predicted"] == names[int(probabilities.argmax())]
                assert entry["probability"] == pytest.approx(float(probabilities.max()), rel=1e-4)
                below = np.mean(np.array(nearest_of_val) < entry["distance"])
                assert entry["percentile"] == pytest.approx(100 * below, abs=100 / len(val))
                assert entry["is_close"] is (entry["percentile"] <= 95)


def explained(run: Run) -> list[dict[str, Any]]:
    return json.loads((run.explanations / "cases.json").read_text(encoding="utf-8"))["cases"]


def test_three_neighbors_are_three_patients_who_are_not_the_one_of_the_case(finished: Run) -> None:
    found = told(finished)
    assert [case["case"] for case in found["cases"]] == [case["case"] for case in explained(finished)]
    for case in found["cases"]:
        own = finished.split_rows[int(case["case"][5:])]["patient"]
        for kind in ("same", "other"):
            patients = [finished.split_rows[int(one["case"][6:])]["patient"] for one in case["similar"][kind]]
            assert len(set(patients)) == len(patients) == 3
            assert own not in patients


def test_pictures_are_those_of_phantoms_and_of_nobody_else(finished: Run, tmp_path: Path) -> None:
    shown = {one["picture"] for case in told(finished)["cases"] for one in case["similar"]["same"]}
    for name in shown:
        with Image.open(finished.explanations / name) as picture:
            assert picture.size == (320, 320 + 20), "the notice lies below"
            assert not picture.info
    real = changed(finished, tmp_path, facts__is_phantom=False)
    found = written(real)
    assert found["similar"]["pictures"]["are_shown"] is False
    assert "may_be_shared" in found["similar"]["pictures"]["reason"]
    assert not list(real.explanations.glob("similar_*"))
    assert found["cases"][0]["similar"]["same"][0]["picture"] is None
    assert (
        found["cases"][0]["similar"]["same"][0]["distance"]
        == told(finished)["cases"][0]["similar"]["same"][0]["distance"]
    )


@pytest.mark.parametrize(
    ("settings", "are_shown"),
    [
        ({"facts__is_phantom": False, "data__may_be_shared": True}, True),
        ({"facts__is_phantom": False, "data__may_be_shared": True, "data__axis": "sagittal"}, False),
        ({"facts__is_phantom": False, "callbacks__show_similar": True}, True),
        ({"callbacks__show_similar": False}, False),
    ],
)
def test_whoever_may_show_pictures_says_so(
    finished: Run, tmp_path: Path, settings: dict[str, Any], are_shown: bool
) -> None:
    shutil.copytree(finished.folder, tmp_path / "whole")
    run = changed(Run(tmp_path / "whole"), tmp_path, **settings)
    from scanlens.pipeline.context.similar import pictures_of

    assert pictures_of(run).are_allowed is are_shown


def test_the_same_run_gives_the_same_bytes_and_names_nobody(finished: Run, tmp_path: Path) -> None:
    text = (finished.explanations / "context.json").read_text(encoding="utf-8")
    again = changed(finished, tmp_path)
    written(again)
    assert (again.explanations / "context.json").read_text(encoding="utf-8") == text
    assert again.neighbors_file.read_bytes() == finished.neighbors_file.read_bytes()
    for word in ("patient-0", "slice-", str(finished.folder.parents[1]), "NaN", "Infinity"):
        assert word not in text
    assert b"patient-" not in finished.neighbors_file.read_bytes()


def test_scale_size_and_mark_of_pixels_are_those_of_the_image_before(finished: Run) -> None:
    data = open_data(finished)
    for case in told(finished)["cases"]:
        native, index = case["native"], int(case["case"][5:])
        assert native["size_hw"] == [128, 128]
        assert native["spacing_mm"] == [1.71875, 1.71875]
        assert native["network_pixel_mm"] == [6.875, 6.875], "220 mm on 32 pixels"
        assert native["place_hwyx"] == [32, 32, 0, 0]
        assert (native["modality"], native["modality_reason"]) == (None, "no DICOM modality is stated")
        assert native["pixel_hash"] == data.cached.pixel_hashes[index].tobytes().hex()[:12]


def a_case(**known: Any) -> ContextCase:
    facts = np.full(len(FACTS), np.nan)
    facts[[FACTS.index("height"), FACTS.index("width")]] = known.pop("size_hw", (100, 200))
    facts[FACTS.index("spacing_mm")] = known.pop("row_mm", np.nan)
    facts[FACTS.index("text_score")] = known.pop("marks", 0)
    return ContextCase(
        case="test-00001",
        predicted=0,
        x_CHW=known.pop("x_CHW", np.full((1, 32, 32), 0.5, np.float32)),
        facts_F=facts,
        thumb_HW=np.zeros((48, 48), np.float32),
        pixel_hash=bytes(range(16)),
        **known,
    )


def native_of(**known: Any) -> dict[str, Any]:
    batch = Batch([a_case(**known)], torch.zeros(1, 1, 2, 2), torch.zeros(1, 3), np.zeros((1, 2)))
    preprocess = Preprocess(size=50, channels=1)
    return Native(preprocess, Originals(Path(), preprocess, Pictures(False, False, ""))).of(batch)[0]


def test_padding_and_pixels_that_are_not_square_keep_the_scale_right() -> None:
    found = native_of(spacing_mm=(0.5, 0.25), row_mm=0.5, modality="MR")
    assert found["place_hwyx"] == [50, 50, 0, 0], "50 mm by 50 mm"
    assert found["network_pixel_mm"] == [1.0, 1.0]
    assert found["modality"] == "MR"
    assert found["pixel_hash"] == "000102030405"
    padded = native_of(spacing_mm=(0.5, 0.5), row_mm=0.5)
    assert (padded["place_hwyx"], padded["network_pixel_mm"]) == ([25, 50, 12, 0], [2.0, 2.0])


def test_what_is_not_known_of_the_scale_is_told_with_its_reason() -> None:
    picture = native_of()
    assert (picture["network_pixel_mm"], picture["place_hwyx"]) == (None, [25, 50, 12, 0])
    assert "do not state" in picture["spacing_reason"]
    slanted = native_of(row_mm=3.0)
    assert (slanted["network_pixel_mm"], slanted["place_hwyx"]) == (None, None)
    assert "only the distance of rows" in slanted["spacing_reason"]
    assert native_of(modality="JOHN_SMITH")["modality"] is None, "no free text, whatever the header says"


def test_the_map_against_the_runner_up_is_that_of_the_method(finished: Run) -> None:
    run, network = load_run(finished.folder)
    data, names = open_data(run), run.facts["class_names"]
    for case, said in zip(told(run)["cases"], explained(run), strict=True):
        rival = case["runner_up"]
        ranked = sorted(said["probabilities"], key=said["probabilities"].__getitem__, reverse=True)
        assert (said["predicted"], rival["class"]) == (ranked[0], ranked[1])
        first, second = (said["probabilities"][name] for name in ranked[:2])
        assert rival["probability"] == pytest.approx(second, rel=1e-3)
        assert rival["log_odds"] == pytest.approx(np.log(first / second), rel=1e-2, abs=1e-4)
        x_1CHW = data.image_and_mask(int(case["case"][5:]))[0][None]
        expected = HiResCam().explain(network, x_1CHW, [names.index(ranked[0])], [names.index(ranked[1])])
        with np.load(run.explanations / rival["npz"], allow_pickle=False) as stored:
            assert set(stored.files) == {"map", "cells", "covered", "scan"}
            np.testing.assert_allclose(stored["map"], expected.map_BHW[0].numpy(), atol=1e-6)
            assert rival["max_abs"] == pytest.approx(float(np.abs(stored["map"]).max()), rel=1e-5)


def test_two_classes_have_no_other_map(tmp_path: Path) -> None:
    network = LeNet(num_classes=2, in_channels=1, input_size=32)
    (batch,) = batches(network, [a_case()])
    part = RunnerUp(HiResCam(), network, ["healthy", "ill"], tmp_path)
    assert part.of(batch) == [None]
    assert part.about()["reason"] == TWO_CLASSES
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [LeNet, MLP])
def test_features_of_one_pass_are_those_that_embed_gives(kind: Callable[..., Any]) -> None:
    network = kind(num_classes=3, in_channels=1, input_size=32).eval()
    x_BCHW = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    features, logits = seen_and_said(network, x_BCHW)
    with torch.no_grad():
        np.testing.assert_allclose(features, network.embed(x_BCHW).flatten(1).numpy(), rtol=1e-6)
        np.testing.assert_allclose(logits.numpy(), network(x_BCHW).numpy(), rtol=1e-6)
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_checks_hold_a_case_against_training_images_and_odd_ones_are_told(finished: Run) -> None:
    run, network = load_run(finished.folder)
    fingerprint = read_fingerprint(run.fingerprint_file)
    assert fingerprint is not None
    quality = Quality(fingerprint, read_neighbors(run.neighbors_file, class_names=run.facts["class_names"]))
    case = told(run)["cases"][0]["quality"]
    rows = {check["name"]: check for check in case["checks"]}
    known = fingerprint.facts_NF[:, FACTS.index("mean")]
    assert rows["stored_brightness"]["low"] == pytest.approx(float(np.quantile(known, 0.01)), rel=1e-5)
    assert rows["jpeg_quality"]["reason"] == "not known of training images"
    assert rows["rows"]["value"] == rows["rows"]["low"] == rows["rows"]["high"] == 128
    assert rows["distance_of_features"]["num_known"] == len(fingerprint.val_distance_N)
    assert set(rows) == set(told(run)["quality"]["names"])

    noise = np.random.default_rng(1).random((1, 32, 32), dtype=np.float32)
    (batch,) = batches(network, [a_case(x_CHW=noise, marks=MIN_MARKS), a_case(x_CHW=np.zeros((1, 32, 32), np.float32))])
    noisy, blank = quality.of(batch)
    assert noisy["status"] == "odd"
    assert noisy["text_suspected"] is True
    assert any(one.startswith("Noise: ") for one in noisy["reasons"])
    assert any("letter-like marks" in one for one in noisy["reasons"])
    assert any(one.startswith("Rows: 100 lies beyond all ") for one in noisy["reasons"])
    assert blank["status"] == "bad"
    assert blank["reasons"][0] == "The image shows nothing: it is the same everywhere."


def test_a_part_that_fails_leaves_nulls_and_the_training_stands(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise MemoryError("/home/jane_doe/scans")

    run = changed(finished, tmp_path)
    monkeypatch.setattr(context, "look_for_neighbors", broken)
    run.fingerprint_file.write_bytes(b"not an archive")
    with caplog.at_level(logging.WARNING):
        found = written(run)
    assert found["similar"] == {"reason": "not assessed: it could not be measured (MemoryError)"}
    assert found["quality"]["reason"].endswith("(RunError)")
    assert [case["similar"] for case in found["cases"]] == [None] * 4
    assert all(case["native"] and case["runner_up"] for case in found["cases"])
    assert sum("lacks 'similar'" in one for one in caplog.messages) == 1
    assert "jane" not in json.dumps(found)
    (run.explanations / "cases.json").write_text("{", encoding="utf-8")
    _, network = load_run(run.folder)
    add_context(run, network, open_data(run))
    assert "the context of explained cases was not written" in caplog.messages[-1]


def test_neighbors_that_are_something_else_are_refused(finished: Run, tmp_path: Path) -> None:
    names = finished.facts["class_names"]
    assert read_neighbors(tmp_path / "none.npz", class_names=names) is None
    with np.load(finished.neighbors_file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    path = tmp_path / "neighbors.npz"
    for wrong in (
        {"version": np.array(2)},
        {"target_N": arrays["target_N"] + 9},
        {"features_ND": arrays["features_ND"][:, 1:]},
        {"reference_M": np.array([np.nan])},
        {"index_N": arrays["index_N"].astype(float)},
        {"unit_N": np.array([{}], dtype=object)},
    ):
        np.savez_compressed(path, **(arrays | wrong))
        with pytest.raises(RunError, match=r"neighbors\.npz does not hold what training images look like"):
            read_neighbors(path, class_names=names)


def test_numbers_are_plain() -> None:
    assert plain({"a": [1.23456789, float("nan")], "b": float("inf"), "c": 7, "d": True}) == {
        "a": [1.23457, None], "b": None, "c": 7, "d": True,
    }  # fmt: skip


def test_a_new_image_is_compared_without_the_training_images(finished: Run, tmp_path: Path) -> None:
    """A training image given again is told as seen, and is its own nearest neighbor."""
    shutil.copytree(finished.folder, tmp_path / "r")
    run = Run(tmp_path / "r")
    source = build(run.config["data"])
    index = run.indices("train")[0]
    raw = source.read(next(one for one in source.records() if one.id == run.split_rows[index]["id"]))
    new = tmp_path / "doe_jane.png"
    Image.fromarray(raw.pixels.astype(np.uint16)).save(new)
    config = yaml.safe_load(run.config_file.read_text(encoding="utf-8"))
    config["facts"]["cache"] = str(tmp_path / "gone")
    run.config_file.write_text(yaml.safe_dump(config), encoding="utf-8")
    folder = predict(run.folder, [new], num_mapped=1)
    found = json.loads((folder / "context.json").read_text(encoding="utf-8"))
    (case,) = found["cases"]
    assert (case["case"], case["seen_in_training"]) == ("new-00000", "image")
    nearest = min([*case["similar"]["same"], *case["similar"]["other"]], key=lambda one: one["distance"])
    assert nearest["case"] == f"train-{index:05d}"
    assert nearest["distance"] < 0.01
    assert found["similar"]["pictures"] == {"are_shown": False, "reason": "the training images are not at hand"}
    assert nearest["picture"] is None
    assert case["native"]["size_hw"] == [128, 128]
    assert case["quality"]["status"] in ("good", "odd")
    assert (folder / case["runner_up"]["npz"]).is_file()
    assert "doe_jane" not in json.dumps(found)
    run.neighbors_file.unlink()
    assert not (predict(run.folder, [new], num_mapped=1) / "context.json").exists()


def test_of_many_training_images_whole_patients_are_drawn_and_counted(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbors, "MOST_IMAGES", 20)
    run = changed(finished, tmp_path)
    (run.explanations / "similar_train-99999.png").write_bytes(b"of before")
    found = written(run)["similar"]
    assert (found["num_searched"], found["num_searched_units"]) == (18, 6)
    assert found["num_training"] == len(run.indices("train")) > 20
    assert found["num_reference_units"] <= found["num_reference"] <= 20
    stored = read_neighbors(run.neighbors_file, class_names=run.facts["class_names"])
    assert stored is not None
    patients = {run.split_rows[index]["patient"] for index in stored.index_N.tolist()}
    assert len(patients) == 6
    assert sum(run.split_rows[index]["patient"] in patients for index in run.indices("train")) == 18
    assert not (run.explanations / "similar_train-99999.png").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("callbacks.show_original=small", "callbacks.show_original must be"),
        ("callbacks.show_similar=sometimes", "callbacks.show_similar must be"),
        ("+data.may_be_shared=perhaps", "data.may_be_shared must be true or false"),
    ],
)
def test_settings_are_checked_before_anything_is_read(setting: str, words: str, tmp_path: Path) -> None:
    done = train(*SMALL, setting, "run_id=x", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
