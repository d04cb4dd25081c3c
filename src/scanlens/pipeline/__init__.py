"""The main job, stage by stage: prepare, fit, judge, report. Each stage reads and fills the run folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scanlens.cluster.following import leading, wait_for_call
from scanlens.cluster.group import Group, group_of_this_process
from scanlens.errors import RunError
from scanlens.files import FileInUse, locked, remove_partial, write_json
from scanlens.pipeline.fork import with_its_division
from scanlens.runs import Config, Run, read_mapping

log = logging.getLogger(__name__)
STAGES = ("prepare", "fit", "judge", "report")


def train_run(config: Config) -> float | None:
    """Do whatever of a run is not done yet; the monitored value of its best epoch is returned, for sweeps.

    Args:
        config: plain and checked; `run_dir` says where.

    Raises:
        ScanlensError: for everything that a user can mend.
    """
    config, run = with_its_division(config), Run(Path(config["run_dir"]).resolve())
    run.folder.mkdir(parents=True, exist_ok=True)
    with leading(run.folder, group_of_this_process()), only_writer(run.folder):
        return _train_run(config, run)


def try_run(config: Config) -> float | None:
    """Prepare and train alone, so that settings can be chosen by validation and no test image is looked at.

    Args:
        config: as of `train_run`, which finishes the same run later.

    Returns:
        The monitored value of the best epoch.

    Raises:
        ScanlensError: for everything that a user can mend.
    """
    config, run = with_its_division(config), Run(Path(config["run_dir"]).resolve())
    run.folder.mkdir(parents=True, exist_ok=True)
    with leading(run.folder, group_of_this_process()), only_writer(run.folder):
        _do_stages(config, run, STAGES[:2])
    from scanlens.pipeline.monitored import best_value

    return best_value(run)


def follow_run(folder: Path, group: Group) -> None:
    """What a process does that was started for the run but does not lead: wait, train along, leave the rest to process 0.

    Raises:
        RunError: if process 0 failed, or is not heard any more.
    """
    if wait_for_call(folder, group):
        from scanlens.pipeline.fit import fit_this_process

        fit_this_process(Run(folder))


def _train_run(config: Config, run: Run) -> float | None:
    if stages_done(run) == list(STAGES):
        _refuse_other_settings(config, run)
        log.info("%s is finished; nothing to do. Its report: %s", run.folder, run.report_file)
        return _best(run)
    _do_stages(config, run, STAGES)
    _print_table(run)
    return _best(run)


def _do_stages(config: Config, run: Run, stages: Sequence[str]) -> None:
    """Go through stages, but for those that are done."""
    from scanlens.pipeline.summary import opening_lines

    remove_partial(run.folder)
    done = stages_done(run)
    if done:
        _refuse_other_settings(config, run)
    if "prepare" in done and "fit" not in done:
        from scanlens.pipeline.run_images import refuse_other_images

        refuse_other_images(run)
    for stage in stages:
        if stage not in done:
            with _timed(run, stage):
                _stage(stage)(config, run)
        if stage == "prepare":
            log.info("%s", "\n".join(opening_lines(run)))


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other commands from writing into the same run folder; the lock ends with this process, however it ends.

    Raises:
        RunError: if another process is at it.
    """
    try:
        with locked(folder / ".lock"):
            yield
    except FileInUse as error:
        raise RunError(
            f"another process is writing into {folder}. Wait for it, or choose another run_id for this one."
        ) from error


def stages_done(run: Run) -> list[str]:
    """The stages that ended, in their order; empty for a new run."""
    if not (run.provenance_file.is_file() and run.config_file.is_file()):
        return []
    stages = read_mapping(run.provenance_file).get("stages", [])
    if not (isinstance(stages, list) and all(one in STAGES for one in stages)):
        raise RunError(
            f"{run.provenance_file}: stages must be some of {', '.join(STAGES)}, got {stages!r}. Restore it from a copy."
        )
    return stages


def _stage(name: str) -> Callable[[Config, Run], object]:
    """The function of a stage; imported here, so that asking for a finished run imports nothing heavy."""
    if name == "prepare":
        from scanlens.pipeline.prepare import prepare

        return prepare
    if name == "fit":
        from scanlens.pipeline.fit import fit

        return lambda _, run: fit(run)
    if name == "judge":
        from scanlens.pipeline.judge import judge

        return lambda _, run: judge(run)
    from scanlens.config import build

    return lambda config, run: build(config["report"]).write(run.folder) if config.get("report") else None


@contextmanager
def _timed(run: Run, stage: str) -> Iterator[None]:
    """Note the end and the duration of a stage in provenance.json; a stage that fails is not noted."""
    began = time.perf_counter()
    yield
    content = read_mapping(run.provenance_file)
    content["duration_s"][stage] = round(time.perf_counter() - began, 2)
    content["stages"] = [name for name in STAGES if name in {*content["stages"], stage}]
    content["warnings"] = run.facts["warnings"]
    write_json(run.provenance_file, content)


def _refuse_other_settings(config: Config, run: Run) -> None:
    former = {key: value for key, value in run.config.items() if key != "facts"}
    changed = differences({key: value for key, value in config.items() if key != "facts"}, former)
    if changed:
        raise RunError(
            f"{run.folder} was started with other settings:\n"
            + "\n".join(f"  - {line}" for line in changed)
            + f"\nGo on with the former settings, or choose another run_id; fork={run.folder} begins a new run with its weights."
        )


def differences(new: object, old: object, where: str = "") -> list[str]:
    """A line for every value in which two nested dictionaries differ, with the path of its setting."""
    if isinstance(new, dict) and isinstance(old, dict):
        keys = sorted({*new, *old})
        return [line for key in keys for line in differences(new.get(key), old.get(key), f"{where}.{key}".strip("."))]
    return [] if new == old else [f"{where}: was {old!r}, now {new!r}"]


def _best(run: Run) -> float | None:
    monitor = read_mapping(run.evaluation_file).get("monitor")
    value = monitor.get("value") if isinstance(monitor, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


def _print_table(run: Run) -> None:
    from scanlens.report.summary import console_table

    log.info("\n%s", console_table(run.folder))
