"""Limits, registration and spread over training runs on tiny runs, as a user meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fakes.commands import run_command, train
from scanlens import commands
from scanlens.errors import ConfigError, RunError
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.explain.limits_plan import LimitsPlan
from scanlens.files import read_csv, write_csv
from scanlens.pipeline.explanations import limits
from scanlens.pipeline.explanations.asked import verdict_plan, verdict_writer
from scanlens.pipeline.explanations.calls import open_caller
from scanlens.pipeline.explanations.command import explain
from scanlens.pipeline.explanations.registration import measured_moves
from scanlens.pipeline.explanations.spread import explain_runs
from scanlens.pipeline.explanations.subject import open_subject
from scanlens.report.explanations.limits import sentences

TINY = ["data=mri", "data.num_patients=30", "data.slices_per_patient=2", "preprocess.size=32", "trainer.max_epochs=1"]
TINY += ["audit.enabled=false", "logger=none", "callbacks.num_explained_cases=1", "callbacks.explain_every_n_epochs=0"]
TINY += ["callbacks.register_maps=true", "callbacks.bootstrap_resamples=50", "trainer.num_threads=1", "run_id=r"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `0` and `1`, of one division, which call no negative test image."""
    folder = tmp_path_factory.mktemp("parts")
    done = train("-m", "optim.lr=0.003,0.005", *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    for number in ("0", "1"):
        spare_negatives(folder / "outputs" / "r" / number)
    return folder / "outputs" / "r"


def spare_negatives(run: Path) -> None:
    """Put the threshold above the negatives of the test split: after one epoch validation may choose to call everybody."""
    subject = open_subject(run, max_cases=1)
    caller, _ = open_caller(subject)
    assert caller is not None
    score_N = caller.calibrator.apply(subject.test.probabilities_NK)[:, caller.target.members].sum(axis=1)
    is_negative_N = caller.is_negative([row["target"] for row in subject.test.rows], subject.class_names)
    path = run / "evaluation.json"
    judged = json.loads(path.read_text(encoding="utf-8"))
    judged["decisions"]["chosen"]["threshold"] = float(score_N[is_negative_N].max()) + 1e-6
    path.write_text(json.dumps(judged), encoding="utf-8")


@pytest.fixture
def copy(runs: Path, tmp_path: Path) -> Path:
    """One of the runs, to be changed."""
    return Path(shutil.copytree(runs / "0", tmp_path / "r"))


def test_limits_are_written_and_become_a_section_of_the_page(copy: Path) -> None:
    plan = LimitsPlan.from_words({"limits.sizes": "[3,6,10]", "limits.contrast": "0.4"})
    found = explain(copy, parts=["limits"], max_cases=6, limits=plan)["limits"]
    assert json.loads((copy / "explanations" / "limits.json").read_text(encoding="utf-8")) == found
    page = (copy / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="limits"' in page
    assert "Inserted lesions are no tumors" in page
    assert "chart-limits" in page
    assert [one["size"] for one in found["sizes"]] == [3, 6, 10]
    assert (found["contrast"], found["contrast_source"]) == ([0.4], "asked for")
    assert found["own_lesions"]["num_lesions"] > 5
    assert found["pixel_mm"]["median"] > 1
    assert found["num_images"] % found["num_places"] == 0
    again = limits.measure(open_subject(copy, max_cases=6, limits=plan))
    assert again == {name: found[name] for name in again}
    patients = {row["patient"] for row in open_subject(copy, max_cases=1).run.split_rows}
    assert not [name for name in patients if name and name in json.dumps(found)]


def test_limits_of_further_contrasts_are_those_that_each_has_by_itself(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {"limits.sizes": "[3,6,10]", "limits.contrast": "0.4"}
    alone, low, high = (
        limits.measure(open_subject(copy, max_cases=6, limits=LimitsPlan.from_words(words | more)))
        for more in ({}, {"limits.contrast": "0.2"}, {"limits.contrast": "0.6"})
    )
    asked = LimitsPlan.from_words(words | {"limits.contrasts": "[0.6,0.4,0.2]"})
    found = explain(copy, parts=["limits"], max_cases=6, limits=asked)["limits"]
    assert [one["contrast"] for one in found["by_contrast"]] == [[0.2], [0.4], [0.6]], (
        "the first one is not tried again"
    )
    for one, by_itself in zip(found["by_contrast"], (low, alone, high), strict=True):
        assert one == {name: by_itself[name] for name in one}
    assert alone["by_contrast"] == []
    different = ("by_contrast", "num_grid_images", "schema_version", "measured_on", "duration_s")
    assert {k: v for k, v in found.items() if k not in different} == {
        k: v for k, v in alone.items() if k not in different
    }
    page = (copy / "report" / "index.html").read_text(encoding="utf-8")
    assert "chart-limits-by-contrast" in page
    assert len([one for one in sentences(found) if one.startswith("At a contrast of ")]) == 3
    monkeypatch.setattr(limits, "MOST_GRID_S", 0.0)
    monkeypatch.setattr(limits, "LEAST_IN_GRID", 2)
    bounded = limits.measure(open_subject(copy, max_cases=6, limits=asked))
    assert bounded["num_grid_images"] == 2
    assert [one["num_images"] for one in bounded["by_contrast"]] == [
        2 * bounded["num_places"],
        found["num_images"],
        2 * bounded["num_places"],
    ]


def test_the_operating_point_is_the_one_of_the_evaluation(runs: Path) -> None:
    subject = open_subject(runs / "0", max_cases=4)
    caller, reason = open_caller(subject)
    assert reason is None
    assert caller is not None
    judged = json.loads((runs / "0" / "evaluation.json").read_text(encoding="utf-8"))
    assert caller.point.threshold == judged["decisions"]["chosen"]["threshold"]
    x_BCHW, _ = subject.images(subject.test.rows[:5])
    stated = caller.calibrator.apply(subject.test.probabilities_NK[:5])
    np.testing.assert_allclose(caller.probabilities(x_BCHW), stated, atol=1e-4)


def test_without_an_operating_point_limits_say_why(copy: Path) -> None:
    path = copy / "evaluation.json"
    judged = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(judged | {"decisions": {"reason": "there is no class"}}), encoding="utf-8")
    found = explain(copy, parts=["limits"], max_cases=4)["limits"]
    assert sentences(found) == [
        "Limits of detection and localization: not assessed, no operating point: there is no class."
    ]
    assert "no operating point: there is no class" in (copy / "report" / "index.html").read_text(encoding="utf-8")


def test_registration_is_written_and_becomes_a_section_of_the_page(copy: Path) -> None:
    found = explain(copy, parts=["registration"], max_cases=16)["registration"]
    page = (copy / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="registration"' in page
    assert list(found["methods"]) == ["hires_cam", "grad_cam"]
    for one in found["methods"].values():
        assert one["title"] in page
        assert one["num_estimated"] + one["num_judged"] + one["num_blank"] == found["num_images"]
        assert one["largest_px"] <= 4  # an eighth of 32 px


def test_a_training_that_registers_its_maps_notes_what_it_measured(runs: Path) -> None:
    stored = json.loads((runs / "0" / "explanations" / "moves.json").read_text(encoding="utf-8"))["methods"]
    assert list(stored) == ["hires_cam", "grad_cam"]
    subject = open_subject(runs / "0", max_cases=100)
    assert measured_moves(subject, subject.explainers) == stored
    cases = json.loads((runs / "0" / "explanations" / "cases.json").read_text(encoding="utf-8"))
    for one in cases["methods"]:
        assert ("Moved by" in one["legend"]) == stored[one["name"]]["is_accepted"]


def test_maps_are_moved_for_whoever_explains_with_the_run_later(copy: Path) -> None:
    path = copy / "explanations" / "moves.json"
    content = {"methods": {"hires_cam": {"is_accepted": True, "shift_yx": [2.0, -1.0]}}}
    path.write_text(json.dumps(content), encoding="utf-8")
    first, second = open_subject(copy, max_cases=1).explainers
    assert (first.shift_yx, second.shift_yx) == ((2.0, -1.0), (0.0, 0.0))
    found = explain(copy, parts=["registration"], max_cases=4)["registration"]
    assert found["applied"] == {"hires_cam": [2.0, -1.0]}
    path.write_text('{"methods": {"hires_cam": {"is_accepted": true, "shift_yx": "up"}}}', encoding="utf-8")
    with pytest.raises(RunError, match=r"moves\.json cannot be understood"):
        explain(copy, parts=["registration"], max_cases=1)


def test_the_maps_of_runs_in_one_folder_are_held_against_each_other(runs: Path, tmp_path: Path) -> None:
    found = explain_runs([runs], max_cases=8, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "map_spread.json").read_text(encoding="utf-8")) == found
    assert [one["name"] for one in found["runs"]] == ["0", "1"]
    assert 0 <= found["maps"]["overall"]["further"]["value"] <= 1
    page = (tmp_path / "out" / "map_spread.html").read_text(encoding="utf-8")
    assert "Another training run would have pointed elsewhere" in page
    assert page.count("<img") == 2 * len(found["shown"])
    assert "<script" not in page
    patients = {row["patient"] for row in open_subject(runs / "0", max_cases=1).run.split_rows}
    assert not [name for name in patients if name and (f">{name}<" in page or name in json.dumps(found))]


@pytest.mark.slow
def test_seeds_with_folds_are_held_against_each_other_image_by_image(tmp_path: Path) -> None:
    """Every image is explained by the fold that has tested it."""
    words = [one for one in TINY if not one.startswith(("run_id", "callbacks.register"))]
    program = "from scanlens.cli import main; main()"
    done = run_command(
        ["-c", program, "folds", "folds=3", "seeds=[1,2]", *words, "run_id=s"], cwd=tmp_path, timeout_s=580
    )
    assert done.returncode == 0, done.stderr
    study = tmp_path / "outputs" / "s"
    found = explain_runs([study], max_cases=9, out=tmp_path / "out")
    assert [one["name"] for one in found["runs"]] == ["seed_1", "seed_2"]
    assert [one["seed"] for one in found["runs"]] == [1, 2]
    by_hand = explain_runs([study / "seed_1", study / "seed_2"], max_cases=9, out=tmp_path / "again")
    assert by_hand["maps"] == found["maps"]
    fold = study / "seed_1" / "0"
    other = Path(shutil.copytree(fold, tmp_path / "copy"))
    with pytest.raises(RunError, match="were judged on different images"):
        explain_runs([study / "seed_1", other], max_cases=2, out=tmp_path / "never")
    tested = {row["case"] for path in study.glob("seed_1/*/predictions/test.csv") for row in read_csv(path)}
    assert {one["case"] for one in found["shown"]} <= tested


def test_a_run_and_its_copy_point_to_the_same_places(runs: Path, copy: Path, tmp_path: Path) -> None:
    found = explain_runs([runs / "0", copy], max_cases=8, out=tmp_path / "out")
    overall = found["maps"]["overall"]
    assert (overall["further"]["value"], overall["distance_px"]["value"]) == (0, 0)
    assert overall["rank"]["value"] == pytest.approx(1)
    assert found["answers"]["overall"]["difference"]["value"] == 0
    assert found["runs"][0]["hits"] == found["runs"][1]["hits"]


def test_runs_on_other_images_or_other_pixels_are_refused(runs: Path, copy: Path, tmp_path: Path) -> None:
    path = copy / "config.yaml"
    text = path.read_text(encoding="utf-8")
    cache = Path(open_subject(copy, max_cases=1).run.facts["cache"])
    other = Path(shutil.copytree(cache, tmp_path / "other"))
    path.write_text(text.replace(str(cache), str(other)), encoding="utf-8")
    with pytest.raises(RunError, match="saw their images in another form"):
        explain_runs([runs / "0", copy], max_cases=2, out=tmp_path / "out")
    path.write_text(text, encoding="utf-8")
    predictions = copy / "predictions" / "test.csv"
    rows = read_csv(predictions)
    write_csv(predictions, list(rows[0]), rows[1:])
    with pytest.raises(RunError, match="were judged on different images: 1 only in 0"):
        explain_runs([runs / "0", copy], max_cases=2, out=tmp_path / "out")
    with pytest.raises(RunError, match="at least two runs"):
        explain_runs([runs / "0"], max_cases=2, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run=r", "limits.sizes=[3,2,9]"], "at least three rising"),
        (["run=r", "limits.contrasts=[0.1,0.1]"], "different changes between -1 and 1"),
        (["parts=limits"], "either run=RUN, or runs="),
        (["run=r", "runs=a,b"], "either run=RUN, or runs="),
        (["runs=a,b", "parts=limits"], "parts: goes with run="),
        (["run=r", "out=o"], "out: goes with runs="),
        (["run=r", "parts=limit"], "Did you mean 'limits'"),
    ],
)
def test_mistakes_in_the_words_are_told_before_anything_is_read(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        commands.explain(words)


def test_every_explained_case_of_a_training_has_a_verdict_with_its_pictures(runs: Path) -> None:
    folder = runs / "0" / "explanations"
    content = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    assert content["verdict"]["num_regions"] == 24
    assert content["verdict"]["sanity"]["status"] == "not assessed"
    for case in content["cases"]:
        for entry in case["maps"]:
            found = entry["verdict"]
            assert found["level"] in ("WEAK", "NOT SUPPORTED", "WITHHELD"), (
                "nothing is SUPPORTED without a sanity check"
            )
            assert found["reasons"]
            if found["measured"]["region"]:
                assert (folder / found["region"]).is_file()
                assert (folder / found["removed"]).is_file()


def test_verdicts_are_counted_beside_a_map_at_random_and_renewed_by_the_score_card(copy: Path) -> None:
    card = {"sanity": {"status": "FAIL", "reason": "Maps stay the same."}}
    (copy / "explanations" / "score_card.json").write_text(json.dumps({"schema_version": 1, **card}), encoding="utf-8")
    found = explain(copy, parts=["verdicts"], max_cases=4)["verdicts"]
    assert found["num_images"] == 4
    assert [one["name"] for one in found["methods"]] == ["hires_cam", "grad_cam", "random"]
    for method in found["methods"]:
        assert sum(one["num"] for one in method["shares"].values()) == 4
        assert len(method["cases"]) == 4
        assert "correctness" in method["correctness"]["says"]
    assert found["auroc"] == found["methods"][0]["correctness"]
    content = json.loads((copy / "explanations" / "cases.json").read_text(encoding="utf-8"))
    assert {entry["verdict"]["level"] for case in content["cases"] for entry in case["maps"]} == {"WITHHELD"}
    assert content["verdict"]["sanity"] == card["sanity"]
    assert not [
        row["patient"] for row in open_subject(copy, max_cases=1).run.split_rows if row["patient"] in json.dumps(found)
    ]


def test_verdicts_can_be_switched_off_and_runs_of_before_them_take_the_defaults(runs: Path) -> None:
    subject = open_subject(runs / "0", max_cases=1)
    writer = verdict_writer(subject.run, subject.data)
    assert writer is not None
    assert writer.usual is not None
    assert writer.usual.num == len(subject.run.indices("train"))
    subject.run.config["verdict"]["enabled"] = False
    assert verdict_writer(subject.run, subject.data) is None
    del subject.run.config["verdict"]
    assert verdict_plan(subject.run) == VerdictPlan()
