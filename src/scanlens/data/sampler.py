"""Which images make up each step: the same global batches on any number of processes, and from any position on.

Batch b of epoch e is a pure function of (seed, e, b); process r of w takes every w-th image of it, beginning with the r-th.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from scanlens.data.cache import FULL_SCALE
from scanlens.data.randomness import permutation, uniforms

Place = tuple[int, int, int, int]  # index of the image, epoch, images in this step over all processes, earlier draws
_DRAW_STREAM = 101


class EpochBatches(Sampler[list[Place]]):
    """Batches of one process.

    Args:
        indices: places in the data set of the images to draw from.
        batch_size: images in one step over all processes.
        seed: of the run.
        rank: of this process.
        world: number of processes.
        weights_N: probability of drawing each of `indices`, with replacement; None for a permutation.

    An incomplete last batch is used if it holds at least a quarter of `batch_size` (and two images), or if it is the only one of
    the epoch; else it is left out of this epoch (another permutation leaves out others). The rule does not depend on the
    number of processes, so neither do the batches.

    Raises:
        ValueError: if a process could be left without an image in some step, or for weights that do not fit.
    """

    def __init__(
        self,
        indices: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        weights_N: NDArray[np.float64] | None = None,
    ) -> None:
        _check_rank(rank, world)
        self.smallest_rest = max(2, -(-batch_size // 4))
        if world > min(len(indices), max(1, batch_size), self.smallest_rest):
            raise ValueError(
                f"{len(indices)} training images in batches of {batch_size} cannot feed {world} processes. A batch is shared by all "
                "of them: set loader.batch_size to at least four times their number, or use fewer processes."
            )
        self.indices = np.asarray(indices, dtype=np.int64)
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.weights_N = None if weights_N is None else _checked_weights(weights_N, num=len(indices))
        self.epoch = 0
        self.first = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch; the epoch that a run was resumed in keeps its place."""
        if epoch != self.epoch:
            self.begin_at(epoch, 0)

    def begin_at(self, epoch: int, first: int) -> None:
        """The next iteration gives the batches of `epoch` from number `first` on; one past the last means the next epoch."""
        self.epoch, self.first = (epoch, first) if first < len(self) else (epoch + 1, 0)

    def __len__(self) -> int:
        """Steps of a whole epoch, the same on every process and wherever the next iteration begins."""
        full, rest = divmod(len(self.indices), self.batch_size)
        return full + int(self._keeps(rest, has_full=full > 0))

    def __iter__(self) -> Iterator[list[Place]]:
        epoch, first, self.first = self.epoch, self.first, 0
        order = self._order(epoch)
        earlier = _earlier_draws(order)
        for step in range(first, len(self)):
            batch = range(step * self.batch_size, min((step + 1) * self.batch_size, len(order)))
            mine = batch[self.rank :: self.world]
            yield [(int(order[place]), epoch, len(batch), int(earlier[place])) for place in mine]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        num = len(self.indices)
        if self.weights_N is None:
            return self.indices[permutation(self.seed, epoch, num)]
        edges = np.cumsum(self.weights_N) / np.sum(self.weights_N)
        u_N = uniforms(self.seed, epoch, np.arange(num), 1, stream=_DRAW_STREAM)[:, 0]
        last = int(np.flatnonzero(self.weights_N)[-1])  # rounding may leave the last edge below 1
        return self.indices[np.minimum(np.searchsorted(edges, u_N, side="right"), last)]

    def _keeps(self, rest: int, *, has_full: bool) -> bool:
        if rest == 0:
            return False
        return not has_full or rest >= self.smallest_rest


class EvalBatches(Sampler[list[Place]]):
    """Every image exactly once over all processes: strided shards, never padded.

    Args:
        indices: places of the images in the data set.
        batch_size: images of one process in one step.
        rank: of this process.
        world: number of processes.

    Raises:
        ValueError: if there are fewer images than processes.
    """

    def __init__(self, indices: Sequence[int], *, batch_size: int, rank: int = 0, world: int = 1) -> None:
        _check_rank(rank, world)
        if len(indices) < world:
            raise ValueError(
                f"{len(indices)} images to evaluate on {world} processes; each needs one. Use fewer processes."
            )
        self.num, self.world = len(indices), world
        self.mine = [int(index) for index in indices][rank::world]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.mine) // self.batch_size)

    def __iter__(self) -> Iterator[list[Place]]:
        for start in range(0, len(self.mine), self.batch_size):
            batch = self.mine[start : start + self.batch_size]
            everywhere = min(self.num - start * self.world, self.batch_size * self.world)
            yield [(index, 0, everywhere, 0) for index in batch]


def _earlier_draws(order_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often the image at each place of the order was drawn before in it."""
    by_image_N = np.argsort(order_N, kind="stable")
    _, first_N, count_N = np.unique(order_N[by_image_N], return_index=True, return_counts=True)
    earlier_N = np.empty_like(order_N)
    earlier_N[by_image_N] = np.arange(len(order_N)) - np.repeat(first_N, count_N)
    return earlier_N


def _check_rank(rank: int, world: int) -> None:
    if not 0 <= rank < world:
        raise ValueError(f"expected 0 <= rank < world, got rank {rank} of {world} processes")


def _checked_weights(weights_N: NDArray[np.float64], *, num: int) -> NDArray[np.float64]:
    weights = np.asarray(weights_N, dtype=np.float64)
    if weights.shape != (num,):
        raise ValueError(f"expected one weight for each of {num} images, got weights of shape {weights.shape}")
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() == 0:
        raise ValueError("expected finite weights of 0 or more, and one above 0, to draw images by")
    return weights


class BatchDataset(Dataset[dict[str, Any]]):
    """Whole batches straight from the memory-mapped cache.

    Args:
        images: uint16 (N, C, H, W).
        target_N: class number of each image, -1 where unknown.
    """

    def __init__(self, images: NDArray[np.uint16], target_N: NDArray[np.int64]) -> None:
        if len(images) != len(target_N):
            raise ValueError(f"expected one target for each of {len(images)} images, got {len(target_N)}")
        self.images = images
        self.target_N = target_N

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, places: list[Place]) -> dict[str, Any]:
        """A batch: image x_BCHW float32 in [0, 1]; target, index, earlier_draws int64 (B,); epoch, global_batch."""
        index_B = np.array([place[0] for place in places], dtype=np.int64)
        images = np.asarray(self.images)  # a view; indexing a np.memmap costs twice as much
        image_BCHW = np.empty((len(index_B), *images.shape[1:]), dtype=np.float32)
        for b in np.argsort(index_B, kind="stable"):  # ascending reads of the file
            image_BCHW[b] = images[index_B[b]]
        image_BCHW /= np.float32(FULL_SCALE)  # no product with the inverse: a division is exact for 8- and 16-bit files
        return {
            "image": torch.from_numpy(image_BCHW),
            "target": torch.from_numpy(self.target_N[index_B]),
            "index": torch.from_numpy(index_B),
            "earlier_draws": torch.tensor([place[3] for place in places], dtype=torch.int64),
            "epoch": places[0][1],
            "global_batch": places[0][2],
        }

    def __getstate__(self) -> dict[str, Any]:
        """A worker that is not forked gets the file's name: pickling a memory map would copy all images to it."""
        state = dict(self.__dict__)
        if isinstance(self.images, np.memmap) and isinstance(self.images.base, mmap.mmap):
            state["images"] = None
            state["file"] = (str(self.images.filename), self.images.dtype.str, self.images.offset, self.images.shape)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "file" in state:
            name, dtype, offset, shape = state.pop("file")
            state["images"] = np.memmap(name, np.dtype(dtype), "r", offset=offset, shape=shape)
        self.__dict__.update(state)


class ResumableLoader:
    """A loader of whole batches whose position in the epoch can be saved and restored.

    It holds a DataLoader rather than being one, because Lightning builds DataLoaders anew, with samplers of its own.

    Args:
        dataset: takes a list of places and gives a batch.
        batches: an EpochBatches or EvalBatches.
        num_workers: processes that read ahead.
        pin_memory: for copies to a GPU.
    """

    def __init__(
        self,
        dataset: BatchDataset,
        batches: EpochBatches | EvalBatches,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self.sampler = batches  # under these names Lightning looks for set_epoch and for shuffling
        self.batch_sampler = None
        self._given = (0, 0)  # epoch, and how many of its batches the caller has
        self._loader: DataLoader[dict[str, Any]] = DataLoader(
            dataset,
            sampler=batches,  # type: ignore[arg-type]  # with batch_size=None each item of the sampler is one whole batch
            batch_size=None,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
        )

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Nothing is read before the first batch is asked for: Lightning makes the iterator before it tells the epoch."""
        epoch, given = self._place()
        for batch in self._loader:
            given += 1  # counted here and not by the sampler, since workers read ahead of the caller
            self._given = (epoch, given)
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The position, the same on every process, and what it depends on."""
        if not isinstance(self.sampler, EpochBatches):
            return {}
        epoch, pending = self._place()
        given = self._given[1] if pending == 0 and self._given[0] == epoch else pending
        return {"epoch": epoch, "batches": given, **_identity(self.sampler)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where the state was saved; a state of a finished epoch begins the next one.

        Raises:
            ValueError: if the position is inside an epoch whose batches were others.
        """
        if not isinstance(self.sampler, EpochBatches):
            return
        is_inside = 0 < state["batches"] < state["num_batches"]
        changed = [name for name, value in _identity(self.sampler).items() if state[name] != value]
        if is_inside and changed:
            told = ", ".join(f"{name} was {state[name]} and is {_identity(self.sampler)[name]}" for name in changed)
            raise ValueError(
                f"the checkpoint lies inside an epoch of other batches ({told}). Resume with the settings of the run, or start a new one."
            )
        is_done = state["batches"] >= state["num_batches"]
        self.sampler.begin_at(state["epoch"] + is_done, 0 if is_done else state["batches"])
        self._given = (self.sampler.epoch, self.sampler.first)

    @property
    def _iterator(self) -> object | None:
        """Of the DataLoader: Lightning looks for it here to end the workers, which otherwise takes 5 s each at exit."""
        return self._loader._iterator

    @_iterator.setter
    def _iterator(self, value: None) -> None:
        self._loader._iterator = value

    def _place(self) -> tuple[int, int]:
        return (self.sampler.epoch, self.sampler.first) if isinstance(self.sampler, EpochBatches) else (0, 0)


def _identity(batches: EpochBatches) -> dict[str, int]:
    return {
        "num_batches": len(batches),
        "batch_size": batches.batch_size,
        "num_images": len(batches.indices),
        "seed": batches.seed,
    }
