"""The data of a run as Lightning wants them: loaders over the cache, augmentation on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanlens.data.augment import Augment
from scanlens.data.balance import BalancePlan, sampling_weights
from scanlens.data.cache import FULL_SCALE, open_cache
from scanlens.data.sampler import BatchDataset, EpochBatches, EvalBatches, ResumableLoader
from scanlens.errors import DataError

EVALUATION_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderPlan:
    """How images are fed to the network.

    Args:
        batch_size: images in one step over all processes together.
        num_workers: processes that read ahead, for each training process; batches come from a memory-mapped cache, so 0 is
            usually fastest.
        max_quarantined_share: a run stops if more of its files than this share cannot be read, in [0, 1].
        max_cache_gib: size of the folder of decoded images, above which entries that no process holds are removed, the
            least recently used first; above 0.
    """

    batch_size: int = 32
    num_workers: int = 0
    max_quarantined_share: float = 0.1
    max_cache_gib: float = 20.0

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 65536:
            raise ValueError(f"loader.batch_size must lie between 1 and 65536, got {self.batch_size}.")
        if not 0 <= self.num_workers <= 128:
            raise ValueError(f"loader.num_workers must lie between 0 and 128, got {self.num_workers}.")
        if not 0 <= self.max_quarantined_share <= 1:
            raise ValueError(f"loader.max_quarantined_share must lie in [0, 1], got {self.max_quarantined_share}.")
        if not 0 < self.max_cache_gib <= 1e6:
            raise ValueError(f"loader.max_cache_gib must be above 0 and at most 1000000, got {self.max_cache_gib}.")


class ScanData(pl.LightningDataModule):
    """Training, validation and test images of a prepared run.

    Args:
        cache: the cache entry that preparation made.
        rows: of `split.csv`.
        class_names: in the order of the logits.
        plan: batch size and workers.
        augment: applied to training batches only.
        balance: decides whether training images are drawn by class.
        seed: of the run.
        only_classes: train and monitor on images of these classes; None for all. Prediction always covers everything.
    """

    def __init__(
        self,
        *,
        cache: Path,
        rows: Sequence[Mapping[str, str]],
        class_names: Sequence[str],
        plan: LoaderPlan,
        augment: Augment,
        balance: BalancePlan,
        seed: int,
        only_classes: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.cached = open_cache(cache)
        self.class_names = list(class_names)
        self.plan, self.augment, self.balance, self.seed = plan, augment, balance, seed
        self.only_classes = only_classes
        numbers = {name: number for number, name in enumerate(self.class_names)}
        self.split_N = [row["split"] for row in rows]
        self.targets_N: NDArray[np.int64] = np.array([numbers.get(row["target"], -1) for row in rows], dtype=np.int64)
        if len(rows) != len(self.cached.images):
            raise DataError(
                f"split.csv lists {len(rows)} images, the cache holds {len(self.cached.images)}. Start a new run; the data changed."
            )

    def indices(self, split: str, *, only_classes: Sequence[str] | None = None) -> list[int]:
        """Places of the images of a split, ascending."""
        wanted = None if only_classes is None else {self.class_names.index(name) for name in only_classes}
        return [
            place
            for place, found in enumerate(self.split_N)
            if found == split and (wanted is None or int(self.targets_N[place]) in wanted)
        ]

    def train_dataloader(self) -> ResumableLoader:
        indices = self.indices("train", only_classes=self.only_classes)
        weights_N = sampling_weights(self.targets_N[indices], self.class_names) if self.balance.sampler else None
        batches = EpochBatches(
            indices,
            batch_size=self.plan.batch_size,
            seed=self.seed,
            rank=self._rank,
            world=self._world,
            weights_N=weights_N,
        )
        return self._loader(batches)

    def val_dataloader(self) -> ResumableLoader | list[Any]:
        indices = self.indices("val", only_classes=self.only_classes)
        if not indices:
            return []
        return self._loader(EvalBatches(indices, batch_size=EVALUATION_BATCH, rank=self._rank, world=self._world))

    @property
    def num_validated(self) -> int:
        """Images that `val_dataloader` gives, over all processes."""
        return len(self.indices("val", only_classes=self.only_classes))

    def evaluation_loader(self, split: str) -> ResumableLoader:
        """Every image of a split once, in one process."""
        return self._loader(EvalBatches(self.indices(split), batch_size=EVALUATION_BATCH))

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        if self.trainer is not None and self.trainer.training:
            # An image that the balanced sampler draws again in one epoch is another draw, with changes of its own.
            draw_B = (batch["index"] + (batch["earlier_draws"] << 32)).cpu().numpy()
            image, _, _ = self.augment(batch["image"], seed=self.seed, epoch=int(batch["epoch"]), index_B=draw_B)
            batch["image"] = image
        return batch

    def image_and_mask(self, index: int) -> tuple[Tensor, NDArray[np.uint8] | None]:
        """One image x_CHW in [0, 1] and its mask (H, W) of zeros and ones, None if it is not known."""
        image = torch.from_numpy(self.cached.images[index].astype(np.float32) / np.float32(FULL_SCALE))
        if self.cached.masks is None or not self.cached.has_mask[index]:
            return image, None
        return image, np.array(self.cached.masks[index])

    def _loader(self, batches: EpochBatches | EvalBatches) -> ResumableLoader:
        dataset = BatchDataset(self.cached.images, self.targets_N)
        return ResumableLoader(
            dataset, batches, num_workers=self.plan.num_workers, pin_memory=torch.cuda.is_available()
        )

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _world(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1
