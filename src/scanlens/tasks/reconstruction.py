"""Reconstruction: a denoising autoencoder, judged by how well it gives back images it has not seen."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from scanlens.losses import ReconstructionLoss
from scanlens.tasks.base import Batch, Task
from scanlens.tasks.optim import OptimPlan

OUTPUT_NAMES = ("loss", "mse", "psnr", "ssim")


class ReconstructionTask(Task):
    """Gives back the clean image from a noisy copy (Vincent et al. 2008).

    Logs `train/loss`, `val/loss`, `val/mse`, `val/psnr` (dB, for a range of 1) and `val/ssim`.

    Args:
        network: maps x_BCHW in [0, 1] to a picture of the same shape and range.
        loss: "mse", "l1" or "ssim_mix" (l1 and structural similarity, Zhao et al. 2017).
        denoising_std: standard deviation of the Gaussian noise added to the training input, in units of the range [0, 1].
        train_on: classes whose images are trained on and monitored; None means all. With only healthy images here, the
            reconstruction error becomes an anomaly score.
        optim: settings of the optimizer.
        seed: of the run.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        optim: OptimPlan,
        seed: int,
        loss: Literal["mse", "l1", "ssim_mix"] = "mse",
        denoising_std: float = 0.1,
        train_on: list[str] | None = None,
    ) -> None:
        super().__init__(network, optim=optim, seed=seed)
        if denoising_std < 0:
            raise ValueError(f"task.denoising_std must be 0 or more, got {denoising_std}")
        self.loss = ReconstructionLoss(loss)
        self.denoising_std = denoising_std
        self.train_on = train_on

    def loss_per_image(self, batch: Batch) -> Tensor:
        clean = batch["image"]
        noisy = (clean + self.denoising_std * torch.randn_like(clean)).clamp(0, 1)
        return self.loss.per_image(self.network(noisy).float(), clean)

    def outputs(self, batch: Batch) -> Tensor:
        """Rows of `OUTPUT_NAMES` for the undisturbed image."""
        clean = batch["image"]
        restored = self.network(clean).float()
        mse_B = (restored - clean).square().flatten(1).mean(1)
        psnr_B = -10 * mse_B.clamp_min(1e-10).log10()
        ssim = structural_similarity_index_measure(restored, clean, data_range=1.0, reduction="none")
        ssim_B = ssim[0] if isinstance(ssim, tuple) else ssim
        return torch.stack([self.loss.per_image(restored, clean), mse_B, psnr_B, ssim_B.reshape(-1)], dim=1)

    def split_metrics(self, rows_ND: Tensor, index_N: Tensor) -> dict[str, float]:
        return dict(zip(OUTPUT_NAMES, rows_ND.double().mean(0).tolist(), strict=True))
