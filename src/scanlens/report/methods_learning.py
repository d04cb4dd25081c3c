"""Sentences of a methods section on network and training. Each is empty where the run holds nothing to say it from."""

from __future__ import annotations

from scanlens.report.folder import RunFolder, finite, mapping
from scanlens.report.sentences import lineage
from scanlens.report.words import counted, duration, joined, significant, whole, without_paths

_NO_CHANGE = (0, 0.0, None, False, [1.0, 1.0])
_NOT_AN_AUGMENTATION = {"_target_", "sides_matter", "fill", "name"}
_OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD with momentum"}
_PACKAGES = {"torch": "PyTorch", "pytorch-lightning": "PyTorch Lightning"}


def network(run: RunFolder) -> str:
    """Which network, with its settings."""
    known = mapping(run.facts.get("model_summary"))
    if not known.get("name"):
        return ""
    settings = {
        k: v for k, v in mapping(run.config.get("model")).items() if k not in ("_target_", "partners", "weights")
    }
    plain = [_setting(key, value) for key, value in settings.items() if isinstance(value, str | int | float)]
    told = f" with {joined([without_paths(one) for one in plain], most=20)}" if plain else ""
    size = (
        f" It has {whole(known.get('parameters'))} parameters, of which {whole(known.get('trainable'))} were trained."
    )
    return f"The network was {known['name']}{told}.{size}"


def _setting(key: str, value: object) -> str:
    words = key.replace("_", " ")
    return words if value is True else f"no {words}" if value is False else f"{words} {value}"


def start(run: RunFolder) -> str:
    """Where the first weights came from, and what they had seen."""
    known = mapping(run.facts.get("model_summary"))
    if known.get("weights_note") is None:
        return ""
    note = without_paths(known["weights_note"]).rstrip(".") or "drawn at random"
    return f"Initial weights: {note}. {lineage(run)}".strip()


def training(run: RunFolder) -> str:
    """Optimizer, rate, batch, epochs."""
    optim, trainer = mapping(run.config.get("optim")), mapping(run.config.get("trainer"))
    name = str(optim.get("name") or str(optim.get("_target_") or "").rpartition(".")[2])
    if not name:
        return ""
    rate, decay = finite(optim.get("lr")), finite(optim.get("weight_decay"))
    parts = [f"learning rate {significant(rate)}"] if rate is not None else []
    parts += [f"weight decay {significant(decay)}"] if decay is not None else []
    parts += [f"{optim['schedule']} schedule"] if optim.get("schedule") else []
    batch, most = finite(mapping(run.config.get("loader")).get("batch_size")), finite(trainer.get("max_epochs"))
    parts += [f"batches of {counted(batch, 'image')}"] if batch is not None else []
    parts += [f"at most {counted(most, 'epoch')}"] if most is not None else []
    ran = f"; it ran for {counted(len(run.epochs), 'epoch')}" if run.epochs else ""
    return f"Training used {_OPTIMIZERS.get(name, name)} ({', '.join(parts)}){ran}." if parts else ""


def balance(run: RunFolder) -> str:
    """What was done about unequal classes."""
    plan = mapping(run.config.get("balance"))
    gamma, tau = finite(plan.get("focal_gamma")), finite(plan.get("logit_adjustment"))
    told = {
        "the loss was weighted inversely to the frequency of classes in training": plan.get("class_weights"),
        "images of rare classes were drawn more often": plan.get("sampler"),
        f"focal loss with gamma {significant(gamma)}": gamma is not None,
        f"logits were adjusted by the class frequencies of training (tau {significant(tau)})": tau is not None,
    }
    if not {"class_weights", "sampler"} & set(plan):
        return ""
    done = [words for words, is_on in told.items() if is_on]
    return f"Class imbalance: {joined(done)}." if done else "Nothing was done about class imbalance."


def augment(run: RunFolder) -> str:
    """Which random changes training images went through."""
    plan = mapping(run.config.get("augment"))
    if not plan:
        return ""
    active = {key: value for key, value in plan.items() if key not in _NOT_AN_AUGMENTATION and value not in _NO_CHANGE}
    if not active:
        return "Training images were not augmented."
    told = [_setting(key, value) for key, value in active.items()]
    return f"Training images, and no others, were augmented at random: {joined(told, most=40)}."


def choice(run: RunFolder) -> str:
    """How the weights that count were chosen."""
    monitor, best = mapping(run.facts.get("monitor")), finite(run.evaluation.get("best_epoch"))
    if not monitor.get("name") or best is None:
        return ""
    extreme = "smallest" if monitor.get("mode") == "min" else "largest"
    patience = finite(mapping(run.config.get("callbacks")).get("patience"))
    stop = f" Training was to stop after {counted(patience, 'epoch')} without gain." if patience else ""
    return f"The weights of the epoch with the {extreme} {monitor['name']} were kept (epoch {best:.0f}, the first being 0).{stop}"


def ensemble(run: RunFolder) -> str:
    """Whether one network answers or several."""
    part = mapping(run.evaluation.get("uncertainty"))
    if part.get("method") == "ensemble":
        return f"The probabilities of {counted(part.get('members'), 'network')} were averaged."
    return "No ensemble: a single network was trained and judged." if mapping(run.facts.get("model_summary")) else ""


def software(run: RunFolder) -> str:
    """Programs and their versions."""
    packages = mapping(run.provenance.get("packages"))
    if not packages:
        return ""
    own, python = run.provenance.get("scanlens"), run.provenance.get("python")
    first = ([f"scanlens {own}"] if own else []) + ([f"Python {python}"] if python else [])
    rest = [f"{_PACKAGES.get(name, name)} {version}" for name, version in packages.items()]
    return f"The software was {joined([*first, *rest], most=40)}."


def hardware(run: RunFolder) -> str:
    """Machine and time."""
    known = mapping(run.provenance.get("hardware"))
    if not known:
        return ""
    fit = finite(mapping(run.provenance.get("duration_s")).get("fit"))
    machine = str(known.get("gpu") or f"{known.get('cpu') or 'CPU'}, {counted(known.get('cores'), 'core')}")
    return f"Training ran on {machine}" + (f" and took {duration(fit)}." if fit is not None else ".")


def code(run: RunFolder) -> str:
    """Which state of the code."""
    git = mapping(run.provenance.get("git"))
    if not git.get("commit"):
        return ""
    return f"The code was at commit {git['commit']}" + (
        ", with changes that were not committed." if git.get("dirty") else "."
    )
