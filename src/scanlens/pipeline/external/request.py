"""What `scanlens evaluate` was asked for: every word judged before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlens.config.changing import changed_data, class_words, name_of
from scanlens.errors import ConfigError, RunError, did_you_mean
from scanlens.pipeline.external.classes import unknown_run_names
from scanlens.runs import Run

CHOICES = {"on_seen": ("refuse", "warn"), "split": ("all", "test")}
NO_DATA = "scanlens evaluate needs the new images: data.root=/new/scans, with the data node of the run, or data=NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A judged command.

    Args:
        run: the finished run.
        data: node of the new images.
        names_are_given: whether the command says which classes there are, so that they are not looked for.
        classes: new name to name of the run, or None to leave it out.
        out: folder to write; None for a new one below the run.
        refuses_seen: whether images that the network was trained on stop the command.
        only_test: whether only images of the test split that the data set brings are judged.
    """

    run: Run
    data: dict[str, Any]
    names_are_given: bool
    classes: dict[str, str | None]
    out: Path | None
    refuses_seen: bool
    only_test: bool


def is_data_word(word: str) -> bool:
    """Whether a word is an override of the data node."""
    return name_of(word) == "data" or name_of(word).startswith("data.")


def request_of(given: Mapping[str, Sequence[str]], data_words: Sequence[str]) -> Request:
    """The request that words make.

    Args:
        given: `run`, and `out`, `classes`, `on_seen`, `split` where they were said; the last of several counts.
        data_words: overrides of the data node.

    Raises:
        RunError: if there is no finished classification to judge.
        ConfigError: with every mistake in the words.
    """
    last = {name: values[-1] for name, values in given.items()}
    run = _finished(Path(last["run"]))
    mistakes = [
        f"{name}={last[name]} is not known. {did_you_mean(last[name], known)}"
        for name, known in CHOICES.items()
        if name in last and last[name] not in known
    ]
    classes, wrong = class_words(last["classes"]) if "classes" in last else ({}, [])
    mistakes += wrong or unknown_run_names(classes, run.facts["class_names"])
    data, wrong = changed_data(data_words, run.config) if data_words else ({}, [NO_DATA])
    mistakes += wrong
    if mistakes:
        raise ConfigError(mistakes)
    return Request(
        run=run,
        data=data,
        names_are_given=any(name_of(word) in ("data", "data.class_names", "data.class_folders") for word in data_words),
        classes=classes,
        out=Path(last["out"]).expanduser() if "out" in last else None,
        refuses_seen=last.get("on_seen", "refuse") == "refuse",
        only_test=last.get("split", "all") == "test",
    )


def _finished(folder: Path) -> Run:
    run = Run(folder.expanduser().resolve())
    try:
        task, names = run.facts["task"], run.facts["class_names"]
    except KeyError as error:
        raise RunError(f"{run.config_file} does not say {error}. Restore it from a copy, or train again.") from error
    if task != "classification" or not names:
        raise RunError(
            f"{run.folder} holds an autoencoder, which has no classes to judge. Give the run of a classifier."
        )
    if not (run.weights_file.is_file() and run.evaluation_file.is_file()):
        raise RunError(f"{run.folder} is not finished; let the training finish (the same command resumes it)")
    return run
