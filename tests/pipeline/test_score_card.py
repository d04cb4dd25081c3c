"""The score card of a network whose evidence is known exactly, and of a trained one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fakes.card_subject import LESION_PX, PLAIN_LOG_ODDS, SIDE, BrightPixels, Constant, card_subject
from fakes.commands import run_command, train
from scanlens import commands
from scanlens.errors import ConfigError
from scanlens.explain.cam import HiResCam
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.files import read_csv
from scanlens.pipeline.explanations import score_card
from scanlens.pipeline.explanations.card.budget import Prices, affordable
from scanlens.pipeline.explanations.card.compared import Method, compared_methods, counted_passes
from scanlens.pipeline.explanations.card.labels import Shuffled
from scanlens.pipeline.explanations.card.plan import method_plan, removal_plan
from scanlens.pipeline.explanations.card.randomization import NUM_SEEDS, RandomizationPlan

CONTROLS = {"random", "center", "blurred_intensity", "edges"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("card")


@pytest.fixture(scope="module")
def card(folder: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_card, "shuffled_labels_network", lambda *_: Shuffled(None, "not in this test"))
        subject = card_subject(folder, explainers=[HiResCam(), Constant()], methods=["integrated_gradients"])
        return score_card.measure(subject)


def method(card: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in card["methods"] if one["name"] == name)


def test_methods_of_the_run_come_first_then_those_asked_for_then_controls(card: dict[str, Any]) -> None:
    names = [one["name"] for one in card["methods"]]
    assert names[:3] == ["hires_cam", "constant", "integrated_gradients"]
    assert set(names[3:]) == CONTROLS == {one["name"] for one in card["methods"] if one["is_control"]}
    assert card["methods"][0]["passes"] == 1
    assert [one["is_own"] for one in card["methods"][:3]] == [True, True, False]


def test_the_exact_map_passes_and_the_sanity_of_the_primary_method_is_told_at_the_top(card: dict[str, Any]) -> None:
    exact = method(card, "hires_cam")
    assert [exact[heading]["status"] for heading in ("consistency", "plausibility", "fidelity")] == ["PASS"] * 3
    assert card["primary"] == "hires_cam"
    assert card["sanity"]["status"] == "PASS"
    assert card["sanity"]["reason"] == exact["fidelity"]["randomization"]["reason"]


def test_numbers_of_the_exact_map_are_those_worked_out_on_paper(card: dict[str, Any]) -> None:
    found = method(card, "hires_cam")["plausibility"]
    assert found["hit"]["num_images"] == 11  # of 12 with a lesion, one was missed
    assert found["hit"]["value"] == found["hit_near"]["value"] == found["hit_mm"]["value"] == 1
    assert found["distance_px"]["value"] == found["distance_mm"]["value"] == 0
    assert found["chance"] == pytest.approx(LESION_PX / SIDE**2)
    assert found["mass_lift"]["value"] == pytest.approx(SIDE**2 / LESION_PX)
    assert found["iou_at_area"]["value"] == found["iou_at_threshold"]["value"] == 1
    assert found["threshold"] == 0.1
    assert found["against"]["Random map"]["value"] > 0.5


def test_deletion_of_the_exact_map_takes_the_whole_log_odds_at_the_first_share(card: dict[str, Any]) -> None:
    """At 2 % twelve pixels go, among them all nine of the lesion: 9 * 0.7 is lost there and at every larger share."""
    found = method(card, "hires_cam")["fidelity"]["removal"]
    lost = LESION_PX * 0.7
    assert [step["value"] for step in found["curve"]] == pytest.approx([lost] * 5, rel=1e-3)
    first, last = found["share"][0], found["share"][-1]
    assert (first, last) == pytest.approx((12 / SIDE**2, 0.4), abs=1e-3)
    assert found["drop"]["value"] == pytest.approx((lost / 2 * first + lost * (last - first)) / last, rel=1e-3)
    assert found["advantage"]["low"] > 0
    assert pytest.approx(3.3) == PLAIN_LOG_ODDS


def test_brightness_points_perfectly_and_still_fails_fidelity(card: dict[str, Any]) -> None:
    bright = method(card, "blurred_intensity")
    assert bright["plausibility"]["hit"]["value"] == 1
    part = bright["fidelity"]["randomization"]
    assert [step["value"] for step in part["rank_correlation"]] == pytest.approx([1.0, 1.0])
    assert part["kept"]["value"] == pytest.approx(1)
    assert (part["status"], bright["fidelity"]["status"]) == ("FAIL", "FAIL")


def test_a_random_map_fails_everywhere(card: dict[str, Any]) -> None:
    found = method(card, "random")
    assert [found[heading]["status"] for heading in ("consistency", "plausibility", "fidelity")] == ["FAIL"] * 3


def test_a_constant_map_is_counted_as_blank_and_never_as_a_hit(card: dict[str, Any]) -> None:
    found = method(card, "constant")
    assert found["num_blank"] == found["num_maps"] == 11
    assert found["plausibility"]["hit"]["value"] == found["plausibility"]["mass"]["value"] == 0
    assert found["plausibility"]["num_blank"] == 11
    assert found["plausibility"]["distance_px"]["value"] is None
    assert found["fidelity"]["removal"]["advantage"]["value"] == 0
    assert {found[heading]["status"] for heading in ("consistency", "plausibility", "fidelity")} == {"FAIL"}
    assert "11 of 11 maps are blank" in found["fidelity"]["reason"]


def test_a_sum_is_judged_where_it_is_promised(card: dict[str, Any]) -> None:
    assert method(card, "integrated_gradients")["fidelity"]["completeness"]["gap"]["value"] < 0.02
    exact = method(card, "hires_cam")["fidelity"]
    assert exact["completeness"]["status"] == "NOT ASSESSED"
    assert exact["held_by_biases"]["value"] == pytest.approx(3 / PLAIN_LOG_ODDS, rel=1e-3)


def test_what_could_not_be_assessed_says_why(card: dict[str, Any]) -> None:
    exact = method(card, "hires_cam")
    assert exact["usefulness"]["status"] == "NOT ASSESSED"
    assert "readers" in exact["usefulness"]["reason"]
    assert exact["consistency"]["seed_to_seed"]["status"] == "NOT ASSESSED"
    assert exact["fidelity"]["labels"] == {
        "status": "NOT ASSESSED",
        "reason": "Not in this test.",
        "num_training_images": 0,
        "training_accuracy": None,
    }
    assert card["images"]["num_marked_wrong"] == 1


def test_the_card_is_written_as_a_table_and_told_on_the_terminal(card: dict[str, Any], folder: Path) -> None:
    rows = read_csv(folder / "explanations" / "score_card.csv")
    assert [row["method"] for row in rows] == [one["name"] for one in card["methods"]]
    assert (rows[0]["fidelity"], rows[0]["hit"], rows[0]["hit_images"]) == ("PASS", "1.0", "11")
    told = score_card.lines(card)
    assert told[0].split() == ["score", "card", "consistency", "plausibility", "fidelity", "usefulness"]
    assert told[1].split() == ["HiResCAM", "passes", "passes", "passes", "not", "assessed"]
    assert told[-1].startswith("sanity      hires_cam: passes. ")
    json.dumps(card, allow_nan=False)


def test_other_parts_are_taken_up_where_they_were_measured(folder: Path, tmp_path: Path) -> None:
    subject = card_subject(tmp_path, explainers=[HiResCam()], methods=[])
    subject.run.explanations.mkdir()
    assert score_card._stored(subject, score_card.TRAINING_RUNS_FILE, "methods") is None
    (subject.run.explanations / score_card.TRAINING_RUNS_FILE).write_text(
        '{"methods": {"hires_cam": {"status": "PASS"}}}'
    )
    assert score_card._stored(subject, score_card.TRAINING_RUNS_FILE, "methods") == {"hires_cam": {"status": "PASS"}}


def test_a_run_in_which_nothing_was_found_says_so(tmp_path: Path) -> None:
    subject = card_subject(tmp_path, explainers=[HiResCam()], methods=[])
    subject.test.rows[:] = [row | {"predicted": "no_tumor"} for row in subject.test.rows]
    content = score_card.measure(subject)
    assert (content["methods"], content["sanity"]["status"]) == ([], "NOT ASSESSED")
    assert "found nothing in any test image" in score_card.lines(content)[0]


def test_passes_are_counted_and_a_default_method_that_is_dear_is_left_out() -> None:
    network, x = BrightPixels(), torch.rand(1, 1, SIDE, SIDE)
    assert counted_passes(HiResCam(), network, x) == 1
    assert counted_passes(IntegratedGradients(steps=24, max_steps=24), network, x) == 26
    assert counted_passes(IntegratedGradients(), network, x, most=10) is None
    methods, left_out = compared_methods(network, x, own=[HiResCam()], wanted=None, most_passes=10)
    assert [one.name for one in methods if not one.is_control] == ["hires_cam", "grad_cam", "layer_cam"]
    assert [one["name"] for one in left_out] == ["integrated_gradients"]
    assert "methods=integrated_gradients" in left_out[0]["reason"]
    asked, _ = compared_methods(network, x, own=[], wanted=["integrated_gradients"], most_passes=10)
    assert asked[0].name == "integrated_gradients"


def test_a_network_without_maps_keeps_the_methods_that_fit() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 2))
    methods, left_out = compared_methods(network, torch.rand(1, 1, SIDE, SIDE), own=[], wanted=None, most_passes=999)
    assert [one.name for one in methods if not one.is_control] == ["integrated_gradients"]
    assert {one["name"] for one in left_out} == {"grad_cam", "hires_cam", "layer_cam"}


def test_every_image_sees_as_many_seeds_as_planned() -> None:
    plan = RandomizationPlan(num_images=8, seeds_per_image=2)
    seen = [b for seed in range(NUM_SEEDS) for b in plan.images_of(seed)]
    assert sorted(seen) == sorted([*range(8)] * 2)
    assert all(RandomizationPlan(8, NUM_SEEDS).images_of(seed) == list(range(8)) for seed in range(NUM_SEEDS))


def test_dear_networks_get_fewer_images_but_never_too_few() -> None:
    assert affordable(1.0, 10.0, least=3, most=50) == 10
    assert affordable(100.0, 10.0, least=3, most=50) == 3
    assert affordable(100.0, 10.0, least=3, most=2) == 2
    small, large = Prices(1e-3, 3e-3, 8e-3, 2e-2), Prices(0.39, 1.18, 0.1, 0.25)
    hires = Method(HiResCam(), 1)
    counts = {"num_found": 50, "num_marked": 50, "num_val": 50, "num_steps": 5}
    cheap, dear = method_plan(hires, small, **counts), method_plan(hires, large, **counts)
    assert (cheap.num_maps, cheap.randomization) == (50, RandomizationPlan(30, NUM_SEEDS))
    assert (dear.num_marked, dear.randomization) == (50, RandomizationPlan(8, 1))
    assert len(removal_plan(large, num_found=50).shares) < len(removal_plan(small, num_found=50).shares)
    assert removal_plan(large, num_found=50).num_removed == 8


def test_methods_are_judged_before_anything_is_opened() -> None:
    with pytest.raises(ConfigError, match=r"methods: there is no 'hirescam'. Did you mean 'hires_cam'") as caught:
        commands.explain(["run=outputs/none", "methods=hirescam,auto", "parts=score_card"])
    assert len(caught.value.mistakes) == 2


@pytest.mark.slow
def test_the_card_of_a_network_trained_on_phantoms(tmp_path: Path) -> None:
    """HiResCAM of a trained network is sane and faithful; controls are neither; labels at random were learned."""
    done = train(
        "experiment=demo", "callbacks.bootstrap_resamples=0", "logger=none", "run_id=r", cwd=tmp_path, timeout_s=900
    )
    assert done.returncode == 0, done.stderr
    told = run_command(
        ["-c", "from scanlens.cli import main; main()", "explain", "run=outputs/r", "parts=score_card", "cases=30"],
        cwd=tmp_path,
        timeout_s=900,
    )
    assert told.returncode == 0, told.stderr
    card = json.loads((tmp_path / "outputs" / "r" / "explanations" / "score_card.json").read_text(encoding="utf-8"))
    assert card["sanity"]["status"] == "PASS"
    assert method(card, "hires_cam")["fidelity"]["status"] == "PASS"
    assert {method(card, name)["fidelity"]["status"] for name in CONTROLS} == {"FAIL"}
    labels = method(card, "hires_cam")["fidelity"]["labels"]
    assert labels["training_accuracy"] > 0.9
    assert labels["status"] in ("PASS", "NOT ASSESSED")
    page = (tmp_path / "outputs" / "r" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Score card of the explanations" in page
