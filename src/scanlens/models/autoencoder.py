"""A convolutional, denoising autoencoder, and the encoder that a classifier can start from."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from scanlens.errors import ModelError
from scanlens.models.base import Network, initialize
from scanlens.models.standardize import Standardize


class Encoder(nn.Sequential):
    """Stages of 4x4 convolution with stride 2, batch norm and ReLU; the last stage has the latent channels.

    With a kernel of 4 and a rim of 1 the center of each cell lies in the middle of the pixels it stands for, so that
    a map of the latent is drawn over the image by plain resizing.

    Args:
        in_channels: channels of the image.
        channels: channels after each stage; n stages divide rows and columns by 2^n.
    """

    def __init__(self, in_channels: int, channels: list[int]) -> None:
        if not channels or min(channels) < 1:
            raise ModelError(f"channels must list at least one stage and be positive, got {channels}.")
        super().__init__(*(_down(a, b) for a, b in pairwise([in_channels, *channels])))
        self.stride = 2 ** len(channels)


class Autoencoder(Network):
    """Compresses an image to a few maps of an eighth or a sixteenth of its size, and draws it again from them.

    The decoder enlarges by repeating pixels and then convolves, which avoids the checkerboards of transposed
    convolutions. The output passes a sigmoid, so it lies in [0, 1] like the images. Images whose size is no multiple
    of the encoder's stride are extended at the right and lower rim by repeating it, and the output is cut back.

    Args:
        in_channels: channels of the images (from the data).
        input_size: rows and columns of the square images, in pixels (from the data).
        num_classes: taken because every network receives it; there are no classes here.
        input_mean: mean of the training split, one number per channel; None leaves intensities as they are.
        input_std: standard deviation of the training split, likewise.
        channels: channels of the stages before the latent, each of which halves rows and columns.
        latent_channels: channels of the last stage, which halves once more. With the defaults a gray image is
            described by an eighth as many numbers as it has pixels.

    References:
        Vincent et al.: Stacked denoising autoencoders. JMLR 11, 2010.
        Odena, Dumoulin, Olah: Deconvolution and checkerboard artifacts. Distill, 2016.
    """

    head_kind = "none"

    def __init__(
        self,
        in_channels: int,
        input_size: int,
        *,
        num_classes: int | None = None,
        input_mean: list[float] | None = None,
        input_std: list[float] | None = None,
        channels: list[int] | tuple[int, ...] = (32, 64, 128),
        latent_channels: int = 32,
    ) -> None:
        super().__init__()
        stages = [*channels, latent_channels]
        check_size(input_size, num_stages=len(stages))
        self.standardize = Standardize(in_channels, mean=input_mean, std=input_std)
        self.encoder = Encoder(in_channels, stages)
        self.decoder = _decoder(stages[::-1], in_channels)
        self.feature_layer_name = f"encoder.{len(stages) - 1}.2"
        initialize(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The reconstruction, of the shape of x_BCHW, in [0, 1]."""
        rows, columns = x_BCHW.shape[-2:]
        return self.decoder(self.encode(x_BCHW))[..., :rows, :columns]

    def encode(self, x_BCHW: Tensor) -> Tensor:
        """The latent, latent_BCHW, not negative, with rows and columns divided by the encoder's stride (rounded up)."""
        return self.encoder(pad_to_multiple(self.standardize(x_BCHW), self.encoder.stride))

    def embed(self, x_BCHW: Tensor) -> Tensor:
        """Mean over positions of each latent channel, z_BD."""
        return self.encode(x_BCHW).mean(dim=(-2, -1))

    def encoder_state(self) -> dict[str, Tensor]:
        """What a classifier needs to start from this encoder: its tensors and those of `standardize`, by name."""
        return {
            name: tensor for name, tensor in self.state_dict().items() if name.startswith(("encoder.", "standardize."))
        }


def pad_to_multiple(x_BCHW: Tensor, multiple: int) -> Tensor:
    """The images, extended at the right and lower rim by repeating it until both sides are multiples."""
    rows, columns = x_BCHW.shape[-2:]
    return functional.pad(x_BCHW, (0, -columns % multiple, 0, -rows % multiple), mode="replicate")


def check_size(input_size: int, *, num_stages: int) -> None:
    """Refuses images so small that the latent has a single cell."""
    if input_size <= 2**num_stages:
        raise ModelError(
            f"{num_stages} stages need images of more than {2**num_stages} pixels a side, got {input_size}. "
            "Choose a larger preprocess size, or list fewer channels."
        )


def _down(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _decoder(channels: list[int], out_channels: int) -> nn.Sequential:
    """One enlargement per stage of the encoder, then a convolution to the channels of the image."""
    widths = [*channels, channels[-1]]
    layers: list[nn.Module] = [_up(a, b) for a, b in pairwise(widths)]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], out_channels, kernel_size=3, padding=1), nn.Sigmoid())


def _up(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
