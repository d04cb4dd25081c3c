"""A search for settings (`hparams_search=optuna`): Optuna is asked for settings, and told what they came to on validation images."""

from __future__ import annotations

import logging
import math
import os
import shlex
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.scanlens_sweeps.grid import note_lost, note_queued, sweep_folder
from scanlens.errors import ConfigError, RunError

log = logging.getLogger(__name__)
SAMPLERS = ("tpe", "random")
GIVEN_UP_AFTER = 3  # trials that failed, if no other did anything else
NEVER_SEARCHED = ("seed", "fold", "folds", "monitor", "split", "data", "task", "audit", "lineage")
NOT_OF_THE_SEARCH = ("run_id", "run_dir", "hparams_search")
AnySweeper: Any = Sweeper


class SearchSweeper(AnySweeper):  # type: ignore[misc]
    """Chooses the settings of each job by the results of those before.

    Args:
        n_trials: jobs over all starts of the search.
        n_jobs: jobs at a time.
        sampler: tpe or random.
        seed: of the sampler.
        params: settings and where to look for them, such as {"optim.lr": "tag(log, interval(1e-4, 1e-2))"}; the command line wins.

    References:
        Bergstra et al., Algorithms for Hyper-Parameter Optimization, NeurIPS 2011 (tpe).
    """

    def __init__(self, n_trials: int, n_jobs: int, sampler: str, seed: int, params: Mapping[str, str] | None) -> None:
        mistakes = [
            f"hydra.sweeper.{name} must be a whole number from 1, got {value!r}"
            for name, value in (("n_trials", n_trials), ("n_jobs", n_jobs))
            if not (type(value) is int and value >= 1)
        ]
        mistakes += [f"hydra.sweeper.sampler must be tpe or random, got {sampler!r}"] * (sampler not in SAMPLERS)
        if mistakes:
            raise ConfigError(mistakes)
        self.n_trials, self.n_jobs, self.sampler, self.seed = n_trials, n_jobs, sampler, seed
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As Hydra asks it of sweepers."""
        self.config, self.hydra_context = config, hydra_context
        self.launcher: Any = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search on until there are `n_trials`; the report of the search is written however it ends.

        Raises:
            RunError: if no trial gave a value, or the folder holds another search.
        """
        from scanlens.pipeline import only_writer
        from scanlens.pipeline.sweep import gather_sweep

        folder = sweep_folder(self.config)
        folder.mkdir(parents=True, exist_ok=True)
        fixed, space = self._space(arguments)
        with only_writer(folder):
            study = self._study(folder, fixed, space)
            try:
                self._search(study, folder, fixed, space)
            finally:
                if study.trials:
                    found = _found(study, folder, fixed, self._monitor())
                    gather_sweep(folder, is_over=True, search=found)
                    whole = _command(_own(fixed), study, folder)
                    if whole != found["command"]:  # which may be passed on
                        log.info("the whole command: %s", whole)
        if not _complete(study):
            raise RunError("no trial of the search gave a value; the reasons stand above")

    def _space(self, arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """Words that all trials have, and the distribution of each setting that is searched."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = parser.parse_overrides(list(arguments))
        names = {one.key_or_group for one in given}
        own = [f"{name}={where}" for name, where in self.params.items() if name not in names and self._has(name)]
        searched = [one for one in (*parser.parse_overrides(own), *given) if one.is_sweep_override()]
        fixed = [str(one.input_line) for one in given if not one.is_sweep_override()]
        mistakes = [
            f"'{one.input_line}' cannot be searched over: trials would be judged on other images or by other measures, and their "
            "values could not be compared. Give one value; for several, one search each"
            for one in searched
            if one.key_or_group.partition(".")[0] in NEVER_SEARCHED
        ]
        if not searched:
            mistakes.append(
                "there is nothing to search for; give a setting a range, such as optim.lr='tag(log,interval(1e-4,1e-2))'"
            )
        if mistakes:
            raise ConfigError(mistakes)
        return fixed, {one.key_or_group: distribution_of(one) for one in searched}

    def _has(self, name: str) -> bool:
        parent, _, key = name.rpartition(".")
        node = OmegaConf.select(self.config, parent) if parent else self.config
        return OmegaConf.is_dict(node) and key in node

    def _monitor(self) -> tuple[str, Literal["minimize", "maximize"]]:
        """The monitored value, and whether it is to be minimized or maximized."""
        task, wanted = self.config.task, self.config.monitor
        name = task.default_monitor if wanted == "auto" else wanted
        return str(name), "maximize" if task.monitors[name] == "max" else "minimize"

    def _study(self, folder: Path, fixed: Sequence[str], space: Mapping[str, Any]) -> Any:
        """The search of this folder, gone on with if it was begun before."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        name, direction = self._monitor()
        words = sorted(_own(fixed))
        database = folder / "search.db"
        database.touch(mode=0o600)  # it names folders
        storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
        study = optuna.create_study(storage=storage, study_name="search", direction=direction, load_if_exists=True)
        asked = {
            "monitor": name,
            "direction": direction,
            "words": words,
            "space": {key: repr(one) for key, one in space.items()},
        }
        former = study.user_attrs.get("asked")
        if former is None:
            study.set_user_attr("asked", asked)
        elif former != asked:
            from scanlens.pipeline import differences

            told = "\n".join(f"  - {line}" for line in differences(asked, former))
            raise RunError(
                f"{folder} holds a search that was begun with other settings:\n{told}\nChoose another run_id."
            )
        seed = int(self.seed) + len(study.trials)
        samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
        study.sampler = samplers[self.sampler](seed=seed)
        return study

    def _search(self, study: Any, folder: Path, fixed: Sequence[str], space: Mapping[str, Any]) -> None:
        from optuna.trial import TrialState

        begun = study.get_trials(states=(TrialState.RUNNING,))  # an earlier start was stopped in them; their runs go on
        for batch in _consecutive(begun):
            self._try(study, folder, fixed, batch)
        while (rest := self.n_trials - len(study.trials)) > 0:
            self._try(study, folder, fixed, [study.ask(dict(space)) for _ in range(min(self.n_jobs, rest))])
            failed = study.get_trials(states=(TrialState.FAIL,))
            if len(failed) == len(study.trials) >= GIVEN_UP_AFTER:
                log.error("the first %d trials all failed, so the search is given up", len(failed))
                return

    def _try(self, study: Any, folder: Path, fixed: Sequence[str], trials: Sequence[Any]) -> None:
        """Launch trials and tell the study what they came to."""
        from optuna.trial import TrialState

        jobs = [[*fixed, *words_of(trial.params)] for trial in trials]
        first = trials[0].number
        note_queued(folder, jobs, first=first)
        results = self.launcher.launch(jobs, initial_job_idx=first)
        note_lost(folder, results, first)
        for trial, result in zip(trials, results, strict=True):
            value = value_of(result)
            if value is None:
                study.tell(trial.number, state=TrialState.FAIL)
            else:
                study.tell(trial.number, value)
            log.info(
                "trial %d of %d: %s", trial.number + 1, self.n_trials, "no value" if value is None else f"{value:.5g}"
            )


def distribution_of(override: Override) -> Any:
    """Optuna's distribution of a sweep in Hydra's words.

    `interval(a,b)` is continuous, `int(interval(a,b))` whole, `range(a,b,step)` as it says, each by `tag(log,...)` in its logarithm;
    values separated by commas and `choice(...)` have no order.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    is_log = "log" in getattr(value, "tags", ())
    if isinstance(value, IntervalSweep):
        kind: Any = IntDistribution if isinstance(value.start, int) else FloatDistribution
        return kind(value.start, value.end, log=is_log)
    if isinstance(value, RangeSweep):
        numbers: list[Any] = [Override._convert_value(one) for one in override.sweep_iterator()]
        numbers.sort()
        kind = IntDistribution if all(isinstance(one, int) for one in numbers) else FloatDistribution
        if is_log:
            return kind(numbers[0], numbers[-1], log=True)
        return kind(numbers[0], numbers[-1], step=abs(value.step))
    return CategoricalDistribution([str(one) for one in override.sweep_string_iterator()])


def words_of(params: Mapping[str, object]) -> list[str]:
    """The words of a trial; numbers keep all their digits."""
    return [f"{name}={value!r}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()]


def value_of(result: JobReturn) -> float | None:
    """The monitored value of a job; None if it failed or has none that is a number."""
    value = result._return_value if result.status == JobStatus.COMPLETED else None
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _consecutive(trials: Sequence[Any]) -> Iterator[list[Any]]:
    """Trials with numbers that follow each other, together."""
    batch: list[Any] = []
    for trial in trials:
        if batch and trial.number != batch[-1].number + 1:
            yield batch
            batch = []
        batch.append(trial)
    if batch:
        yield batch


def _complete(study: Any) -> list[Any]:
    from optuna.trial import TrialState

    return list(study.get_trials(states=(TrialState.COMPLETE,)))


def _found(study: Any, folder: Path, fixed: Sequence[str], monitor: tuple[str, str]) -> dict[str, Any]:
    """`search` of sweep.json."""
    from scanlens.report.sweep import overrides_in_public

    complete = _complete(study)
    best = study.best_trial if complete else None
    public = [f"{name}={value}" for name, value in overrides_in_public(_own(fixed)).items()]
    return {
        "monitor": monitor[0],
        "direction": monitor[1],
        "num_complete": len(complete),
        "num_failed": len(study.trials) - len(complete),
        "best": {"number": best.number, "value": best.value, "params": {k: str(v) for k, v in best.params.items()}}
        if best
        else None,
        "median": statistics.median(trial.value for trial in complete) if complete else None,
        "command": _command(public, study, folder),
    }


def _name_of(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def _own(fixed: Sequence[str]) -> list[str]:
    """Words that say what is trained."""
    return [word for word in fixed if _name_of(word) not in NOT_OF_THE_SEARCH]


def _command(words: Sequence[str], study: Any, folder: Path) -> str | None:
    """What judges the best trial on test images: the same run, gone on with."""
    if not _complete(study):
        return None
    best = study.best_trial
    run_dir = os.path.relpath(folder / str(best.number))
    run_id = os.environ.get("RUN_ID", folder.name)
    asked = [*words, *words_of(best.params), f"run_id={run_id}", f"run_dir={run_dir}"]
    return " ".join(["python train.py", *(shlex.quote(word) for word in asked)])
