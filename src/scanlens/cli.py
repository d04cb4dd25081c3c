"""The command line: `python train.py ...`, and `scanlens train | audit | report | predict | compare`.

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
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from scanlens import __version__
from scanlens.errors import ConfigError, ScanlensError, did_you_mean
from scanlens.paths import RUN_ID_PATTERN, RUN_ID_WORDS, config_dir, new_run_id

if TYPE_CHECKING:
    from argparse import Namespace

    from omegaconf import DictConfig

    Job = Callable[[DictConfig], float | None]

DONE, FAILED, WRONG_CONFIGURATION, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
RUN_ID = "RUN_ID"
OF_THE_DISK = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EIO,
)
COMMANDS = ("train", "audit", "report", "predict", "compare")

# Threads that wait must not spin: on a shared machine spinning made training of a small network ten times slower.
POLITE_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}

HELP = """\
scanlens: train a network on medical images, judge it honestly and explain what it looks at.

  scanlens train [group=option ...] [name=value ...]    the same as python train.py; see scanlens train --help
  scanlens audit [group=option ...] [name=value ...]    copies, leaks, shortcuts, odd images: before training
  scanlens report run=outputs/RUN_ID                    write the report page of a run again
  scanlens predict run=outputs/RUN_ID path=IMAGE ...    judge new images with the network of a run
  scanlens compare runs=outputs/A,outputs/B             runs side by side, and what can be told from chance
  scanlens --version

For research, not for diagnosis.
"""


REPORT_HELP = """\
scanlens report run=outputs/RUN_ID

Write outputs/RUN_ID/report/index.html again from what lies in the run folder; neither torch nor the images are needed.
"""

PREDICT_HELP = """\
scanlens predict run=outputs/RUN_ID path=IMAGE_OR_FOLDER [path=...]

Judge new images with the best weights of a finished run, prepared as in its training. Writes, below outputs/RUN_ID/new,
predictions.csv (one row per image, with a probability per class or the reason why it cannot be read), and the scan and
heat maps of each image.

For research, not for diagnosis.
"""

COMPARE_HELP = """\
scanlens compare runs=RUN,RUN[,...] [metric=auroc] [pairs=first] [out=FOLDER]

Hold runs that were judged on the same test images against each other: metrics with intervals, parameters, time and
memory per image, and the differences with p values corrected for the number of comparisons.

  runs=      run folders, the one to compare with first; or folders of folds (runs=[a,b] and runs=a runs=b are the same)
  metric=    auroc, auprc, balanced_accuracy, accuracy, log_loss or brier
  pairs=     first: every other run less the first; all: every pair
  out=       where comparison.{html,csv,tex,json} go; a new folder below outputs/comparisons if not given

For research, not for diagnosis.
"""


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
        with _terminating_on_sigterm():
            command()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_CONFIGURATION
    except ScanlensError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        sys.stderr.write(f"{_told(error)}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command with the same run_id goes on from the last checkpoint\n")
        return INTERRUPTED
    except SystemExit as error:
        return _status_of(error)
    return DONE


def _told(error: OSError) -> str:
    """What the disk refused, and what to do about it."""
    where = f" {error.filename}" if error.filename else ""
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


@contextmanager
def _terminating_on_sigterm() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that files are closed and child processes ended, and gives status 143."""

    def terminate(number: int, frame: object) -> NoReturn:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _command(arguments: list[str]) -> None:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("--help", "-h", "help"):
        sys.stdout.write(HELP)
    elif name in ("--version", "-V"):
        sys.stdout.write(f"scanlens {__version__}\n")
    elif name == "train":
        _train(rest)
    elif name == "audit":
        _compose_and_run("audit", rest, audit_job)
    elif name == "report":
        _report(rest)
    elif name == "predict":
        _predict(rest)
    elif name == "compare":
        _compare(rest)
    else:
        raise ConfigError([f"there is no command '{name}'. {did_you_mean(name, COMMANDS)} See scanlens --help."])


def _asks_for_help(arguments: Sequence[str]) -> bool:
    return bool({"--help", "-h"} & set(arguments))


def _report(arguments: Sequence[str]) -> None:
    if _asks_for_help(arguments):
        sys.stdout.write(REPORT_HELP)
        return
    given = _pairs("report", arguments, required=("run",))
    from scanlens.report.audit_page import build_audit_page
    from scanlens.report.page import build_report

    run_dir = Path(given["run"][-1])
    build_audit_page(run_dir)
    sys.stdout.write(f"{build_report(run_dir)}\n")


def _predict(arguments: Sequence[str]) -> None:
    if _asks_for_help(arguments):
        sys.stdout.write(PREDICT_HELP)
        return
    given = _pairs("predict", arguments, required=("run", "path"))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.predict import predict

    predict(Path(given["run"][-1]), [Path(path) for path in given["path"]])


def _compare(arguments: Sequence[str]) -> None:
    if _asks_for_help(arguments):
        sys.stdout.write(COMPARE_HELP)
        return
    given = _pairs("compare", arguments, required=("runs",), optional=("metric", "pairs", "out"))
    folders = [Path(name) for word in given["runs"] for name in _listed(word)]
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from scanlens.pipeline.compare import compare

    out = Path(given.get("out", [f"outputs/comparisons/{new_run_id()}"])[-1])
    compare(folders, metric=given.get("metric", ["auroc"])[-1], pairs=given.get("pairs", ["first"])[-1], out=out)


def _listed(word: str) -> list[str]:
    """`a,b` or `[a,b]` as a list."""
    names = word.removeprefix("[").removesuffix("]").split(",")
    return [name.strip() for name in names if name.strip()]


def _pairs(
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


def _train(arguments: list[str]) -> None:
    if arguments[:1] == ["--version"]:
        sys.stdout.write(f"scanlens {__version__}\n")
        return
    _compose_and_run("train", arguments, run_job)


def _compose_and_run(name: str, arguments: Sequence[str], job: Job) -> None:
    """Let Hydra compose conf/<name>.yaml with the words of a command, after they were judged, and run a job with it."""
    options = _parsed(arguments)
    options.config_name = options.config_name or name
    flags = list(arguments)
    for word in options.overrides:
        flags.remove(word)
    with _arguments_of_the_process([f"{name}.py", *options.overrides, *flags]):
        _judge_and_run(options, job)


def _parsed(arguments: Sequence[str]) -> Namespace:
    """The words after train.py; flags and settings may come in any order, which Hydra's own reading does not allow."""
    from hydra._internal.utils import get_args_parser

    options = get_args_parser().parse_intermixed_args(arguments)
    if options.experimental_rerun:
        raise ConfigError(["--experimental-rerun reads a pickle, which can run any code; give the settings again"])
    return options


def _judge_and_run(options: Namespace, job: Job) -> None:
    os.environ[RUN_ID] = _run_id(options.overrides)
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
    from scanlens.config.composing import Composer
    from scanlens.config.precheck import precheck

    extra = Path(options.config_dir) if options.config_dir else None
    if extra is not None and not extra.is_dir():
        raise ConfigError([f"--config-dir: there is no folder {extra}"])
    folder = Path(options.config_path) if options.config_path else config_dir()
    composer = Composer(folder, config_name=options.config_name, extra_dir=extra)
    mistakes = precheck(options.overrides, composer, is_multirun=_is_multirun(options))
    if mistakes:
        raise ConfigError(mistakes)


@contextmanager
def _arguments_of_the_process(words: list[str]) -> Iterator[None]:
    """Hydra reads `sys.argv`."""
    former, sys.argv = sys.argv, words
    try:
        yield
    finally:
        sys.argv = former


def run_job(config: DictConfig) -> float | None:
    """One job, as Hydra starts it here or on a node of a cluster; the monitored value of its best epoch is returned."""
    values = _checked(config)
    from scanlens.pipeline import train_run

    return train_run(values)


def audit_job(config: DictConfig) -> None:
    """The audit of what a training would see."""
    values = _checked(config)
    from scanlens.pipeline.audit import audit_run

    audit_run(values)


def _checked(config: DictConfig) -> dict[str, Any]:
    """The plain values of one job of Hydra's, all mistakes in them refused together."""
    from hydra.core.hydra_config import HydraConfig

    from scanlens.config import check

    hydra = HydraConfig.get()
    check(config, choices={str(group): str(option) for group, option in hydra.runtime.choices.items()})
    return _settled(config, run_dir=hydra.runtime.output_dir, cwd=hydra.runtime.cwd)


def _settled(config: DictConfig, *, run_dir: str, cwd: str) -> dict[str, Any]:
    """Plain values, with the folders of this job as absolute paths."""
    from omegaconf import open_dict

    from scanlens.config import plain

    with open_dict(config):
        config.run_dir = run_dir
    values, _ = plain(config)
    paths: Mapping[str, str] = values["paths"]
    values["paths"] = {name: str(Path(cwd, Path(path).expanduser())) for name, path in paths.items()}
    return values
