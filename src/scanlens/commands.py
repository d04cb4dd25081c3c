"""Commands on finished runs and on the cache, whose words are `name=value`; Hydra has no part in them.

A command is judged in full before torch is imported.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from scanlens.errors import ConfigError, did_you_mean
from scanlens.help_texts import (
    CACHE_HELP,
    COMPARE_HELP,
    DICOM_HELP,
    ENSEMBLE_HELP,
    EVALUATE_HELP,
    EXPLAIN_HELP,
    PREDICT_HELP,
    REPORT_HELP,
    ROBUSTNESS_HELP,
    SWEEP_HELP,
)
from scanlens.paths import new_run_id

MAPPED_SLICES = 3
EVALUATE_WORDS = ("classes", "on_seen", "out", "split")


def asks_for_help(arguments: Sequence[str]) -> bool:
    return bool({"--help", "-h"} & set(arguments))


def log_to(path: Path, *, only: str) -> None:
    """Everything that is logged goes into a file, and onto the terminal what one logger says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", filename=path, force=True)
    shown = logging.StreamHandler(sys.stdout)
    shown.setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger(only).addHandler(shown)


def report(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(REPORT_HELP)
        return
    given = pairs("report", arguments, required=("run",), optional=("pdf", "reveal_after_commit", "intended_use"))
    pdf, hides, use = (given.get(name, [""])[-1] for name in ("pdf", "reveal_after_commit", "intended_use"))
    wrong = [
        f"{name}={word}: true or false is expected."
        for name, word in (("pdf", pdf), ("reveal_after_commit", hides))
        if word not in ("", "true", "false")
    ]
    from scanlens.config import load_frozen
    from scanlens.pipeline import only_writer
    from scanlens.pipeline.readers import judge_readers
    from scanlens.report.page import MOST_LETTERS, write_report

    if len(use) > MOST_LETTERS:
        wrong.append(f"intended_use has {len(use)} letters, at most {MOST_LETTERS} are expected.")
    if wrong:
        raise ConfigError(wrong)
    settings: dict[str, object] = {"reveal_after_commit": hides == "true"} if hides else {}
    settings |= {"intended_use": use} if use else {}
    folder = Path(given["run"][-1])
    load_frozen(folder)
    with only_writer(folder):
        judge_readers(folder)
        path = write_report(folder, pdf=None if pdf == "" else pdf == "true", settings=settings)
    sheets = sorted((path.parent / "cases").glob("*.html"))
    told = f"and {len(sheets)} sheets of cases in {path.parent / 'cases'}\n" if sheets else ""
    sys.stdout.write(f"{path}\n{told}")


def predict(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(PREDICT_HELP)
        return
    given = pairs("predict", arguments, required=("run", "path"), optional=("maps", "overlay", "names"))
    overlay = given.get("overlay", ["true"])[-1]
    maps = given.get("maps", [str(MAPPED_SLICES)])[-1]
    if not (maps.isdecimal() and len(maps) <= 6):
        raise ConfigError(
            [f"maps: how many slices of a volume get a map, a whole number from 0, is expected, got '{maps}'"]
        )
    if overlay not in ("true", "false"):
        raise ConfigError([f"overlay: true or false is expected, got '{overlay}'"])
    names = given.get("names", ["auto"])[-1]
    if names not in ("auto", "keep"):
        raise ConfigError([f"names: auto (as in the run) or keep is expected, got '{names}'"])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.predict import predict

    predict(
        Path(given["run"][-1]),
        [Path(path) for path in given["path"]],
        num_mapped=int(maps),
        overlay=overlay == "true",
        shows_files=names == "keep",
    )


def evaluate(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(EVALUATE_HELP)
        return
    from scanlens.pipeline.external.request import is_data_word, request_of

    of_data = [word for word in arguments if is_data_word(word)]
    rest = [word for word in arguments if not is_data_word(word)]
    given = pairs("evaluate", rest, required=("run",), optional=("data", "data.root", *EVALUATE_WORDS))
    request = request_of(given, of_data)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.external.command import evaluate

    evaluate(request)


def cache(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(CACHE_HELP)
        return
    is_clearing = list(arguments[:1]) == ["clear"]
    given = pairs("cache", arguments[is_clearing:], optional=("path", "older_than")[: 1 + is_clearing])
    from scanlens.pipeline.cache_command import cache_command

    sys.stdout.write(f"{cache_command(given, is_clearing=is_clearing)}\n")


def compare(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(COMPARE_HELP)
        return
    given = pairs("compare", arguments, required=("runs",), optional=("metric", "pairs", "out"))
    folders = [Path(name) for word in given["runs"] for name in _listed(word)]
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.compare import compare

    out = Path(given.get("out", [f"outputs/comparisons/{new_run_id()}"])[-1])
    compare(folders, metric=given.get("metric", ["auroc"])[-1], pairs=given.get("pairs", ["first"])[-1], out=out)


def robustness(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(ROBUSTNESS_HELP)
        return
    given = pairs("robustness", arguments, required=("run",), optional=("kinds", "split"))
    from scanlens.data.degradation_kinds import chosen_kinds

    words = [name for word in given.get("kinds", ["all"]) for name in _listed(word)]
    kinds = chosen_kinds("all" if words == ["all"] else words, setting="kinds")
    if (split := given.get("split", ["test"])[-1]) != "test":
        raise ConfigError(
            [
                f"split={split}: only split=test is judged; weights, calibration and threshold were chosen on the others, which "
                "would flatter the network"
            ]
        )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.robustness import robustness

    robustness(Path(given["run"][-1]), kinds=kinds)


def explain(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(EXPLAIN_HELP)
        return
    from scanlens.explain.request import WORDS, request_of

    asked = request_of(pairs("explain", arguments, optional=WORDS))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if asked.runs:
        from scanlens.pipeline.explanations.spread import explain_runs

        out = Path(asked.out or f"outputs/comparisons/{new_run_id()}")
        explain_runs([Path(name) for name in asked.runs], max_cases=asked.max_cases, out=out)
        return
    from scanlens.pipeline.explanations.command import explain

    explain(
        Path(asked.run),
        parts=asked.parts,
        max_cases=asked.max_cases,
        methods=asked.methods,
        shortcut_plan=asked.shortcut_plan,
        limits=asked.limits,
    )


def dicom(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(DICOM_HELP)
        return
    from scanlens.pipeline.dicom.request import WORDS, request_of

    asked = request_of(pairs("dicom", arguments, required=("run",), optional=WORDS))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.dicom.command import export_dicom

    export_dicom(asked)


def ensemble(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(ENSEMBLE_HELP)
        return
    given = pairs("ensemble", arguments, optional=("runs", "run", "path", "out"))
    if (
        ("runs" in given) == ("run" in given)
        or ("run" in given) != ("path" in given)
        or ("run" in given and "out" in given)
    ):
        raise ConfigError(
            [
                "scanlens ensemble needs either runs=RUN,RUN [out=FOLDER], judged on the same test images, or run=FOLDS and path=..., "
                "a cross-validation and new images"
            ]
        )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if "run" in given:
        from scanlens.pipeline.fold_ensemble import fold_ensemble

        fold_ensemble(Path(given["run"][-1]), [Path(path) for path in given["path"]])
        return
    from scanlens.pipeline.ensemble import ensemble

    folders = [Path(name) for word in given["runs"] for name in _listed(word)]
    ensemble(folders, out=Path(given.get("out", [f"outputs/ensemble-{new_run_id()}"])[-1]))


def _listed(word: str) -> list[str]:
    """`a,b` or `[a,b]` as a list."""
    names = word.removeprefix("[").removesuffix("]").split(",")
    return [name.strip() for name in names if name.strip()]


def sweep(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(SWEEP_HELP)
        return
    given = pairs("sweep", arguments, required=("run",))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.sweep import gather_sweep

    gather_sweep(Path(given["run"][-1]))


def pairs(
    command: str, arguments: Sequence[str], *, required: Sequence[str] = (), optional: Sequence[str] = ()
) -> dict[str, list[str]]:
    """`name=value` words, in which a name may come several times."""
    known = (*required, *optional)
    found: dict[str, list[str]] = {}
    mistakes = []
    for word in arguments:
        name, equals, value = word.partition("=")
        if not (equals and value):
            mistakes.append(f"'{word}' is not of the form name=value, such as {known[0]}=...")
        elif name not in known:
            mistakes.append(f"scanlens {command} has no '{name}'. {did_you_mean(name, known)}")
        found.setdefault(name, []).append(value)
    mistakes += [f"scanlens {command} needs {name}=..." for name in required if name not in found]
    if mistakes:
        raise ConfigError(mistakes)
    return found
