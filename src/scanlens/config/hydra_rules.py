"""What Hydra's own part of a configuration may do here: launch jobs and log, but call nothing else."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

CORE_PLUGINS = "hydra._internal.core_plugins."
PLUGINS = "hydra_plugins."
OURS = f"{PLUGINS}scanlens_sweeps."
GRID, SEARCH, SLURM = f"{OURS}grid.GridSweeper", f"{OURS}search.SearchSweeper", f"{OURS}slurm.SlurmLauncher"
NEEDED = {SEARCH: "optuna", SLURM: f"{PLUGINS}hydra_submitit_launcher"}
EXTRAS = {"hydra_submitit_launcher": "slurm", "hydra_joblib_launcher": "joblib", "optuna": "optuna"}
LOCAL = f"{PLUGINS}hydra_submitit_launcher.submitit_launcher.LocalLauncher"
_NESTED = re.compile(r"hydra\.experimental\.callbacks\.LogJobReturnCallback")
_LOGGING_CLASS = re.compile(
    r"logging\.(StreamHandler|FileHandler|NullHandler|Formatter|Filter|handlers\.(Timed)?Rotating\w*Handler)"
)
_LOG_FILE = re.compile(
    r"\$\{(hydra\.runtime\.output_dir|hydra\.(run|sweep)\.dir|run_dir)\}(/(?!\.\.?(/|$))([\w.-]|\$\{hydra\.job\.name\})+)+"
)
_MAY_BE_SET = re.compile(  # of the environment: nothing that names code or a library
    r"(OMP|MKL|OPENBLAS)_NUM_THREADS|CUDA_VISIBLE_DEVICES|CUBLAS_WORKSPACE_CONFIG|NCCL_(DEBUG|SOCKET_IFNAME|IB_DISABLE|P2P_DISABLE)"
    r"|GLOO_SOCKET_IFNAME"
)
_OTHER_ENVIRONMENT = re.compile(r"oc\.env:(?!RUN_ID\})|\$\{env:|\$\{\s*oc\.\$")
_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")


def hydra_mistakes(hydra: DictConfig, *, is_multirun: bool) -> list[str]:
    """One sentence for everything in `hydra:` that is refused or cannot work.

    Args:
        hydra: the composed node.
        is_multirun: whether there is a sweep, for which alone launchers and sweepers are used.
    """
    values = OmegaConf.to_container(hydra, resolve=False)
    found = [*_plugins(values, is_multirun), *_logging(values), *_environment(values), *_folders(values)]
    return list(dict.fromkeys(found))


def _plugins(values: Any, is_multirun: bool) -> Iterator[str]:
    for part in ("launcher", "sweeper"):
        target = str((values.get(part) or {}).get("_target_", ""))
        if target.startswith(CORE_PLUGINS) or target == GRID:
            continue
        if not target.startswith(PLUGINS):
            yield f"hydra.{part}._target_={target} is not one of Hydra's plugins"
            continue
        package = NEEDED.get(target, target).removeprefix(PLUGINS).split(".")[0]
        if not _is_installed(package):
            extra = EXTRAS.get(package)
            how = f"pip install 'scanlens[{extra}]'" if extra else f"pip install {package.replace('_', '-')}"
            yield f"hydra/{part} needs the package {package.replace('_', '-')}: {how}"
        elif not is_multirun:
            yield f"hydra/{part} only serves sweeps; add -m (also for a single job), or leave it out"
        elif target == LOCAL and _tasks(values[part]) > 1:
            yield (
                "hydra/launcher=submitit_local starts tasks that do not know of each other. Use one task, and let each run start its "
                "processes: hydra.launcher.tasks_per_node=1 trainer=ddp trainer.devices=2"
            )
    for path, target in _targets(values):
        if path not in ("launcher", "sweeper") and not _NESTED.fullmatch(target):
            yield f"hydra.{path}: _target_ '{target}' is not on the list of what Hydra may call here"


def _tasks(launcher: Mapping[str, Any]) -> int:
    counts = [launcher.get(name) for name in ("nodes", "tasks_per_node")]
    return math.prod(one for one in counts if isinstance(one, int))


def _is_installed(package: str) -> bool:
    """Whether there is a plugin of Hydra's, or another package, of this name."""
    if importlib.util.find_spec(package) is not None:
        return True
    spec = importlib.util.find_spec(PLUGINS.rstrip("."))
    places = spec.submodule_search_locations if spec is not None else None
    return any((Path(place) / package).is_dir() for place in places or [])


def _targets(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield path, str(value["_target_"])
        for key, one in value.items():
            yield from _targets(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _targets(one, f"{path}.{place}")


def _logging(values: Any) -> Iterator[str]:
    """`logging.config` builds any class and calls any factory that it is given."""
    for part in ("job_logging", "hydra_logging"):
        for path, key, value in _leaves(values.get(part) or {}, f"hydra.{part}"):
            if key == "()" and value != "colorlog.ColoredFormatter":
                yield f"{path}: factories are refused, got {value!r}"
            elif key == "class" and not _LOGGING_CLASS.fullmatch(str(value)):
                yield f"{path} must be a class of Python's logging that writes to a terminal or a file, got {value!r}"
            elif key == "filename" and not _LOG_FILE.fullmatch(str(value)):
                yield f"{path} must lie in the run folder, such as ${{hydra.runtime.output_dir}}/logs/own.log, got {value!r}"
            elif isinstance(value, str) and "ext://" in value and value not in _STREAMS:
                yield f"{path} must be {' or '.join(_STREAMS)}, got {value!r}"


def _environment(values: Any) -> Iterator[str]:
    for name in (values.get("job") or {}).get("env_copy") or []:
        yield f"hydra.job.env_copy: '{name}' is refused, since its value would be written into the run folder"
    for name in (values.get("job") or {}).get("env_set") or {}:
        if not _MAY_BE_SET.fullmatch(str(name)):
            yield f"hydra.job.env_set.{name} is refused, since variables can make other code run. Set it in the shell"
    for path, _, value in _leaves(values, "hydra"):
        if isinstance(value, str) and _OTHER_ENVIRONMENT.search(value):
            yield f"{path}={value} is refused: of the environment only ${{oc.env:RUN_ID}} is read"


def _folders(values: Any) -> Iterator[str]:
    """Jobs of a sweep stay below its folder, and Hydra's copies of the configuration, which hold paths, are not written."""
    name = str((values.get("job") or {}).get("name") or "")
    if "/" in name:
        yield f"hydra.job.name={name} must be a name without '/', since files are called after it"
    subdir = str((values.get("sweep") or {}).get("subdir") or "")
    if subdir.startswith(("/", "~")) or ".." in subdir.split("/"):
        yield f"hydra.sweep.subdir={subdir} leads out of the folder of the sweep; give a name below it"
    if (copies := values.get("output_subdir")) is not None:
        yield f"hydra.output_subdir={copies} is refused: it would hold paths, readable by all; config.yaml of the run says the same"
    most = (values.get("sweeper") or {}).get("max_batch_size")
    if isinstance(most, (int, float)) and most < 1:
        yield f"hydra.sweeper.max_batch_size must be at least 1, got {most}"


def _leaves(value: Any, path: str, key: str = "") -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(one, f"{path}.{name}", str(name))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _leaves(one, f"{path}.{place}", key)
    else:
        yield path, key, value
