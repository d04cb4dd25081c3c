"""`scanlens selftest`: three trainings on phantoms whose right answers are known, and whether everything said them.

One with a lesion, which has to be learned and found; its twin whose labels say nothing, on which nothing may be found; its
twin with a letter in a corner that gives the label away, which has to be caught cheating.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scanlens.errors import ScanlensError
from scanlens.evaluation.independent import independent_difference
from scanlens.files import write_json
from scanlens.pipeline import train_run
from scanlens.report.folder import SELFTEST_VERSION
from scanlens.report.selftest import build_selftest_page
from scanlens.report.words import duration, number, percent, point, with_interval
from scanlens.runs import Config, Run

log = logging.getLogger(__name__)
CASES = 60  # recipients of the audit of shortcuts
CHANCE = 0.5
NOTHING_EXPLAINED = "no tumor that was named right is explained (or explain=none)"
TAGGED, UNTOUCHED = "upper left corner", "lower right corner"
TWINS: dict[str, tuple[str, ...]] = {
    "lesion": ("data.signal=true", "data.shortcut=null"),
    "no_signal": ("data.signal=false", "data.shortcut=null"),
    "shortcut": ("data.signal=true", "data.shortcut=tag"),
}
"""The three trainings, and the settings in which they differ."""
TITLES = {
    "lesion": "phantoms with a lesion",
    "no_signal": "the same pictures, labels dealt at random",
    "shortcut": "the same pictures, a letter in a corner of those with a tumor",
}
Settle = Callable[[Sequence[str], str], Config]


@dataclass(frozen=True, slots=True)
class Check:
    """Something that has to be true.

    Args:
        run: of `TWINS`.
        name: what has to be true.
        passed: whether it is.
        found: the numbers, in words.
    """

    run: str
    name: str
    passed: bool
    found: str


def selftest(settle: Settle, folder: Path) -> bool:
    """Train, judge and check all three; progress is logged line by line.

    Args:
        settle: gives the checked configuration of the run of a name with these settings last.
        folder: receives the run folders, selftest.json and selftest.html.

    Returns:
        Whether everything passed.
    """
    began = time.perf_counter()
    configs = {name: settle(words, name) for name, words in TWINS.items()}
    checks: list[Check] = []
    for step, (name, config) in enumerate(configs.items(), start=1):
        log.info("%d/%d  training on %s ...", step, len(configs), TITLES[name])
        for check in _checked(name, config):
            log.info("     %s  %s: %s", "PASS" if check.passed else "FAIL", check.name, check.found)
            checks.append(check)
    has_passed = all(check.passed for check in checks)
    taken_s = time.perf_counter() - began
    write_json(folder / "selftest.json", _content(configs, checks, has_passed=has_passed, duration_s=taken_s))
    page = build_selftest_page(folder)
    failed = sum(not check.passed for check in checks)
    verdict = "PASS" if has_passed else f"FAIL ({failed} of {len(checks)} checks)"
    log.info("%s  in %s; %s", verdict, duration(taken_s), page)
    return has_passed


def _content(
    configs: dict[str, Config], checks: Sequence[Check], *, has_passed: bool, duration_s: float
) -> dict[str, Any]:
    first = configs["lesion"]
    return {
        "schema_version": SELFTEST_VERSION,
        "passed": has_passed,
        "duration_s": round(duration_s, 1),
        "model": str(first["model"]["_target_"]).rpartition(".")[2],
        "explain": str((first["explain"] or {}).get("_target_", "none")).rpartition(".")[2],
        "seed": first["seed"],
        "runs": {name: TITLES[name] for name in configs},
        "checks": [asdict(check) for check in checks],
    }


def _checked(name: str, config: Config) -> Iterator[Check]:
    """The checks of one training; a training that stops is one that failed."""
    began = time.perf_counter()
    try:
        train_run(config)
    except ScanlensError as error:
        yield Check(name, "trains to the end", passed=False, found=str(error).replace("\n", " "))
        return
    yield Check(name, "trains to the end", passed=True, found=f"in {duration(time.perf_counter() - began)}")
    run = Run(Path(config["run_dir"]))
    evaluation = json.loads(run.evaluation_file.read_text(encoding="utf-8"))
    try:
        if name == "lesion":
            yield _learns(evaluation)
            yield _points(evaluation)
        elif name == "no_signal":
            yield _stays_at_chance(evaluation)
        else:
            yield _learns(evaluation, run=name, by="tells a tumor from none, by whatever it is")
            yield _follows(evaluation, run.folder.parent / "lesion")
            yield from _is_caught(run)
    except ScanlensError as error:
        yield Check(name, "can be judged", passed=False, found=str(error).replace("\n", " "))


def _auroc(evaluation: Config) -> tuple[dict[str, Any], int]:
    judged = evaluation["splits"]["test"]["slice"]
    return judged["metrics"]["auroc"], int(judged["num_images"])


def _learns(evaluation: Config, *, run: str = "lesion", by: str = "learns to tell a tumor from none") -> Check:
    auroc, num = _auroc(evaluation)
    surely = point(auroc) if auroc["low"] is None else auroc["low"]  # a perfect one is so in all resamples
    passed = surely is not None and surely > CHANCE
    told = "" if passed else "; not shown to be above 0.5: the network does not learn, or the pictures do not reach it"
    return Check(run, by, passed, f"test AUROC {with_interval(auroc)}, {num} images{told}")


def _stays_at_chance(evaluation: Config) -> Check:
    auroc, num = _auroc(evaluation)
    value, low, high = point(auroc), auroc["low"], auroc["high"]
    passed = value is not None and (value == CHANCE if low is None else low <= CHANCE <= high)
    told = (
        ""
        if passed
        else "; away from 0.5 where there is nothing to find: labels leak (by chance, one honest network in twenty does so: try another seed)"
    )
    return Check(
        "no_signal",
        "finds nothing where there is nothing",
        passed,
        f"test AUROC {with_interval(auroc)}, {num} images{told}",
    )


def _points(evaluation: Config) -> Check:
    """The method to be believed first hits lesions more often than a random point does."""
    name = "the heat map points at the tumor"
    method, said = _localized(evaluation)
    if said is None:
        return Check("lesion", name, passed=False, found=NOTHING_EXPLAINED)
    excess = said["excess"]
    surely = point(excess) if excess["low"] is None else excess["low"]
    passed = surely is not None and surely > 0
    numbers = f"{method} hits {percent(point(said['hit_rate']))} of {said['num_images']} tumors, a random point {percent(said['chance'])}"
    told = "" if passed else "; not shown to be above chance: the explainer, or where its map is placed, is wrong"
    return Check("lesion", name, passed, f"{numbers} (excess {with_interval(excess)}){told}")


def _follows(evaluation: Config, of_lesion: Path) -> Check:
    """Maps that do not look at the network point at tumors as often where it goes by the letter."""
    name = "the heat map follows the network, away from the tumor"
    file = Run(of_lesion).evaluation_file
    first = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    (method, before), (_, now) = _localized(first), _localized(evaluation)
    if before is None or now is None:
        return Check("shortcut", name, passed=False, found=NOTHING_EXPLAINED)
    lost = independent_difference(before["hit_rate"], now["hit_rate"])
    passed = lost["low"] is not None and lost["low"] > 0
    rates = [percent(point(one["hit_rate"])) for one in (before, now)]
    told = "" if passed else "; not shown to be fewer: the explainer points at tumors whatever the network goes by"
    return Check("shortcut", name, passed, f"{method} hits {rates[1]} of tumors, {rates[0]} without a letter{told}")


def _localized(evaluation: Config) -> tuple[str, dict[str, Any] | None]:
    """Name and pointing game of the method to be believed first."""
    for method, said in (evaluation.get("localization") or {}).items():
        return str(method), said if said["num_images"] else None
    return "", None


def _is_caught(run: Run) -> Iterator[Check]:
    """The audit of shortcuts convicts the corner of the letter, and not the one across."""
    from scanlens.pipeline.explanations.command import explain

    content = explain(run.folder, parts=["shortcuts"], max_cases=CASES)["shortcuts"]
    regions = {one["name"]: one for one in content["regions"]}
    tagged, untouched = regions[TAGGED], regions[UNTOUCHED]
    yield Check(
        "shortcut",
        "is caught going by the letter",
        passed=tagged["verdict"] == "convicted",
        found=f"the {TAGGED} is {tagged['verdict']}: {_change(tagged)}",
    )
    yield Check(
        "shortcut",
        "and not by a corner without one",
        passed=untouched["verdict"] != "convicted",
        found=f"the {UNTOUCHED} is {untouched['verdict']}: {_change(untouched)}",
    )


def _change(region: dict[str, Any]) -> str:
    place = region["worst"]
    if place is None:
        return "nothing to exchange"
    effect = region["effects"][place]
    beside = "" if effect["elsewhere"] is None else f", regions elsewhere by {number(point(effect['elsewhere']), 2)}"
    return f"exchanging it moves probabilities by {with_interval(effect['change'])}{beside}"
