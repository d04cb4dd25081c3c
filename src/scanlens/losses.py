"""Losses, one number per image, so that every sum and mean over images and processes is exact.

Legend of axes: B images, K classes, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

SSIM_WINDOW = 11  # pixels; a Gaussian of 1.5 pixels, as in the paper
SSIM_SIGMA = 1.5


class ClassificationLoss(nn.Module):
    """Cross entropy with class weights, focal modulation, logit adjustment and label smoothing, alone or together.

    For an image of class y, with z = logits + tau * log(prior) and p = softmax(z):

        loss = weights[y] * (1 - p[y])^gamma * ((1 - s) * -log p[y] + s * mean over k of -log p[k])

    `forward` is the sum over images divided by their number B. torch's `cross_entropy(weight=...)` divides by the sum
    of the weights in the batch instead, so that its value depends on which images share a batch, or a process; and it
    weights each smoothed term by that term's own class.

    Args:
        weights_K: factor per class; None means 1. See `inverse_frequency_weights`.
        focal_gamma: how strongly easy images are played down, at least 0; None means 0, which is cross entropy. For
            the alpha of the paper, give weights_K.
        prior_K: share of each class in the training split, for logit adjustment; None means no adjustment. It belongs
            to the loss only: predictions are made from the logits as they are.
        tau: strength of the adjustment; 1 is the theory's value.
        label_smoothing: share s of the target given evenly to all classes, in [0, 1).

    Raises:
        ValueError: if a value lies outside its range.

    References:
        Lin et al.: Focal loss for dense object detection. ICCV 2017.
        Menon et al.: Long-tail learning via logit adjustment. ICLR 2021.
        Szegedy et al.: Rethinking the Inception architecture. CVPR 2016 (label smoothing).
    """

    weights_K: Tensor | None
    log_prior_K: Tensor | None

    def __init__(
        self,
        *,
        weights_K: Tensor | None = None,
        focal_gamma: float | None = None,
        prior_K: Tensor | None = None,
        tau: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if focal_gamma is not None and not 0 <= focal_gamma < math.inf:
            raise ValueError(f"focal_gamma must be at least 0, got {focal_gamma}. 2 is usual.")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}. 0.1 is usual.")
        if not 0 <= tau < math.inf:
            raise ValueError(f"tau must be at least 0, got {tau}. 1 is the theory's value.")
        if weights_K is not None and not bool(((weights_K >= 0) & weights_K.isfinite()).all()):
            raise ValueError(f"weights_K must be finite and not negative, got {weights_K.tolist()}.")
        if prior_K is not None and not (bool((prior_K > 0).all()) and abs(float(prior_K.sum()) - 1) < 1e-3):
            raise ValueError(
                f"prior_K must be positive shares with sum one, got {prior_K.tolist()}. See class_prior()."
            )
        self.focal_gamma = focal_gamma or 0.0
        self.tau = tau
        self.label_smoothing = label_smoothing
        self.register_buffer("weights_K", None if weights_K is None else weights_K.float(), persistent=False)
        self.register_buffer("log_prior_K", None if prior_K is None else prior_K.float().log(), persistent=False)

    def forward(self, logits_BK: Tensor, target_B: Tensor) -> Tensor:
        """Mean over images of `per_image`, a scalar."""
        return self.per_image(logits_BK, target_B).mean()

    def per_image(self, logits_BK: Tensor, target_B: Tensor) -> Tensor:
        """The loss of each image, loss_B, in float32.

        Args:
            logits_BK: before softmax, in any floating type.
            target_B: class index per image, int64, in [0, K).
        """
        logits_BK = logits_BK.float()
        if self.log_prior_K is not None:
            logits_BK = logits_BK + self.tau * self.log_prior_K
        log_p_BK = functional.log_softmax(logits_BK, dim=1)
        log_p_B = log_p_BK.gather(1, target_B[:, None]).squeeze(1)
        loss_B = -log_p_B
        if self.label_smoothing:
            loss_B = (1 - self.label_smoothing) * loss_B - self.label_smoothing * log_p_BK.mean(dim=1)
        if self.focal_gamma:
            miss_B = (-torch.expm1(log_p_B)).clamp_min(1e-7)  # 1 - p; the power's slope at 0 is infinite for gamma < 1
            loss_B = miss_B**self.focal_gamma * loss_B
        if self.weights_K is not None:
            loss_B = self.weights_K[target_B] * loss_B
        return loss_B


class ReconstructionLoss(nn.Module):
    """How far a reconstruction is from its image.

    Args:
        kind: "mse", mean of squared differences; "l1", mean of absolute ones; "ssim_mix",
            `ssim_share` * (1 - SSIM) / 2 + (1 - `ssim_share`) * l1, which keeps edges that the others blur.
        ssim_share: share of SSIM in the mix, in [0, 1].

    Raises:
        ValueError: if `ssim_share` lies outside [0, 1].

    References:
        Wang et al.: Image quality assessment: from error visibility to structural similarity. IEEE TIP 13, 2004.
        Zhao et al.: Loss functions for image restoration with neural networks. IEEE TCI 3, 2017 (they mix l1 with
        multi-scale SSIM at 0.84; one scale suits small images).
    """

    def __init__(self, kind: Literal["mse", "l1", "ssim_mix"] = "mse", *, ssim_share: float = 0.84) -> None:
        super().__init__()
        if not 0 <= ssim_share <= 1:
            raise ValueError(f"ssim_share must lie in [0, 1], got {ssim_share}.")
        if kind not in ("mse", "l1", "ssim_mix"):
            raise ValueError(f"kind must be mse, l1 or ssim_mix, got '{kind}'.")
        self.kind = kind
        self.ssim_share = ssim_share

    def forward(self, reconstruction_BCHW: Tensor, x_BCHW: Tensor) -> Tensor:
        """Mean over images of `per_image`, a scalar."""
        return self.per_image(reconstruction_BCHW, x_BCHW).mean()

    def per_image(self, reconstruction_BCHW: Tensor, x_BCHW: Tensor) -> Tensor:
        """The loss of each image, loss_B, in float32.

        Args:
            reconstruction_BCHW: in [0, 1].
            x_BCHW: the image itself, in [0, 1]; not the corrupted one.
        """
        reconstruction_BCHW, x_BCHW = reconstruction_BCHW.float(), x_BCHW.float()
        difference = reconstruction_BCHW - x_BCHW
        if self.kind == "mse":
            return difference.square().mean(dim=(1, 2, 3))
        l1_B = difference.abs().mean(dim=(1, 2, 3))
        if self.kind == "l1":
            return l1_B
        ssim_B = structural_similarity(reconstruction_BCHW, x_BCHW)
        return self.ssim_share * (1 - ssim_B) / 2 + (1 - self.ssim_share) * l1_B


def structural_similarity(a_BCHW: Tensor, b_BCHW: Tensor) -> Tensor:
    """SSIM of each pair of images in [0, 1], ssim_B in [-1, 1], with gradients.

    Gaussian window of 11x11 pixels (sigma 1.5), population moments, places whose window leaves the image left out:
    the paper's settings, and those of scikit-image with `gaussian_weights=True, use_sample_covariance=False`.

    Raises:
        ValueError: if the images are smaller than the window.
    """
    channels, rows, columns = a_BCHW.shape[1:]
    if min(rows, columns) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, got {rows}x{columns}.")
    offsets = torch.arange(SSIM_WINDOW, device=a_BCHW.device, dtype=torch.float32) - SSIM_WINDOW // 2
    bell = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    bell = bell / bell.sum()

    def smooth(x_BCHW: Tensor) -> Tensor:
        x_BCHW = functional.conv2d(x_BCHW, bell.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return functional.conv2d(x_BCHW, bell.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)

    with torch.autocast(a_BCHW.device.type, enabled=False):  # variances are differences of near numbers
        mean_a, mean_b = smooth(a_BCHW), smooth(b_BCHW)
        var_a = smooth(a_BCHW * a_BCHW) - mean_a**2
        var_b = smooth(b_BCHW * b_BCHW) - mean_b**2
        covariance = smooth(a_BCHW * b_BCHW) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def inverse_frequency_weights(counts_K: Sequence[int] | Tensor, class_names: Sequence[str] | None = None) -> Tensor:
    """Weights inversely proportional to class counts, n / (K * count), whose mean over all images is one.

    Args:
        counts_K: images per class in the training split; every entry positive.
        class_names: for the message of an error.

    Raises:
        ValueError: if a class has no image (names the class).
    """
    counts = _checked_counts(counts_K, class_names)
    return (counts.sum() / (len(counts) * counts)).float()


def class_prior(counts_K: Sequence[int] | Tensor, class_names: Sequence[str] | None = None) -> Tensor:
    """Share of each class in the training split, prior_K.

    Args:
        counts_K: images per class in the training split; every entry positive.
        class_names: for the message of an error.

    Raises:
        ValueError: if a class has no image (names the class).
    """
    counts = _checked_counts(counts_K, class_names)
    return (counts / counts.sum()).float()


def _checked_counts(counts_K: Sequence[int] | Tensor, class_names: Sequence[str] | None) -> Tensor:
    counts = torch.as_tensor(counts_K, dtype=torch.float64)
    names = class_names or [f"class {index}" for index in range(len(counts))]
    empty = [name for name, count in zip(names, counts.tolist(), strict=True) if count <= 0]
    if empty:
        raise ValueError(
            f"No image of {', '.join(repr(name) for name in empty)} is in the training split, so its weight would be "
            "infinite. Add images, leave the class out, use another split seed, or set balance=none."
        )
    return counts
