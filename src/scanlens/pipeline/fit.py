"""The training stage, the same on every process: everything it needs lies in the run folder."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from scanlens.callbacks.epoch_line import EpochLine
from scanlens.callbacks.epoch_table import EpochTable
from scanlens.callbacks.explanations import TrainingExplanations
from scanlens.callbacks.last_checkpoint import LastCheckpoint
from scanlens.cluster import stopping
from scanlens.cluster.following import call_to_fit
from scanlens.cluster.group import group_of_this_process
from scanlens.config import build
from scanlens.data.module import ScanData
from scanlens.errors import RunError
from scanlens.models.base import Network
from scanlens.models.weights import load_weights, save_weights
from scanlens.pipeline.build import build_explainers, build_task, rebuild_network
from scanlens.pipeline.checkpoints import LAST, WholeCheckpoints, checkpoint_to_resume
from scanlens.pipeline.group_environment import GroupEnvironment
from scanlens.pipeline.lineage.stored import as_metadata, read_lineage
from scanlens.pipeline.run_images import open_data
from scanlens.runs import Run

log = logging.getLogger(__name__)
PATIENCE_WITH_RANKS_S = 45.0  # torchrun itself gives them 30
SIGNALS_OF_TORCHRUN = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2"  # passed on to the ranks


def fit(run: Run) -> None:
    """Train on this process and those that were started with it, or on as many as the run asks for, started by torchrun."""
    hardware, group = run.facts["hardware"], group_of_this_process()
    num_processes = hardware["devices"] * hardware.get("num_nodes", 1)
    if group is not None:
        call_to_fit(run.folder, group)
        fit_this_process(run)
    elif hardware.get("num_nodes", 1) > 1:
        raise RunError(
            f"this run was begun by {num_processes} processes on {hardware['num_nodes']} machines; go on with it in the same way "
            "(srun or torchrun)."
        )
    elif num_processes > 1:
        _fit_under_torchrun(run, num_processes)
    else:
        fit_this_process(run)
    _keep_best_weights(run)


def _fit_under_torchrun(run: Run, num_processes: int) -> None:
    command = [sys.executable, "-m", "scanlens.agent", str(os.getpid()), "--standalone"]
    command += [f"--nproc-per-node={num_processes}", "-m", "scanlens.worker", str(run.folder)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
    threads = threads_of_each(num_processes)
    environment |= {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
    environment |= {"TORCHELASTIC_SIGNALS_TO_HANDLE": SIGNALS_OF_TORCHRUN}
    if status := _run_to_the_end(command, environment):
        raise RunError(
            f"training on {num_processes} processes ended with status {status}; the cause stands above. "
            "The same command with the same run_id goes on from the last checkpoint."
        )


def threads_of_each(num_processes: int) -> int:
    """Threads of a process that shares the cores of a machine with others."""
    return max(1, (os.cpu_count() or 1) // num_processes)


def _run_to_the_end(command: Sequence[str], environment: dict[str, str]) -> int:
    """Status of a command; a signal is passed on to it, and if this process is stopped otherwise, it is asked to end.

    Raises:
        Stopped: if a signal asked this process to end; the ranks have saved their state by then.
    """
    process = subprocess.Popen(command, env=environment)
    asked_at: list[float] = []

    def pass_on(number: int, frame: object) -> None:
        if not asked_at:  # a second one would interrupt torchrun while it waits for its ranks
            process.send_signal(number)
            asked_at.append(time.monotonic())

    with stopping.deferred(pass_on):
        try:
            while True:
                try:
                    return process.wait(timeout=1.0)
                except subprocess.TimeoutExpired:
                    if asked_at and time.monotonic() - asked_at[0] > PATIENCE_WITH_RANKS_S:
                        process.kill()  # its ranks end with it
        except BaseException:
            process.terminate()
            try:
                process.wait(timeout=PATIENCE_WITH_RANKS_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def fit_this_process(run: Run) -> None:
    """Train as one process, or as one rank of a group that torchrun started."""
    quiet_lightning()
    config = run.config
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    if threads := config["trainer"].get("num_threads") or _threads_in_group():
        torch.set_num_threads(threads)
    network = rebuild_network(config)
    load_weights(run.initial_weights_file, network)
    network.to(memory_format=torch.channels_last)  # convolutions run faster so, on processors and on GPUs
    task = build_task(config, network)
    data = open_data(run)
    found = checkpoint_to_resume(run, network)
    path, step = (str(found[0]), found[1]) if found else (None, None)
    trainer = _trainer(run, data, network, resumed_step=step)
    with plain_interrupts(), _told_when_a_reader_dies(), stopping.deferred():
        trainer.fit(task, datamodule=data, ckpt_path=path, weights_only=True)


@contextmanager
def _told_when_a_reader_dies() -> Iterator[None]:
    """Processes that read ahead are killed when memory runs out, most often."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise RunError(
            f"a process that reads images ahead has ended ({' '.join(str(error).split())}), as the system does to processes when memory "
            "runs out. The same command with the same run_id goes on; loader.num_workers=0 needs none of them."
        ) from error


def _threads_in_group() -> int | None:
    group = group_of_this_process()
    return None if group is None or "OMP_NUM_THREADS" in os.environ else threads_of_each(group.local_world)


@contextmanager
def plain_interrupts() -> Iterator[None]:
    """Ctrl-C as what it is: Lightning tidies up, and then exits as if something had failed."""
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def _trainer(run: Run, data: ScanData, network: Network, *, resumed_step: int | None) -> pl.Trainer:
    settings, hardware, group = run.config["trainer"], run.facts["hardware"], group_of_this_process()
    is_distributed = group is not None
    thaws = hasattr(network, "set_frozen_blocks")  # blocks get no gradient until then
    strategy = DDPStrategy(find_unused_parameters=thaws) if is_distributed else "auto"
    passed = ("max_epochs", "min_epochs", "gradient_clip_val", "accumulate_grad_batches", "deterministic")
    limits = ("limit_train_batches", "limit_val_batches", "log_every_n_steps", "sync_batchnorm")
    return pl.Trainer(
        **{name: settings[name] for name in (*passed, *limits) if settings.get(name) is not None},
        accelerator=hardware["accelerator"],
        devices=hardware["devices"],
        precision=hardware["precision"],
        strategy=strategy,
        num_nodes=hardware.get("num_nodes", 1),
        plugins=[LightningEnvironment() if group is None else GroupEnvironment(group), WholeCheckpoints()],
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=shows_progress(settings),
        enable_model_summary=False,
        default_root_dir=str(run.folder),
        logger=_loggers(run, resumed_step),
        callbacks=_callbacks(run, data, network),
    )


def shows_progress(settings: dict[str, Any]) -> bool:
    """A bar on a terminal only; a log file gets one line an epoch instead."""
    return bool(settings.get("enable_progress_bar", True)) and sys.stderr.isatty()


def _loggers(run: Run, resumed_step: int | None) -> list[Logger]:
    config = run.config["logger"]
    loggers: list[Logger] = []
    if config.get("tensorboard", True):
        # What was logged after the state that training goes on from is logged again, so viewers leave out the first.
        purge: dict[str, Any] = {} if resumed_step is None else {"purge_step": resumed_step + 1}
        loggers.append(TensorBoardLogger(str(run.logs), name="tensorboard", version="", **purge))
    return loggers + [build(node) for node in config.get("extra") or []]


def _callbacks(run: Run, data: ScanData, network: Network) -> list[pl.Callback]:
    settings, monitor = run.config["callbacks"], run.facts["monitor"]
    callbacks: list[pl.Callback] = [
        EpochTable(run.metrics_file),
        EpochLine(monitor["name"]),
        ModelCheckpoint(
            dirpath=str(run.checkpoints),
            filename="best",
            monitor=monitor["name"],
            mode=monitor["mode"],
            save_top_k=1,
            enable_version_counter=False,
            auto_insert_metric_name=False,
        ),
        # Of its own: `save_last` writes only when there is a new best, and everything since would be trained again.
        ModelCheckpoint(dirpath=str(run.checkpoints), filename="last", monitor=None, enable_version_counter=False),
        LastCheckpoint(run.checkpoints / LAST, minutes=settings.get("checkpoint_minutes")),
    ]
    if settings["patience"] and monitor["name"].startswith("val/"):
        callbacks.append(EarlyStopping(monitor["name"], mode=monitor["mode"], patience=settings["patience"]))
    if shows_progress(run.config["trainer"]):
        callbacks.append(TQDMProgressBar())
    callbacks += _training_explanations(run, data, network)
    return callbacks + [build(node) for node in settings.get("extra") or []]


def _training_explanations(run: Run, data: ScanData, network: Network) -> list[pl.Callback]:
    settings = run.config["callbacks"]
    explainers = build_explainers(run, network)
    if not explainers or not settings["explain_every_n_epochs"]:
        return []
    indices = _one_of_each_class(run, settings["num_explained_train_cases"])
    targets = None if run.facts["task"] == "reconstruction" else [int(data.targets_N[i]) for i in indices]
    return [
        TrainingExplanations(
            run.explanations / "training",
            explainer=explainers[0],
            indices=indices,
            targets=targets,
            read=data.image_and_mask,
            every_n_epochs=settings["explain_every_n_epochs"],
            max_share=settings.get("explain_max_share", 0.05),  # absent in runs of earlier versions
        )
    ]


def _one_of_each_class(run: Run, num: int) -> list[int]:
    """Validation images, going round the classes until there are `num`."""
    queues: dict[str, list[int]] = {}
    for row in run.split_rows:
        if row["split"] == "val":
            queues.setdefault(row["target"], []).append(int(row["index"]))
    rounds = max((len(queue) for queue in queues.values()), default=0)
    return [queue[i] for i in range(rounds) for queue in queues.values() if i < len(queue)][:num]


def _keep_best_weights(run: Run) -> None:
    """weights.safetensors from the best checkpoint: tensors of the network alone."""
    best = run.checkpoints / "best.ckpt"
    if not best.is_file():
        raise RunError(f"training left no checkpoint in {run.checkpoints}: it ended before its first epoch was whole")
    network = rebuild_network(run.config)
    load_weights(best, network)
    past = as_metadata(read_lineage(run.lineage_file)) if run.lineage_file.exists() else None
    save_weights(run.weights_file, network, metadata=past)


def silent_trainer(run: Run, *, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    """A trainer for one pass of prediction, in one process, in full precision."""
    quiet_lightning()
    return pl.Trainer(
        accelerator=run.facts["hardware"]["accelerator"],
        devices=1,
        precision="32-true",
        plugins=[LightningEnvironment()],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=shows_progress(run.config["trainer"]),
        default_root_dir=str(run.folder),
        callbacks=list(callbacks),
    )


def quiet_lightning() -> None:
    """Leave out Lightning's notes on hardware and advice that this project has decided already."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    decided = (
        r".*does not have many workers.*",  # batches come from memory-mapped arrays; workers would only cost
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",  # Lightning 2.6 with torch 2.13
        r".*number of training batches .* is smaller than the logging interval.*",
        r".*srun.* command is available.*",
        r".*It is recommended to use `self.log\(.*, ..., sync_dist=True\)`.*",  # made of the whole split on every process
        r".*Checkpoint directory .* exists and is not empty.*",  # it holds the initial weights
        r".*Couldn't infer the batch indices fetched from your dataloader.*",  # outputs carry their own index
    )
    for message in decided:
        warnings.filterwarnings("ignore", message=message)
