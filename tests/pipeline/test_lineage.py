"""A network that starts from the weights of former runs is not judged on what any of them has seen."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from scanlens.data.image_facts import FACTS
from scanlens.data.lineage_plan import LineagePlan
from scanlens.data.split_table import SplitRow, SplitTable
from scanlens.errors import ConfigError, DataError, RunError
from scanlens.models.weights import read_metadata, save_weights
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.lineage import Images, seen
from scanlens.pipeline.lineage.check import Finding, check_lineage
from scanlens.pipeline.lineage.memory import MAX_GENERATIONS, Generation, Lineage, remembered
from scanlens.pipeline.lineage.remember import judge_start
from scanlens.pipeline.lineage.starting import Start, starting_weights
from scanlens.pipeline.lineage.stored import METADATA_KEY, as_metadata, read_lineage, write_lineage
from scanlens.runs import Run
from scanlens.types import Record, Split

Division = Sequence[tuple[str, str | None, Split]]  # picture, patient, split
FORMER: Division = [("1", "a", "train"), ("2", "b", "val"), ("3", "c", "test")]
NEWBORN = Lineage(begins_with="random")


def pixels(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


def images(division: Division) -> Images:
    return Images([pixels(name) for name, _, _ in division], [who for _, who, _ in division])


def generation(name: str, division: Division = FORMER, *, data: str = "scans") -> Generation:
    salt = pixels(f"salt of {name}")
    of = {split: images([row for row in division if row[2] == split]) for split in ("train", "val")}
    train, val = (remembered(of[role].hashes, of[role].patients, salt=salt) for role in ("train", "val"))
    return Generation(name, data, salt, train, val)


def run_folder(folder: Path, lineage: Lineage) -> Path:
    """As training leaves it, as far as lineage goes."""
    write_lineage(folder / "lineage.json", lineage)
    save_weights(folder / "weights.safetensors", nn.Linear(2, 1), metadata=as_metadata(lineage))
    (folder / "split.csv").write_text("index,id,split\n", encoding="utf-8")
    return folder


def judged(weights: Path | str, division: Division, *, data: str = "scans", on_seen: str = "error") -> Finding:
    rows = [SplitRow(i, name, who, who or name, "x", split) for i, (name, who, split) in enumerate(division)]
    start = starting_weights({"weights": str(weights)})
    return check_lineage(start, images(division), SplitTable(rows), data=data, plan=LineagePlan(on_seen=on_seen))  # type: ignore[arg-type]


def test_the_same_division_is_fine(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    found = judged(run, FORMER)
    assert found.warnings == []
    assert found.facts == {
        "begins_with": "random",
        "generations": [{"run": "former", "num_images": 1, "num_patients": 1}],
        "compares_patients": True,
        "num_seen_images": 0,
        "num_seen_patients": 0,
    }


@pytest.mark.parametrize(
    ("division", "told"),
    [
        ([("1", "a", "test")], "1 test images of 1 patients"),
        ([("9", "a", "test"), ("8", "a", "test")], "2 test images of 1 patients"),  # other images of a patient
        ([("2", "z", "test")], "1 test images of 1 patients"),  # chose the epoch
        ([("1", None, "val"), ("1", None, "test")], "1 val images and 1 test images"),
    ],
)
def test_images_and_patients_that_were_seen_are_refused_with_the_way_out(
    tmp_path: Path, division: Division, told: str
) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    with pytest.raises(DataError, match=rf"^{told} of this run were used.*in run former") as refused:
        judged(run / "weights.safetensors", division)
    assert f"split.file={run.resolve() / 'split.csv'}" in str(refused.value)
    assert "lineage.on_seen=warn" in str(refused.value)


def test_what_chose_the_epoch_may_choose_it_again(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    assert judged(run, [("2", "b", "val")]).warnings == []


def test_the_override_goes_on_and_is_told_without_a_path(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    found = judged(run, [("1", "a", "test"), ("9", "b", "test"), ("7", "z", "test")], on_seen="warn")
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("lineage.on_seen=warn: 2 test images of 2 patients of this run were used")
    assert str(tmp_path) not in found.warnings[0]
    assert (found.facts["num_seen_images"], found.facts["num_seen_patients"]) == (1, 2)


def test_an_unknown_word_for_on_seen_is_a_mistake_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"lineage\.on_seen: 'errors' is unknown\. Did you mean 'error'"):
        LineagePlan(on_seen="errors")  # type: ignore[arg-type]


def test_a_chain_of_three_runs_remembers_the_first(tmp_path: Path) -> None:
    first = run_folder(tmp_path / "first", NEWBORN.followed_by(generation("first")))
    past = starting_weights({"weights": str(first)}).lineage
    second = run_folder(tmp_path / "second", past.followed_by(generation("second", [("7", "z", "train")])))
    shutil.rmtree(first)
    past = starting_weights({"weights": str(second)}).lineage
    third = run_folder(tmp_path / "third", past.followed_by(generation("third", [("8", "y", "train")])))
    with pytest.raises(DataError, match=r"1 test images of 1 patients.*in run first"):
        judged(third, [("1", "a", "test")])
    with pytest.raises(DataError, match=r"in run second(.|\n)*split\.file=.*second/split\.csv"):
        judged(third, [("7", "z", "test")])
    assert judged(third, [("9", "q", "test")]).warnings == []


def test_names_of_patients_are_those_of_one_data_set(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former", data="hospital a")))
    found = judged(run, [("9", "a", "test")], data="hospital b")
    assert [one.partition(" of this run")[0] for one in found.warnings] == [
        "By the names of patients, 1 test images of 1 patients"
    ]
    assert found.facts["num_seen_patients"] == 0
    with pytest.raises(DataError, match="1 test images"):  # the very picture, whatever its data set is called
        judged(run, [("1", "p", "test")], data="hospital b")


@pytest.mark.parametrize(("weights", "begins_with"), [("none", "random"), ("auto", "public"), ("imagenet", "public")])
def test_weights_of_no_run_have_seen_nothing(weights: str, begins_with: str) -> None:
    found = judged(weights, FORMER)
    assert (found.warnings, found.facts["begins_with"], found.facts["generations"]) == ([], begins_with, [])


def test_weights_copied_alone_under_another_name_still_know_their_images_and_no_patient(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    copy = tmp_path / "elsewhere" / "best model.safetensors"
    copy.parent.mkdir()
    shutil.copy(run / "weights.safetensors", copy)
    with pytest.raises(DataError, match=r"1 test images(.|\n)*split\.file=SPLIT_CSV of run former"):
        judged(copy, [("1", "a", "test")])
    found = judged(copy, [("9", "a", "test")])  # not refused: the name of the patient did not travel
    assert [one[:60] for one in found.warnings] == ["The starting weights tell which images they have seen, and n"]
    assert found.facts["compares_patients"] is False
    carried = json.loads(read_metadata(copy)[METADATA_KEY])
    assert [one["train"]["patients"] for one in carried["generations"]] == [None]
    assert carried["generations"][0]["train"]["num_patients"] == 1


def test_weights_that_say_nothing_are_told(tmp_path: Path) -> None:
    save_weights(tmp_path / "alone.safetensors", nn.Linear(2, 1))
    found = judged(tmp_path / "alone.safetensors", FORMER)
    assert len(found.warnings) == 1
    assert "were trained on is not known" in found.warnings[0]
    followed = starting_weights({"weights": str(tmp_path / "alone.safetensors")}).lineage
    run = run_folder(tmp_path / "next", followed.followed_by(generation("next")))
    assert "were trained on is not known" in judged(run, FORMER).warnings[0], "and its heirs do not know either"


def test_marks_are_the_beginning_of_hmac_sha256(tmp_path: Path) -> None:
    one = generation("former")
    write_lineage(tmp_path / "lineage.json", Lineage((one,), "random"))
    stored = json.loads((tmp_path / "lineage.json").read_text(encoding="utf-8"))["generations"][0]
    salt = bytes.fromhex(stored["salt"])
    assert stored["train"]["patients"] == hmac.new(salt, b"patient\0a", hashlib.sha256).hexdigest()[:16]
    assert stored["val"]["images"] == hmac.new(salt, b"image\0" + pixels("2"), hashlib.sha256).hexdigest()[:16]
    assert generation("other").train.images[0] != one.train.images[0], "another salt, other marks"


def test_a_lineage_comes_back_from_disk_as_it_went(tmp_path: Path) -> None:
    went = NEWBORN.followed_by(generation("first")).followed_by(generation("second", [("7", None, "train")]))
    write_lineage(tmp_path / "lineage.json", went)
    came = read_lineage(tmp_path / "lineage.json")
    assert came.begins_with == "random"
    for one, other in zip(came.generations, went.generations, strict=True):
        assert (one.run, one.data, one.salt) == (other.run, other.data, other.salt)
        for mine, theirs in ((one.train, other.train), (one.val, other.val)):
            assert mine.images.tolist() == theirs.images.tolist()
            assert (mine.num_images, mine.num_patients) == (theirs.num_images, theirs.num_patients)
            assert mine.patients is not None
            assert theirs.patients is not None
            assert mine.patients.tolist() == theirs.patients.tolist()


def edited(**changes: object) -> str:
    """lineage.json with entries of its generation changed."""
    content = json.loads(as_metadata(Lineage((generation("former"),), "random"))[METADATA_KEY])
    content["generations"][0] |= changes
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Expecting value"),
        ("[]", "names with values are expected"),
        ("[" * 100_000, "recursion"),
        ('{"schema_version": 2}', "schema_version 1 is expected, 2 came"),
        ('{"schema_version": 1, "begins_with": "x"}', "begins_with: one of random"),
        ('{"schema_version": 1, "begins_with": "random", "generations": {}}', "generations: a list"),
        (edited(salt="00"), "salt: 32 hexadecimal digits"),
        (edited(salt="zz" * 16), "salt: hexadecimal digits"),
        (edited(run=7), "run: a name"),
        (edited(data="a\nb"), "data: a name"),
        (edited(train=None), "train: names with values"),
        (edited(train={"num_images": -1, "images": ""}), r"train\.num_images: a number"),
        (edited(val={"num_images": 1, "images": "0123"}), r"val\.images: 16 hexadecimal digits each"),
        (edited(val={"num_images": 1, "images": ["x"]}), r"val\.images: hexadecimal digits"),
    ],
    ids=range(14),
)
def test_what_is_no_lineage_is_refused_with_the_way_out(tmp_path: Path, text: str, told: str) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    (run / "lineage.json").write_text(text, encoding="utf-8")
    with pytest.raises(
        RunError, match=rf"lineage\.json does not say what .*{told}.*Restore it from a copy, or remove it"
    ):
        judged(run, FORMER)
    save_weights(tmp_path / "copy.safetensors", nn.Linear(2, 1), metadata={METADATA_KEY: text})
    with pytest.raises(RunError, match=rf"header of .*copy\.safetensors.*{told}.*Copy the file again"):
        judged(tmp_path / "copy.safetensors", FORMER)


def test_a_file_above_the_bound_is_not_read(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    with (run / "lineage.json").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(RunError, match="at most 67,108,864 bytes is expected, 67,108,865 came"):
        judged(run, FORMER)


def test_a_lineage_of_other_weights_is_refused(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    other = run_folder(tmp_path / "other", NEWBORN.followed_by(generation("other")))
    shutil.copy(other / "lineage.json", run / "lineage.json")
    with pytest.raises(RunError, match=r"lineage\.json is not about the weights beside it.*Restore both"):
        judged(run, FORMER)


def test_checkpoints_of_a_run_have_its_lineage_and_other_files_in_its_folder_have_not(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "former", NEWBORN.followed_by(generation("former")))
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "best.ckpt").write_bytes(b"")
    (run / "vgg19.pth").write_bytes(b"")
    assert starting_weights({"weights": str(run / "checkpoints" / "best.ckpt")}).folder == run.resolve()
    assert starting_weights({"weights": str(run / "vgg19.pth")}).lineage.begins_with == "unknown"


def test_too_long_a_chain_forgets_its_beginning_and_says_so() -> None:
    lineage = NEWBORN
    for number in range(MAX_GENERATIONS):
        lineage = lineage.followed_by(generation(f"run {number}"))
    assert lineage.begins_with == "random"
    lineage = lineage.followed_by(generation("one more"))
    assert lineage.begins_with == "unknown"
    assert [lineage.generations[0].run, lineage.generations[-1].run] == ["one more", "run 1"]


def test_pictures_of_one_gray_value_are_nobodys(tmp_path: Path) -> None:
    salt = bytes(16)
    blank = Generation("former", "scans", salt, remembered([None], ["a"], salt=salt), remembered([], [], salt=salt))
    found = seen(Lineage((blank,)), Images([None, None], ["z", "a"]))
    assert found.words() == ["", "patient"]


def test_a_hundred_thousand_images_take_less_than_two_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    old, new = (rng.integers(0, 256, (100_000, 16), dtype=np.uint8) for _ in range(2))
    new[::1000] = old[::1000]
    patients = [f"patient-{i // 10}" for i in range(len(old))]
    began = time.process_time()
    salt = bytes(16)
    memory = remembered([row.tobytes() for row in old], patients, salt=salt)
    own = Generation("former", "scans", salt, memory, remembered([], [], salt=salt))
    write_lineage(tmp_path / "lineage.json", NEWBORN.followed_by(own))
    found = seen(read_lineage(tmp_path / "lineage.json"), Images([row.tobytes() for row in new], [None] * len(new)))
    assert np.flatnonzero(found.image_N).tolist() == list(range(0, 100_000, 1000))
    assert time.process_time() - began < 2
    assert (tmp_path / "lineage.json").stat().st_size < 2.5e6


def test_a_run_that_is_prepared_again_keeps_its_salt_and_another_run_draws_its_own(tmp_path: Path) -> None:
    run = run_of_three_classes(tmp_path / "first")
    assert run_of_three_classes(tmp_path / "first").salt == run.salt
    other = run_of_three_classes(tmp_path / "second")
    assert other.salt != run.salt
    assert len(run.salt) == 16
    assert not set(other.train.images.tolist()) & set(run.train.images.tolist())


def test_classes_that_are_not_trained_on_are_not_remembered(tmp_path: Path) -> None:
    every = run_of_three_classes(tmp_path / "every")
    some = run_of_three_classes(tmp_path / "some", train_on=["a"])
    assert (every.train.num_images, some.train.num_images) == (3, 1)
    assert (every.train.num_patients, len(every.train.images)) == (3, 2), "the third picture is blank"
    assert every.data == "phantoms-01234567", "phantoms of other settings are other people"


def run_of_three_classes(folder: Path, *, train_on: list[str] | None = None) -> Generation:
    """What a run remembers of a training image of each class; the last of them is blank."""
    facts = np.zeros((3, len(FACTS)))
    facts[:2, FACTS.index("high")] = 1
    hashes = np.arange(48, dtype=np.uint8).reshape(3, 16)
    records = [Record(id=name, path=name, target=name, patient=f"patient {name}") for name in "abc"]
    source = SimpleNamespace(name="phantoms", root=None, fingerprint=lambda: "0123456789")
    listed = Listed(source, records, SimpleNamespace(facts=facts, pixel_hashes=hashes), None)  # type: ignore[arg-type]
    rows = [SplitRow(i, one.id, one.patient, one.id, one.target, "train") for i, one in enumerate(records)]
    plan = {"_target_": "scanlens.data.lineage_plan.LineagePlan"}
    config = {"model": {}, "task": {"train_on": train_on}, "lineage": plan}
    lineage, _ = judge_start(config, listed, SplitTable(rows), Run(folder))
    write_lineage(folder / "lineage.json", lineage)
    return lineage.generations[0]


def test_the_division_of_a_run_beside_is_found(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "first", NEWBORN.followed_by(generation("first")))
    start = Start(NEWBORN, tmp_path / "second")
    assert start.split_file("first") == Run(run).split_file
    assert start.split_file("gone") is None
