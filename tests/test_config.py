"""The configuration: precedence of its sources, what is refused and in which words, and what may be built."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from scanlens.config import build, check, find_mistakes, freeze, load_frozen
from scanlens.config.composing import Composed, Composer
from scanlens.config.precheck import precheck
from scanlens.config.signatures import NoSignature, signature_of
from scanlens.config.targets import is_allowed, resolve, target_mistake
from scanlens.errors import ConfigError, RunError
from scanlens.paths import config_dir

FAKES = Path(__file__).parent / "fakes" / "config_tree"


@pytest.fixture(autouse=True)
def run_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_ID", "a-run")


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(config_dir(), extra_dir=FAKES)


@pytest.fixture(scope="module")
def default_values() -> dict[str, Any]:
    composed = Composer(config_dir()).compose([])
    return OmegaConf.to_container(composed.task(), resolve=False)  # type: ignore[return-value]


def composed_with(composer: Composer, *words: str) -> Composed:
    overrides = OverridesParser.create().parse_overrides(list(words))
    composed = composer.compose(overrides)
    for override in overrides:
        if not composer.chooses_group(override):
            composed.apply(override)
    return composed


def mistakes_of(composer: Composer, *words: str, is_multirun: bool = False) -> list[str]:
    return precheck(list(words), composer, is_multirun=is_multirun)


def with_value(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(values)
    *parents, name = path.split(".")
    inner = changed
    for key in parents:
        inner = inner[key]
    inner[name] = value
    return changed


def resolved(values: dict[str, Any]) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.create(values), resolve=True)  # type: ignore[return-value]


# Precedence: command line > experiment > model > data > train.yaml.


@pytest.mark.parametrize(
    "words, preprocess, optim",
    [
        ([], "auto", "adamw_small"),
        (["data=fake_data"], "gray_32", "adamw_small"),
        (["model=fake_model"], "gray_64", "sgd_cosine"),
        (["data=fake_data", "model=fake_model"], "gray_64", "sgd_cosine"),
        (["model=fake_model", "data=fake_data"], "gray_64", "sgd_cosine"),
        (["data=fake_data", "experiment=fake"], "gray_128", "adamw_small"),
        (["data=fake_data", "model=fake_model", "experiment=fake"], "gray_128", "sgd_cosine"),
        (["preprocess=rgb_64", "data=fake_data", "model=fake_model", "experiment=fake"], "rgb_64", "sgd_cosine"),
        (["model=fake_model", "optim=finetune"], "gray_64", "finetune"),
    ],
)
def test_options_are_taken_from_the_strongest_source(
    composer: Composer, words: Sequence[str], preprocess: str, optim: str
) -> None:
    choices = composed_with(composer, *words).choices
    assert (choices["preprocess"], choices["optim"]) == (preprocess, optim)


@pytest.mark.parametrize(
    "words, seed, width, lr",
    [
        (["model=fake_model"], 1, 0.5, 0.05),
        (["model=fake_model", "experiment=fake"], 7, 2.0, 0.25),
        (["experiment=fake", "seed=9", "model.width=3.0", "model=fake_model"], 9, 3.0, 0.25),
        (["optim.lr=0.125", "experiment=fake"], 7, 2.0, 0.125),
    ],
)
def test_values_are_taken_from_the_strongest_source(
    composer: Composer, words: Sequence[str], seed: int, width: float, lr: float
) -> None:
    config = composed_with(composer, *words).config
    assert (config.seed, config.model.width, config.optim.lr) == (seed, width, lr)


def test_train_yaml_lists_itself_first_and_the_experiment_last() -> None:
    defaults = yaml.safe_load((config_dir() / "train.yaml").read_text())["defaults"]
    names = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in defaults]
    assert names[0] == "_self_"
    assert names[-4:] == ["data", "model", "hparams_search", "optional experiment"]
    assert names.index("balance") < names.index("task") < names.index("data")


def test_an_autoencoder_brings_its_task_and_the_data_their_augmentation(composer: Composer) -> None:
    composed = composed_with(composer, "model=autoencoder", "data=mri")
    assert {group: composed.choices[group] for group in ("task", "augment", "balance")} == {
        "task": "reconstruction",
        "augment": "mri",
        "balance": "none",
    }
    assert mistakes_of(composer, "model=autoencoder", "data=mri") == []


def test_a_task_that_the_model_does_not_do_is_refused_with_the_one_it_does(composer: Composer) -> None:
    (text,) = mistakes_of(composer, "model=autoencoder", "task=classification")
    assert text == "model=autoencoder does not work with task=classification; it goes with task=reconstruction"


def test_a_setting_is_traced_to_the_file_that_set_it(composer: Composer) -> None:
    where = composed_with(composer, "data=fake_data", "experiment=fake", "model.width=3.0").where
    assert where("seed").endswith("config_tree/experiment/fake.yaml")
    assert where("data.num_patients").endswith("config_tree/data/fake_data.yaml")
    assert where("model.width") == "command line"
    assert where("trainer.max_epochs") == "conf/trainer/auto.yaml"
    assert where("monitor") == "conf/train.yaml"


# One command line, all mistakes.


def test_all_mistakes_of_a_command_line_are_told_together(composer: Composer) -> None:
    found = mistakes_of(
        composer,
        "modle=vgg19",
        "data=mir",
        "experiment=typos",
        "sed=7",
        "data.rot=/scans",
        "optim.lr=fast",
        "trainer.max_epochs=0",
        "monitor=val/aroc",
        "balance.sampler=true",
        "model.num_classes=3",
        "a=[1",
        "+seed=3",
    )
    expected = [
        ("command line: 'a=[1' cannot be read", ""),
        ("command line: there is no group 'modle'.", "Did you mean 'model'?"),
        ("command line: there is no data=mir.", "Did you mean 'mri'?"),
        ("command line: there is no setting 'sed'.", "Did you mean 'seed'?"),
        ("command line: there is no setting 'data.rot'.", "Did you mean 'root'?"),
        ("command line: 'model.num_classes' is not set in its file", ""),
        ("command line: 'seed' is there already", "without the plus"),
        ("config_tree/experiment/typos.yaml: there is no setting 'sede'.", "Did you mean 'seed'?"),
        ("config_tree/experiment/typos.yaml: there is no setting 'optim.lrr'.", "Did you mean 'lr'?"),
        ("command line: optim.lr must be a number, got 'fast'.", ""),
        ("command line: trainer.max_epochs must be at least 1", "got 0"),
        ("command line: monitor 'val/aroc' is not a metric of this task.", "Did you mean 'val/auroc'?"),
        ("balance.class_weights and balance.sampler both make up for rare classes", "Use one"),
    ]
    for start, end in expected:
        assert any(start in text and end in text for text in found), (start, found)
    assert len(found) == len(expected), found


@pytest.mark.parametrize(
    "words, text",
    [
        (["model=lenett"], "command line: there is no model=lenett. Did you mean 'lenet'?"),
        (["experiment=smok"], "command line: there is no experiment=smok. Did you mean 'smoke'?"),
        (["explain=guided-backprop"], "not offered because it fails sanity checks"),
        (["hydra/laucher=basic"], "command line: there is no group 'hydra/laucher'. Did you mean 'hydra/launcher'?"),
        (["trainer/max_epochs=3"], "settings are written with dots: trainer.max_epochs"),
        (["optim.max_epochs=3"], "command line: there is no setting 'optim.max_epochs'."),
        (["+optim.max_epochs=3"], "there is no setting 'optim.max_epochs'. Did you mean 'trainer.max_epochs'?"),
        (["optim.momentum=0.8"], "'optim.momentum' is not set in its file; to add it, write +optim.momentum=..."),
        (["seed.x=1"], "'seed' is a single value, so there is no 'seed.x'"),
        (["experiment=null"], "experiment=null chooses nothing; to take none, write ~experiment"),
        (["model=[lenet"], "command line: 'model=[lenet' cannot be read"),
        (["optim.lr=1,2"], "gives several values; add -m to sweep over them"),
        (["hydra/launcher=slurm"], "hydra/launcher only serves sweeps; add -m"),
        (["~model"], "model is missing"),
        (["loader.batch_sizes=3"], "Did you mean 'batch_size'?"),
        (["trainer.max_epoch=3"], "Did you mean 'max_epochs'?"),
        (["+new_part.x=1"], "command line: there is no setting 'new_part'."),
    ],
)
def test_a_wrong_word_is_refused_with_the_remedy(composer: Composer, words: Sequence[str], text: str) -> None:
    found = mistakes_of(composer, *words)
    assert any(text in one for one in found), found


@pytest.mark.parametrize(
    "words",
    [
        ["model=vgg191", "model.head=original"],
        ["modle=vgg19", "model.head=original"],
        ["model=unheard_of_network", "model.head=original"],
    ],
)
def test_settings_of_a_misspelt_option_are_not_blamed_too(composer: Composer, words: Sequence[str]) -> None:
    assert len(mistakes_of(composer, *words)) == 1


def test_a_misspelt_group_in_an_experiment_is_found_with_its_file_beside_its_other_mistakes(
    composer: Composer,
) -> None:
    found = mistakes_of(composer, "experiment=wrong_group")
    file = "config_tree/experiment/wrong_group.yaml: "
    assert any(f"{file}there is no group 'modle'. Did you mean 'model'?" in text for text in found)
    assert any(f"{file}there is no data=mrri. Did you mean 'mri'?" in text for text in found)
    assert any(f"{file}there is no setting 'sede'. Did you mean 'seed'?" in text for text in found)
    assert len(found) == 3


def test_a_file_that_is_no_yaml_is_named_with_the_line(composer: Composer) -> None:
    (text,) = mistakes_of(composer, "experiment=broken")
    assert "config_tree/experiment/broken.yaml: line 3" in text


def test_an_override_that_would_land_in_the_wrong_place_is_explained(composer: Composer) -> None:
    (text,) = mistakes_of(composer, "experiment=local_override")
    assert "write 'override /task@_global_.task'" in text


def test_a_file_of_the_user_that_ours_hides_is_told(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "lenet.yaml").write_text("width: 2.0\n")
    (text,) = mistakes_of(Composer(config_dir(), extra_dir=tmp_path), "model=lenet")
    assert "model/lenet.yaml has no effect, since conf/model/lenet.yaml has the same name" in text


# Sweeps.


def test_every_value_of_a_sweep_is_judged(composer: Composer) -> None:
    found = mistakes_of(composer, "seed=1,2,x", "optim.lr=1e-3,0", "model=lenet,mlp,vgg", is_multirun=True)
    assert "command line: there is no model=vgg. Did you mean 'vgg19'?" in found
    assert "command line: seed must be a whole number, got 'x'." in found
    assert any("optim.lr must be above 0" in text for text in found)
    assert len(found) == 3


def test_swept_options_are_composed_in_combination(composer: Composer) -> None:
    words = ["model=lenet,autoencoder", "task=classification,reconstruction"]
    found = mistakes_of(composer, *words, is_multirun=True)
    assert "model=autoencoder does not work with task=classification; it goes with task=reconstruction" in found


@pytest.mark.parametrize("word", ["seed=range(1,200)", "optim.lr=choice(1e-3,1e-4)", "seed=5"])
def test_sweeps_of_every_kind_pass(composer: Composer, word: str) -> None:
    found = mistakes_of(composer, word, is_multirun=True)
    assert found == []


def test_the_ends_of_an_interval_are_judged(composer: Composer) -> None:
    (text,) = mistakes_of(composer, "optim.momentum=interval(0.5,1.5)", "optim=sgd_cosine", is_multirun=True)
    assert "optim.momentum must be at least 0 and below 1, got 1.5" in text


# Values.


@pytest.mark.parametrize(
    "path, value, text",
    [
        ("seed", True, "seed must be a whole number, got true."),
        ("seed", 1.0, "seed must be a whole number, got 1.0. Write 1."),
        ("seed", -1, "seed must be at least 0 and at most 4294967295, got -1"),
        ("seed", 2**32, "seed must be at least 0"),
        ("optim.lr", "0.1", "optim.lr must be a number, got '0.1'. Write it without quotes: 0.1."),
        ("optim.lr", float("nan"), "optim.lr must be a number, got nan"),
        ("optim.lr", float("inf"), "optim.lr must be a number, got inf"),
        ("optim.name", "adam", "optim.name must be one of adamw, sgd, got 'adam'. Did you mean 'adamw'?"),
        ("optim.unfreeze", [1, "2"], "optim.unfreeze must be a list (each a whole number), got [1, '2']"),
        ("optim.unfreeze", 3, "optim.unfreeze must be a list"),
        ("model.activation", "rleu", "Did you mean 'relu'?"),
        ("model.batch_norm", 1, "model.batch_norm must be true or false, got 1."),
        ("trainer.devices", 0, "trainer.devices must be at least 1"),
        ("trainer.devices", "all", "trainer.devices must be a whole number or auto, got 'all'."),
        ("trainer.num_nodes", 2, "trainer.num_nodes must be 1"),
        ("trainer.limit_train_batches", 1.5, "as a share (with a decimal point), must be above 0 and at most 1"),
        ("trainer.limit_train_batches", 0, "as a number of batches, must be at least 1"),
        ("trainer.min_epochs", 41, "trainer.min_epochs=41 is more than trainer.max_epochs=40"),
        ("loader.batch_size", 0, "loader.batch_size must be at least 1 and at most 65536, got 0"),
        ("split.fractions", [0.7, 0.2], "three shares (train, val, test) that add up to 1"),
        ("split.fractions", [0.7, 0.2, 0.2], "three shares (train, val, test) that add up to 1"),
        ("split.fold", 1, "split.fold=1 has no effect without split.folds"),
        ("callbacks.patience", 0, "callbacks.patience must be at least 1"),
        ("monitor", "val/loss2", "Did you mean 'val/loss'?"),
        ("paths", None, "paths must be named values, got null."),
        ("model", "lenet", "model must be named values, got 'lenet'."),
        ("model", {"width": 1.0}, "model has no _target_, the class that it configures"),
        ("data.root", 7, "data.root must be text or null, got 7."),
        ("data.root", "???", "data.root must be given: data.root=..."),
        ("model.in_channels", 1, "model.in_channels is decided by the data or the run and passed by the code"),
        ("task.seed", 1, "task.seed is decided by the data or the run and passed by the code"),
        ("task.loss", "focal", "task.loss is decided by the data or the run and passed by the code"),
        ("task.monitors", {"val/loss": "less"}, "'val/loss' must be min or max"),
    ],
)
def test_a_wrong_value_is_refused_in_words(default_values: dict[str, Any], path: str, value: Any, text: str) -> None:
    found = find_mistakes(with_value(resolved(default_values), path, value))
    assert any(text in one for one in found), found


@pytest.mark.parametrize(
    "path, value",
    [
        ("optim.lr", 1),
        ("trainer.gradient_clip_val", None),
        ("trainer.limit_train_batches", 0.5),
        ("trainer.limit_train_batches", 3),
        ("trainer.deterministic", True),
        ("trainer.devices", "auto"),
        ("callbacks.patience", None),
        ("data.class_names", ["a", "b"]),
        ("report", None),
        ("facts", {"class_names": ["a"]}),
    ],
)
def test_a_right_value_passes(default_values: dict[str, Any], path: str, value: Any) -> None:
    assert find_mistakes(with_value(resolved(default_values), path, value)) == []


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"balance.class_weights": True, "balance.sampler": True}, "balance=class_weights or balance=balanced_sampler"),
        ({"balance.class_weights": True, "balance.logit_adjustment": 1.0}, "Use balance=logit_adjustment"),
        (
            {"balance.class_weights": False, "balance.sampler": True, "balance.logit_adjustment": 1.0},
            "balance.logit_adjustment and balance.sampler",
        ),
        ({"trainer.accelerator": "cpu", "trainer.sync_batchnorm": True}, "works on GPUs only"),
        ({"trainer.accelerator": "cpu", "trainer.precision": "16-mixed"}, "use bf16-mixed or 32-true"),
        ({"trainer.devices": 3, "loader.batch_size": 2}, "trainer.devices=3 need at least one image each"),
        ({"split.folds": 5, "split.fold": 5}, "with split.folds=5 it is at most 4, got 5"),
    ],
)
def test_settings_that_fight_are_refused_with_the_remedy(
    default_values: dict[str, Any], changes: dict[str, Any], text: str
) -> None:
    values = resolved(default_values)
    for path, value in changes.items():
        values = with_value(values, path, value)
    (found,) = find_mistakes(values)
    assert text in found


def test_a_logger_whose_package_is_missing_names_the_extra(
    default_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from scanlens.config import targets

    monkeypatch.setitem(
        targets.OPTIONAL, "pytorch_lightning.loggers.tensorboard.TensorBoardLogger", ("not_installed_here", "wandb")
    )
    node = {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": "x"}
    (text,) = find_mistakes(with_value(resolved(default_values), "logger.extra", [node]))
    assert text.endswith("TensorBoardLogger needs the package not_installed_here: pip install 'scanlens[wandb]'")


def test_a_launcher_whose_package_is_missing_names_the_extra(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scanlens.config import hydra_rules

    monkeypatch.setattr(hydra_rules, "_is_installed", lambda package: False)
    (text,) = mistakes_of(composer, "hydra/launcher=slurm", "seed=1,2", is_multirun=True)
    assert text == "hydra/launcher needs the package hydra-submitit-launcher: pip install 'scanlens[slurm]'"
    (text,) = mistakes_of(composer, "hparams_search=optuna", is_multirun=True)
    assert text == "hydra/sweeper needs the package optuna: pip install 'scanlens[optuna]'"


def test_several_tasks_of_submitits_local_launcher_are_refused_before_they_start(composer: Composer) -> None:
    pytest.importorskip("submitit")
    words = ["hydra/launcher=submitit_local", "seed=1,2"]
    (text,) = mistakes_of(composer, *words, "hydra.launcher.tasks_per_node=2", is_multirun=True)
    assert text.endswith("hydra.launcher.tasks_per_node=1 trainer=ddp trainer.devices=2")
    assert mistakes_of(composer, *words, is_multirun=True) == []


def test_what_a_search_brings_is_judged_before_it_starts(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    from scanlens.config import hydra_rules

    monkeypatch.setattr(hydra_rules, "_is_installed", lambda package: True)
    search = "hparams_search=optuna"
    assert mistakes_of(composer, search, is_multirun=True) == []
    assert mistakes_of(composer, search, "model=autoencoder", is_multirun=True) == [], "it has no dropout to search"
    (text,) = mistakes_of(composer, search, "optim.lr=interval(-1,1e-2)", is_multirun=True)
    assert "optim.lr must be" in text
    (text,) = mistakes_of(
        composer, search, "hydra.sweeper.params={optim.weight_decay: 'interval(-1,0)'}", is_multirun=True
    )
    assert "optim.weight_decay must be" in text


# Nothing from outside is executed.

ATTACKS = [
    "os.system",
    "builtins.eval",
    "subprocess.run",
    "torch.load",
    "pathlib.Path.unlink",
    "torch.optim.sgd.torch.load",
    "torch.optim.lr_scheduler.warnings.warn",
    "scanlens.files.write_text",
    "scanlens.models.weights.read_weights",
    "scanlens.data.sources.folder.Path",
    "scanlens.data.image_io.read_image",
    "scanlens.cli.main",
    "pytorch_lightning.callbacks.model_checkpoint.os.system",
    "pytorch_lightning.callbacks.model_checkpoint.shutil.rmtree",
    "pytorch_lightning.callbacks..ModelCheckpoint",
    "pytorch_lightning.callbacks.ModelCheckpoint.__init__",
    " scanlens.models.lenet.LeNet",
    "scanlens.models.lenet.LeNet\n",
    "scanlens.models.lenet._dense",
    "scanlens",
    "",
    None,
    7,
]


@pytest.mark.parametrize("target", ATTACKS, ids=repr)
def test_what_is_not_on_the_list_is_neither_accepted_nor_built(target: Any) -> None:
    assert target_mistake(target) is not None
    with pytest.raises(ConfigError):
        build({"_target_": target})


def test_a_name_that_passes_the_prefix_is_stopped_by_what_it_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    import sys
    from types import ModuleType

    from scanlens.config import targets

    module = ModuleType("scanlens.data.sources.loaded")
    module.rmtree = shutil.rmtree  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)

    assert is_allowed("torch.optim.sgd.torch.load")  # the prefix alone would let it pass
    assert target_mistake("torch.optim.sgd.torch.load") is not None
    monkeypatch.setattr(targets, "target_mistake", lambda target: None)  # and so would the source, had it no say
    with pytest.raises(ConfigError, match=r"leads to shutil\.rmtree, which may not be built"):
        resolve("scanlens.data.sources.loaded.rmtree")


@pytest.mark.parametrize(
    "path, value",
    [
        ("callbacks.extra", [{"_target_": "os.system", "command": "true"}]),
        ("callbacks.extra", [{"_target_": "pytorch_lightning.callbacks.Timer", "duration": {"_target_": "os.system"}}]),
        ("logger.extra", [{"_target_": "pytorch_lightning.callbacks.Timer"}]),
        ("data.sidecar", {"file": {"_target_": "os.system"}}),
        ("model", {"_target_": "scanlens.tasks.optim.OptimPlan"}),
        ("facts", {"deep": [{"deeper": {"_target_": "os.system"}}]}),
    ],
)
def test_targets_at_any_depth_are_checked_against_the_list_of_their_part(
    default_values: dict[str, Any], path: str, value: Any
) -> None:
    found = find_mistakes(with_value(resolved(default_values), path, value))
    assert any("is not on the list of classes that may be built" in text for text in found), found


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_convert_", "_recursive_"])
def test_other_words_of_hydra_are_refused_in_nodes(default_values: dict[str, Any], key: str) -> None:
    (text,) = find_mistakes(with_value(resolved(default_values), f"model.{key}", True))
    assert f"there is no setting 'model.{key}'" in text


@pytest.mark.parametrize(
    "word, text",
    [
        ("+hydra.callbacks.x._target_=os.system", "hydra.callbacks.x: _target_ 'os.system' is not on the list"),
        ("hydra.launcher._target_=os.system", "hydra.launcher._target_=os.system is not one of Hydra's plugins"),
        ("+hydra.job_logging.handlers.x.class=os.system", "must be a class of Python's logging"),
        ("+hydra.job_logging.handlers.x.stream=ext://os.environ", "must be ext://sys.stdout"),
        ("hydra.job.env_copy=[HOME]", "'HOME' is refused"),
        ("+hydra.job.env_set.x=${oc.env:HOME}", "of the environment only ${oc.env:RUN_ID} is read"),
    ],
)
def test_hydras_own_part_cannot_call_or_leak_either(composer: Composer, word: str, text: str) -> None:
    found = mistakes_of(composer, word)
    assert any(text in one for one in found), found


def test_logging_factories_of_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\nhydra: {job_logging: {formatters: {x: {(): os.system}}}}\n"
    (tmp_path / "experiment" / "evil.yaml").write_text(text)
    (found,) = mistakes_of(Composer(config_dir(), extra_dir=tmp_path), "experiment=evil")
    assert found == "hydra.job_logging.formatters.x.(): factories are refused, got 'os.system'"


@pytest.mark.parametrize(
    "value",
    ["${oc.env:HOME}", "${oc.env:HOME,x}", "a${oc.env:HOME}b", "${oc.${monitor}:HOME}", "${now:%Y}", "${env:A}"],
)
def test_interpolations_cannot_copy_the_environment_into_a_run(
    default_values: dict[str, Any], value: str, tmp_path: Path
) -> None:
    config = OmegaConf.create(with_value(default_values, "data.name", value))
    assert any(f"data.name={value} is refused" in text for text in find_mistakes(config))
    with pytest.raises(ConfigError, match="is refused"):
        freeze(config, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interpolation_that_leads_nowhere_is_told_with_its_place(default_values: dict[str, Any]) -> None:
    config = OmegaConf.create(with_value(default_values, "data.name", "${modell.width}"))
    assert "data.name=${modell.width} leads nowhere" in find_mistakes(config)


# Building and freezing.


def test_build_makes_plain_python_containers_and_leaves_reserved_keys_out() -> None:
    node = OmegaConf.create(
        {"_target_": "scanlens.tasks.optim.OptimPlan", "lr": 0.5, "unfreeze": [1, 2], "partners": {"task": ["x"]}}
    )
    plan = build(node)
    assert plan.lr == 0.5
    assert type(plan.unfreeze) is list
    assert plan.unfreeze == [1, 2]


def test_build_makes_inner_nodes_first() -> None:
    inner = {"_target_": "scanlens.tasks.optim.OptimPlan", "lr": 0.25}
    outer = {"_target_": "scanlens.tasks.optim.OptimPlan", "name": {"deep": [inner]}}
    assert build(outer).name["deep"][0].lr == 0.25


def test_build_calls_a_source_function_but_no_other() -> None:
    source = build({"_target_": "scanlens.data.sources.auto.folder_or_phantom", "phantom": "mri", "num_patients": 4})
    assert type(source).__name__ == "PhantomSource"


def test_what_the_code_passes_is_never_silently_overruled_by_a_setting() -> None:
    with pytest.raises(ConfigError, match="lr is passed by the code and cannot be set"):
        build({"_target_": "scanlens.tasks.optim.OptimPlan", "lr": 0.5}, lr=0.1)


@pytest.mark.parametrize(
    "node, text",
    [
        ({"lrr": 1}, "scanlens.tasks.optim.OptimPlan: .*lrr"),
        ({"lr": -1.0}, r"scanlens.tasks.optim.OptimPlan: out of range: optim.lr=-1.0"),
    ],
)
def test_a_constructor_that_refuses_is_named(node: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        build({"_target_": "scanlens.tasks.optim.OptimPlan", **node})


def test_a_frozen_configuration_is_plain_yaml_with_nothing_left_to_follow(
    default_values: dict[str, Any], tmp_path: Path
) -> None:
    freeze(OmegaConf.create(with_value(default_values, "optim.lr", 1e-5)), tmp_path)
    text = (tmp_path / "config.yaml").read_text()
    assert "${" not in text
    assert "!!" not in text
    frozen = load_frozen(tmp_path)
    assert frozen["optim"]["lr"] == 1e-5
    assert frozen["run_dir"] == "outputs/a-run"
    check(frozen)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run in .*config\.yaml is missing"):
        load_frozen(tmp_path)


def test_objects_in_a_frozen_configuration_are_not_made(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(RunError, match="is no plain YAML"):
        load_frozen(tmp_path)


def test_check_raises_all_mistakes_in_one_error(default_values: dict[str, Any]) -> None:
    values = with_value(with_value(resolved(default_values), "seed", "x"), "optim.lr", 0)
    with pytest.raises(ConfigError) as caught:
        check(values)
    assert len(caught.value.mistakes) == 2
    assert str(caught.value).startswith("2 mistakes in the configuration:")


# Signatures, read without importing.


def test_signatures_agree_with_what_python_says_of_the_imported_class() -> None:
    import inspect

    from pytorch_lightning.callbacks import ModelCheckpoint

    from scanlens.models.vgg import VGG19
    from scanlens.tasks.optim import OptimPlan

    for made in (OptimPlan, VGG19, ModelCheckpoint):
        read = signature_of(f"{made.__module__}.{made.__qualname__}")
        real = inspect.signature(made).parameters
        assert list(read.arguments) == list(real)
        required = [name for name, one in real.items() if one.default is inspect.Parameter.empty]
        assert [name for name, one in read.arguments.items() if one.is_required] == required


def test_re_exports_and_aliases_are_followed() -> None:
    assert signature_of("pytorch_lightning.callbacks.EarlyStopping").target == (
        "pytorch_lightning.callbacks.early_stopping.EarlyStopping"
    )
    kind = signature_of("pytorch_lightning.callbacks.ModelCheckpoint").arguments["save_last"].kind
    assert [kind.accepts(value) for value in (True, "link", None, "links", 1)] == [True, True, True, False, False]


@pytest.mark.parametrize(
    "target, text",
    [
        ("scanlens.models.lenet.LeNett", "Did you mean 'LeNet'?"),
        ("scanlens.models.lennet.LeNet", "Did you mean 'lenet'?"),
        ("scanlens.modells.lenet.LeNet", "Did you mean 'models'?"),
        ("no_such_package.x.Y", "there is no package 'no_such_package' here"),
    ],
)
def test_a_misspelt_class_is_suggested(target: str, text: str) -> None:
    with pytest.raises(NoSignature) as caught:
        signature_of(target)
    assert text in str(caught.value)


def test_a_choice_on_the_command_line_wins_over_what_the_data_would_choose(composer: Composer) -> None:
    chosen = composed_with(composer, "data=mnist").config
    assert (chosen.trainer.max_epochs, chosen.callbacks.patience) == (50, None)
    own = composed_with(composer, "trainer=smoke", "callbacks=default", "data=mnist").config
    assert (own.trainer.max_epochs, own.callbacks.patience) == (1, 15)


def test_an_own_option_that_leaves_settings_out_is_told_how_to_begin(default_values: dict[str, Any]) -> None:
    values = copy.deepcopy(default_values)
    del values["trainer"]["accelerator"]
    (told,) = find_mistakes(values)
    assert told.endswith("begin your option with 'defaults: [auto, _self_]'")


def test_classes_named_twice_are_refused(composer: Composer) -> None:
    assert mistakes_of(composer, "data=folder", "data.class_names=[a,a,b]") == [
        "command line: data.class_names names 'a' more than once"
    ]


def test_a_callback_that_watches_an_unknown_metric_is_refused(default_values: dict[str, Any]) -> None:
    stop = {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val/losss"}
    (told,) = find_mistakes(with_value(default_values, "callbacks.extra", [stop]))
    assert told == ("callbacks.extra.0.monitor: 'val/losss' is not a metric of this task. Did you mean 'val/loss'?")
    assert find_mistakes(with_value(default_values, "callbacks.extra", [stop | {"monitor": "train/loss"}])) == []


def test_swept_values_are_judged_together(composer: Composer) -> None:
    found = mistakes_of(composer, "split.folds=5,3", "split.fold=0,4", is_multirun=True)
    assert any("with split.folds=3 it is at most 2, got 4" in text for text in found)
    assert mistakes_of(composer, "split.folds=5,6", "split.fold=0,4", is_multirun=True) == []


def test_swept_settings_that_others_follow_are_judged_as_they_will_be(composer: Composer) -> None:
    found = mistakes_of(composer, "folds=5", "fold=0,4,5,6", is_multirun=True)
    assert [text[-5:] for text in found] == ["got 5", "got 6"]
    assert all("with split.folds=5 it is at most 4" in text for text in found)
    assert mistakes_of(composer, "folds=5", "fold=0,1,2,3,4", is_multirun=True) == []
    assert mistakes_of(composer, "fold=0,1", is_multirun=True) != []


@pytest.mark.parametrize(
    "words, told",
    [
        (["fold=1"], "split.fold=1 has no effect without split.folds, the number of parts (folds=5)"),
        (["folds=2"], "split.folds must be at least 3 (train, val and test); 2 go with split.by=site alone"),
        (["folds=5", "split.file=a.csv"], "split.file settles the division, so folds=5 has no effect"),
        (["split.held_out=[B]"], "split.held_out=['B'] has no effect without split.by=site"),
        (["split.held_out=[B]", "split.by=site", "folds=3"], "with folds=3 every site is tested once"),
        (["split.by=sites"], "split.by must be"),
        (["loader.max_cache_gib=0"], "loader.max_cache_gib must be above 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_settings_of_the_division_that_fight_are_told_at_once(composer: Composer, words: list[str], told: str) -> None:
    assert any(told in text for text in mistakes_of(composer, *words))


def test_two_folds_go_with_sites(composer: Composer) -> None:
    assert mistakes_of(composer, "folds=2", "fold=1", "split.by=site") == []


def test_options_that_do_not_go_together_are_found_in_a_large_sweep(composer: Composer) -> None:
    words = ["model=lenet,autoencoder", "balance=none,focal", "augment=none,light,mri,digits"]
    words.append("preprocess=gray_28,gray_32,gray_64")
    found = mistakes_of(composer, *words, is_multirun=True)
    assert any("model=autoencoder" in text or "task=reconstruction" in text for text in found), found


def test_a_long_sweep_is_judged_at_once_and_to_its_end(composer: Composer) -> None:
    started = time.monotonic()
    assert mistakes_of(composer, "seed=range(0,30000)", is_multirun=True) == []
    assert time.monotonic() - started < 5
    found = mistakes_of(composer, "seed=range(0,5000000000,1000000)", is_multirun=True)
    assert any("seed must be" in text for text in found)
