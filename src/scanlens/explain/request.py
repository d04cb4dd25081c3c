"""What `scanlens explain` is asked, judged in full before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scanlens.errors import ConfigError, did_you_mean
from scanlens.explain.limits_plan import LIMITS_WORDS, LimitsPlan
from scanlens.explain.parts import PARTS
from scanlens.explain.shortcut_plan import LEAST_EFFECT, ShortcutPlan, shortcut_plan
from scanlens.paths import config_dir

NUM_CASES, MOST_CASES = 50, 100_000
NO_METHODS = ("auto", "none", "residual", "latent_cam")  # of the group `explain`: several, none, or of an autoencoder
OF_ONE_RUN = ("parts", "methods", "boxes", "least_effect", *LIMITS_WORDS)
WORDS = ("run", "runs", "cases", "out", *OF_ONE_RUN)
Given = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """A request that makes sense.

    Args:
        run: a folder that is put to the test; "" where `runs` are held against each other.
        runs: folders of training runs.
        out: where the comparison of runs goes; "" for a new folder.
        parts: of `PARTS`.
        max_cases: images looked at by tests that cost passes for each.
        methods: options of the group `explain` for the score card; None for the usual ones.
        shortcut_plan, limits: see there.
    """

    run: str
    runs: tuple[str, ...]
    out: str
    parts: tuple[str, ...]
    max_cases: int
    methods: tuple[str, ...] | None
    shortcut_plan: ShortcutPlan
    limits: LimitsPlan


def request_of(given: Given) -> ExplainRequest:
    """The request of a command.

    Args:
        given: the values of each of `WORDS` that came.

    Raises:
        ConfigError: names every word that makes no sense.
    """
    parts, methods, cases = _listed(given, "parts"), _listed(given, "methods"), _last(given, "cases", str(NUM_CASES))
    mistakes = [
        *_which_run(given),
        *_unknown("parts", parts, list(PARTS)),
        *_unknown("methods", methods, map_methods()),
    ]
    if not (cases.isdecimal() and 0 < int(cases[:7]) <= MOST_CASES):
        mistakes.append(
            f"cases: how many images are looked at, a whole number from 1 to {MOST_CASES}, is expected, got '{cases}'"
        )
    plan, limits = ShortcutPlan(), LimitsPlan()
    try:
        plan = shortcut_plan(list(given.get("boxes", [])), _last(given, "least_effect", str(LEAST_EFFECT)))
    except ConfigError as error:
        mistakes += error.mistakes
    try:
        limits = LimitsPlan.from_words({name: given[name][-1] for name in LIMITS_WORDS if name in given})
    except ValueError as error:
        mistakes.append(str(error))
    if mistakes:
        raise ConfigError(mistakes)
    runs = tuple(_listed(given, "runs"))
    named = tuple(dict.fromkeys(methods)) or None
    wanted = tuple(dict.fromkeys(parts)) or tuple(PARTS)
    return ExplainRequest(
        _last(given, "run", ""), runs, _last(given, "out", ""), wanted, int(cases), named, plan, limits
    )


def map_methods() -> list[str]:
    """Options of the configuration group `explain` that are one method each, and explain a class."""
    return sorted({path.stem for path in (config_dir() / "explain").glob("*.yaml")} - set(NO_METHODS))


def _which_run(given: Given) -> list[str]:
    mistakes = []
    if ("run" in given) == ("runs" in given) or ("runs" in given and not _listed(given, "runs")):
        mistakes.append(
            "scanlens explain needs either run=RUN, or runs=RUN,RUN to hold the maps of training runs against each other"
        )
    mistakes += [f"{name}: goes with run=, not with runs=" for name in OF_ONE_RUN if {name, "runs"} <= given.keys()]
    if {"out", "run"} <= given.keys():
        mistakes.append("out: goes with runs=; what is measured on one run is written into its folder")
    return mistakes


def _unknown(word: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    return [f"{word}: there is no '{name}'. {did_you_mean(name, known)}" for name in names if name not in known]


def _listed(given: Given, word: str) -> list[str]:
    """`a,b` or `[a,b]`, given once or more."""
    split = [one.removeprefix("[").removesuffix("]").split(",") for one in given.get(word, [])]
    return [name.strip() for names in split for name in names if name.strip()]


def _last(given: Given, word: str, otherwise: str) -> str:
    return given[word][-1] if word in given else otherwise
