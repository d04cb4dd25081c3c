"""The ten lines that a run says before it starts: what was asked for, and what was chosen where nothing was said."""

from __future__ import annotations

from typing import Any

from scanlens.config import build
from scanlens.runs import Run


def chosen_lines(config: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """Nine lines on data, split, network, optimizer and machine; no path and no name of a patient is in them."""
    lines = [
        ("data", _data(config, facts)),
        ("classes", _classes(facts)),
        ("split", _split(config, facts)),
        ("images", _images(facts)),
        ("augment", _augment(config)),
        ("balance", _balance(config)),
        ("model", _model(facts)),
        ("optim", _optim(config, facts)),
        ("machine", _machine(facts)),
    ]
    return [f"{name:<8} {text}" for name, text in lines]


def opening_lines(run: Run) -> list[str]:
    """What a run says before it trains: what was chosen, where it goes, and what to beware of."""
    return [
        *run.facts["chosen"],
        f"{'run':<8} {run.folder}",
        *(f"{'warning':<8} {text}" for text in run.facts["warnings"]),
    ]


def _classes(facts: dict[str, Any]) -> str:
    counts = facts["counts"]
    return ", ".join(f"{name} {sum(counts[split][name] for split in counts)}" for name in facts["class_names"])


def _data(config: dict[str, Any], facts: dict[str, Any]) -> str:
    name = config["data"].get("name") or config["data"].get("phantom") or ""
    built_in = " (built-in phantoms; set data.root=/path/to/scans for real ones)" if facts["is_phantom"] else ""
    bad = f", {facts['num_quarantined']} unreadable" if facts["num_quarantined"] else ""
    return f"{name}: {sum(facts['num_images'].values())} images{bad}{built_in}"


def _split(config: dict[str, Any], facts: dict[str, Any]) -> str:
    parts = []
    for split, num in facts["num_images"].items():
        patients = facts["num_patients"][split]
        parts.append(f"{split} {num}" + (f" of {patients} patients" if patients is not None else ""))
    plan = build(config["split"])
    seed = f"; drawn with seed {plan.seed}" if plan.seed is not None else ""
    fold = f"fold {plan.fold} of 0 to {plan.folds - 1}: " if plan.folds is not None else ""
    return f"{fold}{', '.join(parts)}; kept together: {facts['groups']}{seed}"


def _images(facts: dict[str, Any]) -> str:
    settings = facts["preprocess"]
    return f"{facts['in_channels']} x {facts['input_size']} x {facts['input_size']}, {facts['color']}, intensity {settings['intensity']}"


def _augment(config: dict[str, Any]) -> str:
    fixed = {"_target_", "sides_matter"}
    active = [k for k, v in config["augment"].items() if k not in fixed and v not in (0, 0.0, None, False, [1.0, 1.0])]
    return ", ".join(active) or "none"


def _balance(config: dict[str, Any]) -> str:
    active = [
        f"{k}={v}" if not isinstance(v, bool) else k for k, v in config["balance"].items() if k != "_target_" and v
    ]
    return ", ".join(active) or "none"


def _model(facts: dict[str, Any]) -> str:
    summary = facts["model_summary"]
    note = f"; weights: {summary['weights_note']}" if summary["weights_note"] else ""
    return f"{summary['name']}, {summary['parameters']:,} parameters, {summary['trainable']:,} trainable{note}"


def _optim(config: dict[str, Any], facts: dict[str, Any]) -> str:
    plan, loader, trainer, monitor = (
        build(config["optim"]),
        build(config["loader"]),
        config["trainer"],
        facts["monitor"],
    )
    patience = config["callbacks"]["patience"]
    stop = f", stops after {patience} epochs without gain" if patience else ""
    return (
        f"{plan.name} lr {plan.lr:g}, batch {loader.batch_size}, at most {trainer['max_epochs']} epochs{stop}; "
        f"keeps the best {monitor['name']} ({monitor['mode']})"
    )


def _machine(facts: dict[str, Any]) -> str:
    hardware = facts["hardware"]
    return f"{hardware['devices']} x {hardware['accelerator']}, precision {hardware['precision']}"
