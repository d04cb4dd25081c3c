"""From a frozen configuration to objects: network, loss, task, explainers, trainer settings."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from scanlens.cluster.group import Group, group_of_this_process
from scanlens.config import build
from scanlens.data.balance import BalancePlan
from scanlens.errors import ConfigError
from scanlens.explain.base import Explainer
from scanlens.losses import ClassificationLoss, class_prior, inverse_frequency_weights
from scanlens.models.base import Network
from scanlens.runs import Run
from scanlens.tasks.base import Task
from scanlens.tasks.classification import ClassificationTask
from scanlens.tasks.optim import OptimPlan

Config = dict[str, Any]


def is_reconstruction(config: Config) -> bool:
    """Whether the configured task rebuilds pictures rather than telling classes apart."""
    return config["task"]["_target_"].endswith(".ReconstructionTask")


def build_network(config: Config, *, facts: Config) -> Network:
    """The configured network, with the facts that the data decided."""
    passed = {key: facts[key] for key in ("in_channels", "input_size", "input_mean", "input_std")}
    if not is_reconstruction(config):
        passed["num_classes"] = len(facts["class_names"])
    return build(config["model"], **passed)


def rebuild_network(config: Config) -> Network:
    """The network of a run, to be filled with saved weights; nothing is downloaded or read."""
    facts = config["facts"]
    model = {key: value for key, value in config["model"].items() if key not in facts["model_arguments"]}
    arguments = {key: v for key, v in facts["model_arguments"].items() if key not in ("input_mean", "input_std")}
    means = {key: v for key, v in facts["model_arguments"].items() if key in ("input_mean", "input_std")}
    return build_network(config | {"model": model | arguments}, facts=facts | means)


def build_task(config: Config, network: Network) -> Task:
    """The task around a network: loss from the training split's class counts, optimizer settings, seed."""
    facts = config["facts"]
    plan: OptimPlan = build(config["optim"])
    if not facts["model_summary"]["is_pretrained"]:  # lower rates for lower blocks protect what they know already
        plan = dataclasses.replace(plan, block_decay=1.0)
    if is_reconstruction(config):
        return build(config["task"], network=network, optim=plan, seed=config["seed"])
    loss = build_loss(build(config["balance"]), facts, label_smoothing=plan.label_smoothing)
    task: ClassificationTask = build(
        config["task"], network=network, class_names=facts["class_names"], loss=loss, optim=plan, seed=config["seed"]
    )
    return task


def build_loss(plan: BalancePlan, facts: Config, *, label_smoothing: float) -> ClassificationLoss:
    """The training loss; weights and priors come from the training split alone."""
    names = facts["class_names"]
    counts_K = [facts["counts"]["train"][name] for name in names]
    return ClassificationLoss(
        weights_K=inverse_frequency_weights(counts_K, names) if plan.class_weights else None,
        focal_gamma=plan.focal_gamma,
        prior_K=None if plan.logit_adjustment is None else class_prior(counts_K, names),
        tau=plan.logit_adjustment or 0.0,
        label_smoothing=label_smoothing,
    )


def build_explainers(run: Run, network: Network) -> list[Explainer]:
    """The methods that the run was configured with, the one to be believed first; empty for explain=none.

    Raises:
        ConfigError: if a class is set against one that the run does not have.
        ExplainError: if the network cannot be explained so.
    """
    node = run.config["explain"]
    passed = {"class_names": run.facts["class_names"]} if "against" in node else {}
    try:
        method = build(node, **passed)
    except ValueError as error:
        raise ConfigError([str(error)]) from error
    explainers: list[Explainer] = method.explainers_for(network)
    return explainers


def settle_hardware(trainer: Config, *, model: Config) -> Config:
    """Accelerator, number of devices and machines, and precision in place of "auto".

    bf16 is chosen where the hardware multiplies it fast: GPUs that support it, and processors with bf16 matrix units if
    the network is large enough to gain (`partners.prefers_bf16`).

    Raises:
        ConfigError: if other numbers are asked for than processes were started.
    """
    accelerator, group = trainer["accelerator"], group_of_this_process()
    if accelerator == "auto":
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    devices = trainer["devices"]
    if group is not None:
        devices = _devices_of(group, trainer)
    elif devices in ("auto", -1):
        devices = torch.cuda.device_count() if accelerator == "gpu" and trainer["strategy"] == "ddp" else 1
    precision = trainer["precision"]
    if precision == "auto":
        is_large = bool(model.get("partners", {}).get("prefers_bf16", False))
        precision = "bf16-mixed" if _has_fast_bf16(accelerator) and (is_large or accelerator == "gpu") else "32-true"
    return {
        "accelerator": accelerator,
        "devices": int(devices),
        "num_nodes": 1 if group is None else group.num_nodes,
        "precision": str(precision),
    }


def _devices_of(group: Group, trainer: Config) -> int:
    asked = trainer["devices"]
    if asked not in ("auto", -1) and asked != group.local_world:
        raise ConfigError(
            [
                f"trainer.devices={asked}, but {group.by} started {group.local_world} processes on each machine. Leave "
                f"trainer.devices at auto, or start the command without {group.by}: it starts its own processes."
            ]
        )
    return group.local_world


def _has_fast_bf16(accelerator: str) -> bool:
    if accelerator == "gpu":
        return torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 8
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # absent from some releases of torch
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in probes)
