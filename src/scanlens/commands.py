"""Commands on finished runs and on the cache, whose words are `name=value`; Hydra has no part in them.

A command is judged in full before torch is imported.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from scanlens.errors import ConfigError, did_you_mean
from scanlens.help_texts import CACHE_HELP, COMPARE_HELP, EVALUATE_HELP, PREDICT_HELP, REPORT_HELP
from scanlens.paths import new_run_id

MAPPED_SLICES = 3
EVALUATE_WORDS = ("classes", "on_seen", "out", "split")


def asks_for_help(arguments: Sequence[str]) -> bool:
    return bool({"--help", "-h"} & set(arguments))


def report(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(REPORT_HELP)
        return
    given = pairs("report", arguments, required=("run",))
    from scanlens.report.audit_page import build_audit_page
    from scanlens.report.page import build_report

    run_dir = Path(given["run"][-1])
    build_audit_page(run_dir)
    sys.stdout.write(f"{build_report(run_dir)}\n")


def predict(arguments: Sequence[str]) -> None:
    if asks_for_help(arguments):
        sys.stdout.write(PREDICT_HELP)
        return
    given = pairs("predict", arguments, required=("run", "path"), optional=("maps",))
    maps = given.get("maps", [str(MAPPED_SLICES)])[-1]
    if not (maps.isdecimal() and len(maps) <= 6):
        raise ConfigError(
            [f"maps: how many slices of a volume get a map, a whole number from 0, is expected, got '{maps}'"]
        )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.predict import predict

    predict(Path(given["run"][-1]), [Path(path) for path in given["path"]], num_mapped=int(maps))


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


def _listed(word: str) -> list[str]:
    """`a,b` or `[a,b]` as a list."""
    names = word.removeprefix("[").removesuffix("]").split(",")
    return [name.strip() for name in names if name.strip()]


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
