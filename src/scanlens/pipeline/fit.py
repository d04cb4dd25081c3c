"""The training stage, the same on every process: everything it needs lies in the run folder."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
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
from scanlens.config import build
from scanlens.data.module import ScanData
from scanlens.errors import RunError
from scanlens.models.base import Network
from scanlens.models.weights import UNREADABLE, load_weights, save_weights
from scanlens.pipeline.build import build_explainers, build_task, open_data, rebuild_network
from scanlens.pipeline.lineage.stored import as_metadata, read_lineage
from scanlens.runs import Run

log = logging.getLogger(__name__)
PATIENCE_WITH_RANKS_S = 30.0


def fit(run: Run) -> None:
    """Train on this process, or on as many as the run asks for, started by torchrun."""
    num_processes = run.facts["hardware"]["devices"]
    if num_processes > 1:
        _fit_under_torchrun(run, num_processes)
    else:
        fit_this_process(run)
    _keep_best_weights(run)


def _fit_under_torchrun(run: Run, num_processes: int) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
    threads = max(1, (os.cpu_count() or 1) // num_processes)
    environment |= {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
    status = _run_to_the_end([*command, "-m", "scanlens.worker", str(run.folder)], environment)
    if status:
        raise RunError(
            f"training on {num_processes} processes ended with status {status}; the cause stands above. "
            "The same command with the same run_id goes on from the last checkpoint."
        )


def _run_to_the_end(command: Sequence[str], environment: dict[str, str]) -> int:
    """Status of a command; if this process is stopped first, the command is asked to end, so that no rank is orphaned."""
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except BaseException:
        process.terminate()  # torchrun passes it on to its ranks; killing it outright would leave them running
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
    if config["trainer"].get("num_threads"):
        torch.set_num_threads(config["trainer"]["num_threads"])
    network = rebuild_network(config)
    load_weights(run.initial_weights_file, network)
    network.to(memory_format=torch.channels_last)  # convolutions run faster so, on processors and on GPUs
    task = build_task(config, network)
    data = open_data(run)
    trainer = _trainer(run, data, network)
    with plain_interrupts():
        trainer.fit(task, datamodule=data, ckpt_path=_checkpoint_to_resume(run), weights_only=True)


@contextmanager
def plain_interrupts() -> Iterator[None]:
    """Ctrl-C as what it is: Lightning tidies up, and then exits as if something had failed."""
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


def _checkpoint_to_resume(run: Run) -> str | None:
    """The last whole checkpoint; a damaged one is told and passed over, since from an earlier one, or from none, training
    arrives at the same weights."""
    for name in ("last.ckpt", "best.ckpt"):
        path = run.checkpoints / name
        if not path.is_file():
            continue
        try:
            torch.load(path, map_location="meta", weights_only=True)
        except (pickle.UnpicklingError, *UNREADABLE) as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            log.warning("checkpoints/%s is damaged (%s); going on from an earlier state", name, reason)
            continue
        return str(path)
    return None


def _trainer(run: Run, data: ScanData, network: Network) -> pl.Trainer:
    settings, hardware = run.config["trainer"], run.facts["hardware"]
    is_distributed = hardware["devices"] > 1
    # Unused parameters are looked for because frozen blocks get no gradient until they are thawed.
    strategy = DDPStrategy(find_unused_parameters=True) if is_distributed else "auto"
    passed = ("max_epochs", "min_epochs", "gradient_clip_val", "accumulate_grad_batches", "deterministic")
    limits = ("limit_train_batches", "limit_val_batches", "log_every_n_steps", "sync_batchnorm")
    return pl.Trainer(
        **{name: settings[name] for name in (*passed, *limits) if settings.get(name) is not None},
        accelerator=hardware["accelerator"],
        devices=hardware["devices"],
        precision=hardware["precision"],
        strategy=strategy,
        plugins=None if is_distributed else [LightningEnvironment()],
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=shows_progress(settings),
        enable_model_summary=False,
        default_root_dir=str(run.folder),
        logger=_loggers(run),
        callbacks=_callbacks(run, data, network),
    )


def shows_progress(settings: dict[str, Any]) -> bool:
    """A bar on a terminal only; a log file gets one line an epoch instead."""
    return bool(settings.get("enable_progress_bar", True)) and sys.stderr.isatty()


def _loggers(run: Run) -> list[Logger]:
    config = run.config["logger"]
    loggers: list[Logger] = []
    if config.get("tensorboard", True):
        loggers.append(TensorBoardLogger(str(run.logs), name="tensorboard", version=""))
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
        r".*Checkpoint directory .* exists and is not empty.*",  # it holds the initial weights
        r".*Couldn't infer the batch indices fetched from your dataloader.*",  # outputs carry their own index
    )
    for message in decided:
        warnings.filterwarnings("ignore", message=message)
