"""The command line: `python train.py ...`, and `scanlens train | audit | folds | report | predict | evaluate |
compare | robustness | explain | dicom | ensemble | sweep | selftest | cache`.

Order matters here. A command is judged in full before Hydra runs it and before torch is imported, the name of the run
is fixed before Hydra starts, and Hydra runs once, in this process; processes of a training read the frozen
configuration of the run folder.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from scanlens import __version__, commands
from scanlens.cluster import slurm, stopping
from scanlens.cluster.group import Group, group_of_this_process
from scanlens.errors import ConfigError, RunError, ScanlensError, did_you_mean
from scanlens.help_texts import FOLDS_HELP, HELP, SELFTEST_HELP
from scanlens.jobs import audit_job, checked, fold_job, run_job, sweep_job
from scanlens.paths import RUN_ID_PATTERN, RUN_ID_WORDS, config_dir, new_run_id

if TYPE_CHECKING:
    from argparse import Namespace

    from omegaconf import DictConfig

    from scanlens.config.composing import Composer

    Job = Callable[[DictConfig], float | None]

DONE, FAILED, WRONG_CONFIGURATION, REQUEUED, INTERRUPTED, TERMINATED = 0, 1, 2, 99, 130, stopping.TERMINATED
RUN_ID = "RUN_ID"
_OWN = "trainer=ddp trainer.devices=N"
OF_THE_DISK = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EIO,
    errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EFBIG,
)  # fmt: skip
NO_DISK = ("/proc/", "/sys/", "/dev/")  # folders of the system, which say that a folder to be made does not exist
COMMANDS = (
    "train", "audit", "folds", "report", "predict", "evaluate", "compare", "robustness", "explain", "dicom",
    "ensemble", "sweep", "selftest", "cache",
)  # fmt: skip

# Threads that wait must not spin: on a shared machine spinning made training of a small network ten times slower.
POLITE_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The console script `scanlens`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    sys.exit(exit_status(lambda: _command(arguments)))


def train(argv: Sequence[str] | None = None) -> NoReturn:
    """The script `train.py`: everything after it goes to Hydra."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    sys.exit(exit_status(lambda: _train(arguments)))


def exit_status(command: Callable[[], None]) -> int:
    """Run a command; what users can mend is told without a traceback, and everything that stops it has its status."""
    for name, value in POLITE_THREADS.items():  # read by OpenMP when torch is imported
        os.environ.setdefault(name, value)
    try:
        with stopping.listening():
            return _status_when_stopped(command)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_CONFIGURATION
    except ScanlensError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except OSError as error:
        if error.errno not in OF_THE_DISK and not str(error.filename).startswith(NO_DISK):
            raise
        sys.stderr.write(f"{_told(error)}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; a training goes on from the last checkpoint with the same command and run_id\n")
        return INTERRUPTED
    except SystemExit as error:
        return _status_of(error)


def _status_when_stopped(command: Callable[[], None]) -> int:
    """Run a command; one that a signal stopped goes back into Slurm's queue, where that was meant."""
    try:
        command()
    except stopping.Stopped as stop:
        return _status_after(stop)
    return DONE


def _status_after(stop: stopping.Stopped) -> int:
    stopping.ignore_all()
    group, job = group_of_this_process(), slurm.job_of_this_process()
    leads = group is None or group.leads
    if leads:
        name = signal.Signals(stop.number).name
        sys.stderr.write(f"stopped by {name}; the same command with the same run_id goes on from the last checkpoint\n")
    if job and slurm.wants_requeue(stop.number, job) and (not leads or slurm.requeue(job)):
        return REQUEUED
    return TERMINATED


def _told(error: OSError) -> str:
    """What the disk refused, and what to do about it."""
    name = str(error.filename or "")
    where = f" {name if len(name) <= 200 else f'{name[:100]}... ({len(name)} characters)'}" if name else ""
    return (
        f"the disk refuses{where}: {error.strerror}. Make room or mend the permissions, or set another paths.outputs."
    )


def _status_of(error: SystemExit) -> int:
    """The status of an exit. Lightning's, on SIGTERM, carries none, and would count as success."""
    if error.code is None:
        return DONE if type(error) is SystemExit else TERMINATED
    if isinstance(error.code, int):
        return error.code
    sys.stderr.write(f"{error.code}\n")
    return FAILED


def _started(group: Group) -> str:
    return f"the {group.world} processes that {group.by} started"


def _refuse_group(name: str) -> None:
    """Only a training is shared by several processes.

    Raises:
        ConfigError: in each of several.
    """
    group = group_of_this_process()
    if group is not None and not group.leads:
        raise SystemExit(WRONG_CONFIGURATION)
    if group is not None:
        raise ConfigError(
            [f"scanlens {name} works in one process and cannot be shared by {_started(group)}. Start it once."]
        )


def _command(arguments: list[str]) -> None:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name not in ("train", "--help", "-h", "help", "--version", "-V"):
        _refuse_group(name)
    if name in ("--help", "-h", "help"):
        sys.stdout.write(HELP)
    elif name in ("--version", "-V"):
        sys.stdout.write(f"scanlens {__version__}\n")
    elif name == "train":
        _train(rest)
    elif name == "audit":
        _compose_and_run("audit", rest, audit_job)
    elif name == "folds":
        _folds(rest)
    elif name == "report":
        commands.report(rest)
    elif name == "predict":
        commands.predict(rest)
    elif name == "evaluate":
        commands.evaluate(rest)
    elif name == "cache":
        commands.cache(rest)
    elif name == "compare":
        commands.compare(rest)
    elif name == "robustness":
        commands.robustness(rest)
    elif name == "explain":
        commands.explain(rest)
    elif name == "dicom":
        commands.dicom(rest)
    elif name == "ensemble":
        commands.ensemble(rest)
    elif name == "sweep":
        commands.sweep(rest)
    elif name == "selftest":
        _selftest(rest)
    else:
        raise ConfigError([f"there is no command '{name}'. {did_you_mean(name, COMMANDS)} See scanlens --help."])


def _folds(arguments: list[str]) -> None:
    if commands.asks_for_help(arguments):
        sys.stdout.write(FOLDS_HELP)
        return
    if any(word.startswith("run=") for word in arguments):
        folder = Path(commands.pairs("folds", arguments, required=("run",))["run"][-1])
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    else:
        folder = _train_folds(arguments)
    from scanlens.pipeline import only_writer
    from scanlens.pipeline.seeds import gather_study

    with only_writer(folder) if folder.is_dir() else nullcontext():
        gather_study(folder)


def _train_folds(arguments: list[str]) -> Path:
    """Go through all folds and seeds, whatever is not done yet, and return the folder that holds them."""
    from scanlens.pipeline.fold_runs import how_to_go_on

    options = _parsed(arguments)
    flags = _without(arguments, options.overrides)
    folder, names, words = _folds_asked_for(options)
    try:
        _compose_and_run("train", [*words, "hydra/sweeper=basic", *flags, *["-m"][options.multirun :]], fold_job)
    except ScanlensError as error:
        raise RunError(f"{error}\n{how_to_go_on(folder, names, run_id=os.environ[RUN_ID])}") from error
    except (KeyboardInterrupt, SystemExit):
        sys.stderr.write(f"{how_to_go_on(folder, names, run_id=os.environ[RUN_ID])}\n")
        raise
    finally:
        (folder / "multirun.yaml").unlink(
            missing_ok=True
        )  # of Hydra; it names where the data lie, and config.yaml of each run has it
    return folder


def _folds_asked_for(options: Namespace) -> tuple[Path, list[str], list[str]]:
    """Where the runs will lie, what they are called there, and the words of the sweep, after the command has been judged."""
    from scanlens.config.fold_words import read_fold_words, run_names, sweep_words
    from scanlens.pipeline.fold_runs import refuse_other_runs

    options.config_name = options.config_name or "train"
    os.environ[RUN_ID] = _run_id(options.overrides)
    if options.cfg or options.info or options.hydra_help or options.shell_completion:
        raise ConfigError(["scanlens folds only trains; for questions of this kind there is scanlens train"])
    if _is_search(options):
        raise ConfigError(
            [
                "scanlens folds trains with settings that are given. Search in each fold by itself: "
                "python train.py hparams_search=optuna folds=5 fold=0, and so on (docs/clusters.md)"
            ]
        )
    words = read_fold_words(options.overrides)
    if words.mistakes:
        raise ConfigError(words.mistakes)
    options.overrides = words.settings
    _refuse_mistakes(options)
    config = _composer(options).whole(words.settings)
    folder, names = Path(config.run_dir).expanduser(), run_names(words, config)
    if not names:
        raise ConfigError(
            [
                "scanlens folds needs the number of parts of the cross-validation, such as folds=5, or seeds=[1,2,3], or both"
            ]
        )
    refuse_other_runs(folder, names)
    return folder, names, sweep_words(words, config)


def _selftest(arguments: list[str]) -> None:
    """Three trainings in this process; Hydra composes them and runs none."""
    if commands.asks_for_help(arguments):
        sys.stdout.write(SELFTEST_HELP)
        return
    options = _parsed(arguments)
    options.config_name = options.config_name or "train"
    _refuse_other_tests(options)
    os.environ[RUN_ID] = _run_id(options.overrides)
    asked = ["experiment=selftest", *options.overrides]
    options.overrides = asked
    _refuse_mistakes(options)
    composer = _composer(options)
    first = composer.whole(asked)
    folder = Path(first.run_dir).expanduser().absolute()

    def settle(words: Sequence[str], name: str) -> dict[str, Any]:
        config = composer.whole([*asked, *words])
        choices = config.hydra.runtime.choices
        del config.hydra
        return checked(config, choices, run_dir=str(folder / name), cwd=str(Path.cwd()))

    commands.log_to(folder / "selftest.log", only="scanlens.pipeline.selftest")
    from scanlens.pipeline.selftest import selftest

    if not selftest(settle, folder):
        raise SystemExit(FAILED)


def _refuse_other_tests(options: Namespace) -> None:
    """What would make it another test."""
    mistakes = []
    if options.multirun or options.cfg or options.info or options.hydra_help or options.shell_completion:
        mistakes.append(
            "scanlens selftest trains three times, once each; for sweeps and questions there is scanlens train"
        )
    fixed = ("data", "experiment", "run_dir", "data.signal", "data.shortcut", "data.root", "data.phantom")
    for word in options.overrides:
        name = word.partition("=")[0].lstrip("+~")
        if name.partition("@")[0] in fixed:
            mistakes.append(
                f"{word}: scanlens selftest decides {name} itself, since the right answers have to be known"
            )
    if mistakes:
        raise ConfigError(mistakes)


def _train(arguments: list[str]) -> None:
    if arguments[:1] == ["--version"]:
        sys.stdout.write(f"scanlens {__version__}\n")
        return
    group = group_of_this_process()
    if group is not None and not group.leads:
        _follow(arguments, group)
        return
    options = _parsed(arguments)
    searches = _is_search(options)
    flags = ["-m"] if searches and not _is_multirun(options) else []
    _compose_and_run("train", [*arguments, *flags], sweep_job if searches or _is_multirun(options) else run_job)


def _is_search(options: Namespace) -> bool:
    return any(word.startswith("hparams_search=") and word != "hparams_search=grid" for word in options.overrides)


def _follow(arguments: list[str], group: Group) -> None:
    """Train along in a run that process 0 of the group prepares; of mistakes in the command, it tells."""
    from scanlens.pipeline import follow_run

    try:
        options = _parsed(arguments)
        options.config_name = options.config_name or "train"
        os.environ[RUN_ID] = _run_id(options.overrides)
        if not _is_one_run(options):
            return
        folder = Path(_composer(options).whole(options.overrides).run_dir).expanduser().absolute()
    except ConfigError as error:
        raise SystemExit(WRONG_CONFIGURATION) from error
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    follow_run(folder, group)


def _is_one_run(options: Namespace) -> bool:
    """Whether a command trains once, and neither asks a question nor sweeps."""
    asks = options.cfg or options.info or options.help or options.hydra_help or options.shell_completion
    return not asks and not _is_multirun(options)


def _compose_and_run(name: str, arguments: Sequence[str], job: Job) -> None:
    """Let Hydra compose conf/<name>.yaml with the words of a command, after they were judged, and run a job with it."""
    options = _parsed(arguments)
    options.config_name = options.config_name or name
    flags = _without(arguments, options.overrides)
    with _arguments_of_the_process([f"{name}.py", *options.overrides, *flags]):
        _judge_and_run(options, job)


def _without(arguments: Sequence[str], words: Sequence[str]) -> list[str]:
    """The flags of a command line, without its words."""
    flags = list(arguments)
    for word in words:
        flags.remove(word)
    return flags


def _parsed(arguments: Sequence[str]) -> Namespace:
    """The words after train.py; flags and settings may come in any order, which Hydra's own reading does not allow."""
    from hydra._internal.utils import get_args_parser

    options = get_args_parser().parse_intermixed_args(arguments)
    if options.experimental_rerun:
        raise ConfigError(["--experimental-rerun reads a pickle, which can run any code; give the settings again"])
    return options


def _judge_and_run(options: Namespace, job: Job) -> None:
    os.environ[RUN_ID] = _run_id(options.overrides)
    if (group := group_of_this_process()) and _is_multirun(options):
        raise ConfigError(
            [f"a sweep cannot be shared by {_started(group)}. Start it once; with {_OWN} each of its runs has several"]
        )
    is_question = options.hydra_help or options.shell_completion or (options.help and not options.overrides)
    if not is_question:
        _refuse_mistakes(options)
    import hydra
    from hydra.errors import HydraException

    # Hydra would print errors of ours with a traceback, and unexpected ones without most of it.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    told: list[ScanlensError] = []
    run = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=options.config_name)(
        job if _is_multirun(options) else lambda config: _job_that_tells(config, told, job)
    )
    try:
        run()
    except HydraException as error:
        raise ConfigError([str(error)]) from error
    if told:
        raise told[0]


def _is_multirun(options: Namespace) -> bool:
    return options.multirun or "hydra.mode=MULTIRUN" in options.overrides


def _job_that_tells(config: DictConfig, told: list[ScanlensError], job: Job) -> float | None:
    """A job, its error kept for the caller: Hydra would print a line about overrides before it."""
    try:
        return job(config)
    except ScanlensError as error:
        told.append(error)
        return None


def _run_id(overrides: Sequence[str]) -> str:
    """The name of the run: as asked for, else as an outer process fixed it, else a new one."""
    asked = [word.partition("=")[2] for word in overrides if word.lstrip("+").startswith("run_id=")]
    name = (asked or [os.environ.get(RUN_ID) or new_run_id()])[-1].strip("'\"")
    if not RUN_ID_PATTERN.fullmatch(name):
        where = "run_id" if asked else f"the environment variable {RUN_ID}"
        raise ConfigError([f"{where} must be {RUN_ID_WORDS}, got '{name}'"])
    return name


def _refuse_mistakes(options: Namespace) -> None:
    from scanlens.config.precheck import precheck

    mistakes = precheck(options.overrides, _composer(options), is_multirun=_is_multirun(options))
    if mistakes:
        raise ConfigError(mistakes)


def _composer(options: Namespace) -> Composer:
    from scanlens.config.composing import Composer

    extra = Path(options.config_dir) if options.config_dir else None
    if extra is not None and not extra.is_dir():
        raise ConfigError([f"--config-dir: there is no folder {extra}"])
    folder = Path(options.config_path) if options.config_path else config_dir()
    return Composer(folder, config_name=options.config_name, extra_dir=extra)


@contextmanager
def _arguments_of_the_process(words: list[str]) -> Iterator[None]:
    """Hydra reads `sys.argv`."""
    former, sys.argv = sys.argv, words
    try:
        yield
    finally:
        sys.argv = former
