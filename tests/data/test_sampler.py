from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scanlens.data.sampler import BatchDataset, EpochBatches, EvalBatches, ResumableLoader


def indices_of(batches: EpochBatches | EvalBatches) -> list[list[int]]:
    return [[place[0] for place in batch] for batch in batches]


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("num", [50, 53, 57, 64])
def test_any_number_of_processes_sees_the_same_global_batches(world: int, num: int) -> None:
    images = list(range(100, 100 + num))
    alone = EpochBatches(images, batch_size=16, seed=3)
    ranks = [EpochBatches(images, batch_size=16, seed=3, rank=r, world=world) for r in range(world)]
    for epoch in (0, 1):
        for one in (alone, *ranks):
            one.set_epoch(epoch)
        whole = indices_of(alone)
        shares = [indices_of(rank) for rank in ranks]
        assert {len(share) for share in shares} == {len(whole)} == {len(alone)}
        for step, batch in enumerate(whole):
            assert sorted(i for share in shares for i in share[step]) == sorted(batch)


def test_an_epoch_covers_every_image_once_and_orders_differ() -> None:
    batches = EpochBatches(range(64), batch_size=16, seed=1)
    first = [i for batch in indices_of(batches) for i in batch]
    batches.set_epoch(1)
    second = [i for batch in indices_of(batches) for i in batch]
    assert sorted(first) == sorted(second) == list(range(64))
    assert first != second


@pytest.mark.parametrize(("num", "sizes"), [(35, [16, 16]), (36, [16, 16, 4]), (9, [9]), (3, [3])])
def test_a_small_rest_is_left_out_unless_it_is_all_there_is(num: int, sizes: list[int]) -> None:
    batches = EpochBatches(range(num), batch_size=16, seed=1)
    assert [len(b) for b in batches] == sizes
    assert len(batches) == len(sizes)
    assert [place[2] for batch in batches for place in batch[:1]] == sizes


def test_iteration_can_begin_part_way_once() -> None:
    batches = EpochBatches(range(48), batch_size=8, seed=1)
    whole = indices_of(batches)
    batches.begin_at(0, 4)
    assert indices_of(batches) == whole[4:]
    assert indices_of(batches) == whole


def test_an_image_drawn_again_says_how_often_it_was_drawn_before() -> None:
    weights = np.array([0.1] * 5 + [0.5])
    alone = EpochBatches(range(6), batch_size=4, seed=1, weights_N=weights)
    seen: Counter[int] = Counter()
    for batch in alone:
        for index, _, _, earlier in batch:
            assert earlier == seen[index]
            seen[index] += 1
    assert max(seen.values()) > 1
    halves = [EpochBatches(range(6), batch_size=4, seed=1, rank=r, world=2, weights_N=weights) for r in range(2)]
    assert sorted(place for half in halves for batch in half for place in batch) == sorted(p for b in alone for p in b)


def test_balanced_draws_favor_the_rare_class_as_asked() -> None:
    weights = np.array([1 / 180] * 90 + [1 / 20] * 10)
    batches = EpochBatches(range(100), batch_size=50, seed=1, weights_N=weights)
    drawn: Counter[bool] = Counter()
    for epoch in range(40):
        batches.set_epoch(epoch)
        drawn.update(i >= 90 for batch in indices_of(batches) for i in batch)
    assert sum(drawn.values()) == 4000
    assert 1850 < drawn[True] < 2150  # 4.7 standard deviations about one half


def test_too_few_images_for_the_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="use fewer processes"):
        EpochBatches([1, 2], batch_size=16, seed=1, world=3)
    with pytest.raises(ValueError, match="Use fewer processes"):
        EvalBatches([1, 2], batch_size=16, world=3)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_evaluation_shards_hold_each_image_exactly_once(world: int) -> None:
    images = list(range(7, 40))
    seen = [
        i
        for r in range(world)
        for batch in indices_of(EvalBatches(images, batch_size=5, rank=r, world=world))
        for i in batch
    ]
    assert sorted(seen) == images


def dataset() -> BatchDataset:
    images = np.arange(20, dtype=np.uint16).reshape(20, 1, 1, 1).repeat(4, axis=2) * 1000
    return BatchDataset(images, np.arange(20) % 3)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # Python 3.12 says so of every fork
@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_hold_the_right_pixels_and_targets(num_workers: int) -> None:
    loader = ResumableLoader(dataset(), EpochBatches(range(20), batch_size=8, seed=2), num_workers=num_workers)
    batches = list(loader)
    assert [b["global_batch"] for b in batches] == [8, 8, 4]
    for batch in batches:
        assert batch["image"].dtype == torch.float32
        expected = batch["index"].float().view(-1, 1, 1, 1).expand(-1, 1, 4, 1) * 1000 / 65535
        torch.testing.assert_close(batch["image"], expected)
        assert batch["target"].tolist() == [i % 3 for i in batch["index"].tolist()]


def test_a_loader_goes_on_where_its_saved_state_says() -> None:
    whole = [b["index"].tolist() for b in ResumableLoader(dataset(), EpochBatches(range(20), batch_size=4, seed=2))]
    first = ResumableLoader(dataset(), EpochBatches(range(20), batch_size=4, seed=2))
    iterator = iter(first)
    seen = [next(iterator)["index"].tolist() for _ in range(2)]
    second = ResumableLoader(dataset(), EpochBatches(range(20), batch_size=4, seed=2))
    second.load_state_dict(first.state_dict())
    assert seen + [b["index"].tolist() for b in second] == whole


def test_a_state_saved_at_the_end_of_an_epoch_begins_a_whole_one() -> None:
    loader = ResumableLoader(dataset(), EpochBatches(range(20), batch_size=4, seed=2))
    list(loader)
    state = loader.state_dict()
    fresh = ResumableLoader(dataset(), EpochBatches(range(20), batch_size=4, seed=2))
    fresh.load_state_dict(state)
    assert len(list(fresh)) == 5


def loader_at(
    epoch: int, num_batches_read: int, *, num: int = 20, batch_size: int = 4, seed: int = 2
) -> ResumableLoader:
    loader = ResumableLoader(dataset(), EpochBatches(range(num), batch_size=batch_size, seed=seed))
    loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]
    iterator = iter(loader)
    for _ in range(num_batches_read):
        next(iterator)
    return loader


def batches_of(loader: ResumableLoader) -> list[tuple[int, list[int]]]:
    return [(batch["epoch"], batch["index"].tolist()) for batch in loader]


@pytest.mark.parametrize("num_read", [0, 1, 3, 5])
def test_a_position_keeps_its_epoch_and_survives_being_saved_before_the_first_batch(num_read: int) -> None:
    state = loader_at(7, num_read).state_dict()
    once = loader_at(0, 0)
    once.load_state_dict(state)
    twice = loader_at(0, 0)
    twice.load_state_dict(once.state_dict())
    epoch = 8 if num_read == 5 else 7
    expected = batches_of(loader_at(epoch, 0))[num_read % 5 :]
    assert batches_of(once) == batches_of(twice) == expected


def test_only_another_epoch_takes_the_position_back_to_the_start() -> None:
    loader = loader_at(0, 0)
    loader.load_state_dict(loader_at(3, 2).state_dict())
    loader.sampler.set_epoch(3)  # type: ignore[union-attr]
    assert len(batches_of(loader)) == 3
    loader.load_state_dict(loader_at(3, 2).state_dict())
    loader.sampler.set_epoch(4)  # type: ignore[union-attr]
    assert batches_of(loader) == batches_of(loader_at(4, 0))


def test_a_position_inside_an_epoch_of_other_batches_is_refused_and_tells_what_changed() -> None:
    inside, at_the_end = loader_at(1, 2).state_dict(), loader_at(1, 5).state_dict()
    other = loader_at(0, 0, batch_size=5, seed=9)
    with pytest.raises(ValueError, match=r"batch_size was 4 and is 5, seed was 2 and is 9"):
        other.load_state_dict(inside)
    other.load_state_dict(at_the_end)
    assert {epoch for epoch, _ in batches_of(other)} == {2}


def test_an_iterator_made_before_the_epoch_is_told_still_gives_that_epoch() -> None:
    loader = loader_at(0, 0)
    iterator = iter(loader)
    loader.sampler.set_epoch(6)  # type: ignore[union-attr]
    assert next(iterator)["epoch"] == 6


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # Python 3.12 says so of every fork
def test_workers_that_read_ahead_do_not_move_the_position() -> None:
    loader = ResumableLoader(dataset(), EpochBatches(range(20), batch_size=2, seed=2), num_workers=1)
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
    assert loader.state_dict()["batches"] == 3


def test_the_resumed_half_on_two_processes_completes_the_first_half_on_one() -> None:
    one = loader_at(0, 2)
    seen = [i for _, batch in batches_of(loader_at(0, 0))[:2] for i in batch]
    for rank in range(2):
        half = ResumableLoader(dataset(), EpochBatches(range(20), batch_size=4, seed=2, rank=rank, world=2))
        half.load_state_dict(one.state_dict())
        seen += [i for _, batch in batches_of(half) for i in batch]
    assert sorted(seen) == list(range(20))


def test_a_worker_that_is_not_forked_gets_the_name_of_the_file_and_not_its_images(tmp_path: Path) -> None:
    shape = (50, 1, 64, 64)
    pixels = np.random.default_rng(1).integers(0, 65536, shape, dtype=np.uint16)
    pixels.tofile(tmp_path / "images.u16")
    mapped = np.memmap(tmp_path / "images.u16", np.uint16, "r", shape=shape)
    sent = pickle.dumps(BatchDataset(mapped, np.zeros(50, np.int64)))
    assert len(sent) < 2000
    batch = pickle.loads(sent)[[(3, 0, 2, 0), (49, 0, 2, 0)]]
    np.testing.assert_array_equal(np.rint(batch["image"].numpy() * 65535), pixels[[3, 49]])
    some = BatchDataset(mapped[10:20], np.zeros(10, np.int64))  # a part of the file has no name of its own
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(some)).images, pixels[10:20])


def test_eight_bit_values_come_out_as_the_same_floats() -> None:
    stored = (np.arange(256, dtype=np.uint16) * 257).reshape(256, 1, 1, 1)
    batch = BatchDataset(stored, np.zeros(256, np.int64))[[(i, 0, 256, 0) for i in range(256)]]
    np.testing.assert_array_equal(batch["image"].numpy().ravel(), np.arange(256, dtype=np.float32) / np.float32(255))


def test_evaluation_batches_tell_how_many_images_all_processes_have() -> None:
    shards = [list(EvalBatches(range(11), batch_size=3, rank=r, world=2)) for r in range(2)]
    assert [[len(batch) for batch in shard] for shard in shards] == [[3, 3], [3, 2]]
    assert [[batch[0][2] for batch in shard] for shard in shards] == [[6, 5], [6, 5]]


@pytest.mark.parametrize(
    ("weights", "match"),
    [([1.0] * 3, "each of 4"), ([1, -1, 1, 1], "0 or more"), ([0] * 4, "above 0"), ([np.nan] * 4, "fin")],
)
def test_weights_that_cannot_be_drawn_by_are_refused(weights: list[float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        EpochBatches(range(4), batch_size=2, seed=1, weights_N=np.array(weights, dtype=float))


def test_images_of_weight_zero_are_never_drawn() -> None:
    batches = EpochBatches(range(40), batch_size=40, seed=1, weights_N=np.array([0.0, 0.1, 0.0, 0.3] * 9 + [0.0] * 4))
    drawn = set()
    for epoch in range(50):
        batches.set_epoch(epoch)
        drawn |= {i for batch in indices_of(batches) for i in batch}
    assert drawn == {i for i in range(36) if i % 2}


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # Lightning's own use of torch
@pytest.mark.filterwarnings("ignore:.*available but.*not used.*")  # a GPU, or srun, of the machine
@pytest.mark.parametrize("limit", [1.0, 3])
def test_under_lightning_every_checkpoint_goes_on_with_the_batches_of_an_undisturbed_run(
    tmp_path: Path, limit: float | int
) -> None:
    import pytorch_lightning as pl

    class Watching(pl.LightningModule):
        """Learns nothing (its rate is 0) and writes down which batches came."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)
            self.seen: list[tuple[int, list[int]]] = []

        def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
            return self.layer(x_BCHW.flatten(1))

        def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
            self.seen.append((batch["epoch"], batch["index"].tolist()))
            return self(batch["image"]).sum()

        def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
            self(batch["image"])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.0)

    class SaveOften(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.global_step}-batch.ckpt")

        def on_validation_end(self, trainer: pl.Trainer, *rest: Any) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.global_step}-validation.ckpt")

        def on_train_epoch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.global_step}-epoch.ckpt")

    def seen(*callbacks: pl.Callback, checkpoint: Path | None = None) -> list[tuple[int, list[int]]]:
        module = Watching()
        trainer = pl.Trainer(
            accelerator="cpu", devices=1, max_epochs=3, limit_train_batches=limit, num_sanity_val_steps=0, logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, callbacks=list(callbacks),
        )  # fmt: skip
        train = ResumableLoader(dataset(), EpochBatches(range(20), batch_size=5, seed=1))
        val = ResumableLoader(dataset(), EvalBatches(range(20), batch_size=10))
        trainer.fit(module, train, val, ckpt_path=checkpoint)
        return module.seen

    whole = seen(SaveOften())
    checkpoints = sorted(tmp_path.glob("*.ckpt"))
    assert len(checkpoints) == len(whole) + 2 * 3
    for checkpoint in checkpoints:
        done = int(checkpoint.name.partition("-")[0])
        assert seen(checkpoint=checkpoint) == whole[done:], checkpoint.name
