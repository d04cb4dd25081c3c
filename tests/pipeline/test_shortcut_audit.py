"""The audit of shortcuts on runs: a tag that a trained network goes by, and one that it has merely seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fakes.commands import train
from scanlens import commands
from scanlens.errors import ConfigError

TINY = [
    "data=mri",
    "data.class_names=[no_tumor,glioma]",
    "data.class_shares=[1,1]",
    "data.slices_per_patient=2",
    "data.size=32",
]
TINY += ["split.fractions=[0.5,0.1,0.4]", "audit.enabled=false", "logger=none", "augment=none", "trainer.num_threads=1"]
TINY += ["callbacks.explain_every_n_epochs=0", "callbacks.num_explained_cases=1", "callbacks.bootstrap_resamples=0"]
CORNER = "upper left corner"


def contents(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "explanations" / "shortcuts.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagged")
    words = ["data.num_patients=60", "data.shortcut=tag", "model=lenet", "preprocess.size=32", "trainer.max_epochs=6"]
    done = train(*words, *TINY, "run_id=r", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "outputs" / "r"


def test_a_run_that_goes_by_the_tag_is_convicted_in_file_terminal_and_page(
    run: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        commands.explain([f"run={run}", "parts=shortcuts", "cases=40", "boxes=0:0.2,0:0.2", "boxes=28:32,28:32"])
    found = contents(run)
    verdicts = {one["name"]: one["verdict"] for one in found["regions"]}
    assert verdicts[CORNER] == verdicts["box 0:0.2,0:0.2"] == "convicted"
    assert verdicts["lower right corner"] == verdicts["box 28:32,28:32"] == "acquitted"
    assert found["num_images"] == 40
    assert found["note"] is None, "phantoms say where their lesions are"
    corner = next(one for one in found["regions"] if one["name"] == CORNER)
    assert corner["readable"]["auroc"]["value"] > 0.95
    assert [one["method"] for one in corner["maps"]] == ["hires_cam", "grad_cam"]
    assert (run / "explanations" / corner["picture"]).is_file()
    assert len(found["looks"]) == 5
    assert "CONVICTED: upper left corner" in caplog.text
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert '<section id="shortcuts"' in page


@pytest.mark.slow
def test_the_least_effect_is_what_the_command_says(run: Path) -> None:
    commands.explain([f"run={run}", "parts=shortcuts", "cases=30", "least_effect=0.999"])
    found = contents(run)
    assert found["least_effect"] == 0.999
    assert {one["verdict"] for one in found["regions"]} <= {"acquitted", "not decided"}


def test_mistakes_in_the_words_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        commands.explain(["run=x", "parts=shortcut", "cases=0", "boxes=1", "least_effect=2"])
    assert len(caught.value.mistakes) == 4
    assert "Did you mean 'shortcuts'?" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_who_goes_by_the_tag_is_convicted_and_who_has_merely_seen_it_is_not(seed: int, tmp_path: Path) -> None:
    words = [
        "experiment=shortcut",
        "data.size=64",
        f"seed={seed}",
        "split.fractions=[0.55,0.15,0.3]",
        "audit.enabled=false",
    ]
    words += [
        "trainer.num_threads=1",
        "callbacks.explain_every_n_epochs=0",
        "data.class_shares=[1,1]",
        "data.num_patients=160",
    ]
    for shortcut in ("tag", "tag_by_chance"):
        done = train(*words, f"data.shortcut={shortcut}", f"run_id={shortcut}", cwd=tmp_path, timeout_s=900)
        assert done.returncode == 0, done.stderr
        folder = tmp_path / "outputs" / shortcut
        commands.explain([f"run={folder}", "parts=shortcuts", "cases=120"])
        found = {one["name"]: one for one in contents(folder)["regions"]}
        for said in found[CORNER]["maps"]:
            print(
                f"seed {seed} {shortcut} {said['method']}: mass {said['mass']:.3f} peaks {said['peaks']['value']:.2f}"
            )
        assert found[CORNER]["verdict"] == ("convicted" if shortcut == "tag" else "acquitted")
        assert found["lower right corner"]["verdict"] == "acquitted"
