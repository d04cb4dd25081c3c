"""What must be true of verdicts on trained networks: luck is seldom supported, the evidence of a lesion nearly always."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fakes.commands import train
from scanlens.callbacks.case_maps import CaseMap, explain_cases
from scanlens.callbacks.case_verdicts import case_of, made_map
from scanlens.callbacks.predictions import index_of
from scanlens.evaluation.explanations.verdict import PASS, Sanity, verdict_of
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.explain.base import Explainer
from scanlens.explain.controls import RandomMap
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.verdict.measured import Measuring
from scanlens.pipeline.explanations.subject import Subject, open_subject
from scanlens.seeds import derived_seed

TRAINED = [
    "data=mri", "data.num_patients=200", "split.fractions=[0.5,0.1,0.4]", "trainer.max_epochs=25", "audit.enabled=false",
    "callbacks.num_explained_cases=1", "callbacks.explain_every_n_epochs=0", "callbacks.bootstrap_resamples=50",
]  # fmt: skip
NUM = 100


@pytest.fixture(scope="module", params=["lenet", "encoder_classifier"])
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A network that tells the tumors of phantoms apart, opened."""
    folder = tmp_path_factory.mktemp("verdicts")
    done = train(f"model={request.param}", *TRAINED, "run_id=r", cwd=folder, timeout_s=1500)
    assert done.returncode == 0, done.stderr
    return open_subject(folder / "outputs" / "r", max_cases=NUM)


def levels(subject: Subject, explainer: Explainer, rows: list[dict[str, str]]) -> Counter[str]:
    """How often each verdict is given, as if the network had passed its sanity check."""
    targets = subject.classes(rows).tolist()
    maps: list[CaseMap] = explain_cases(
        explainer,
        subject.network,
        [index_of(row) for row in rows],
        [row["case"] for row in rows],
        targets,
        subject.data.image_and_mask,
    )
    found: Counter[str] = Counter()
    for row, made, target in zip(rows, maps, targets, strict=True):
        case = case_of(subject.network, made, target, Measuring(seed=derived_seed(1, index_of(row))))
        measured = case.measured(explainer, made_map(made)).as_dict()
        found[verdict_of(measured, VerdictPlan(), Sanity(PASS)).level] += 1
    return found


@pytest.mark.slow
def test_maps_at_random_are_supported_at_their_nominal_rate(subject: Subject) -> None:
    rows = subject.drawn(subject.test.rows)
    found: Counter[str] = Counter()
    for seed in range(4):
        found += levels(subject, RandomMap(seed=seed), rows)
    assert found.total() == 4 * NUM
    assert 0.02 <= found["SUPPORTED"] / found.total() <= 0.12, found


@pytest.mark.slow
def test_the_evidence_of_detected_lesions_is_supported(subject: Subject) -> None:
    detected = [row for row in subject.test.rows if row["predicted"] == row["target"] != "no_tumor"]
    rows = subject.drawn(detected)
    assert len(rows) > 80
    found = levels(subject, IntegratedGradients(), rows)
    assert found["SUPPORTED"] / found.total() > 0.8, found


@pytest.mark.slow
def test_verdicts_of_a_trained_run_are_told_with_their_worth(subject: Subject) -> None:
    from scanlens.pipeline.explanations import verdicts

    few = Subject(subject.run, subject.network, subject.data, 20)
    content = verdicts.measure(few)
    first, control = content["methods"][0], content["methods"][-1]
    assert control["is_control"]
    assert sum(one["num"] for one in first["shares"].values()) == content["num_images"] == 20
    assert control["shares"]["SUPPORTED"]["num"] < first["shares"]["SUPPORTED"]["num"] + 3
    assert Path(few.run.folder).is_dir()
    assert any("correctness" in line for line in verdicts.lines(content))
