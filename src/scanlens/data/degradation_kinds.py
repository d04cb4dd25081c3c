"""In which ways test images are made worse, how strongly, and what of it a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scanlens.errors import ConfigError, did_you_mean


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to make an image worse.

    Args:
        title: for a reader, as in "AUROC falls at <title> of 8 %".
        unit: of a strength as it is shown.
        shown: factor from a strength to what is shown: 100 where a share is shown in percent.
        strengths: five, rising; 0 would leave the image as it is.
        about: what a strength means.
    """

    title: str
    unit: str
    shown: float
    strengths: tuple[float, ...]
    about: str


KINDS: dict[str, Kind] = {
    "noise": Kind(
        "noise",
        "%",
        100,
        (0.02, 0.04, 0.08, 0.12, 0.16),
        "standard deviation as a share of the range of intensities; Rician for gray images, Gaussian for others",
    ),
    "bias_field": Kind(
        "a bias field",
        "%",
        100,
        (0.1, 0.2, 0.4, 0.6, 1.0),
        "smooth shading: where it is strongest inside the inscribed circle, intensities are multiplied or divided by 1 plus this",
    ),
    "blur": Kind("blur", "px", 1, (0.5, 1.0, 1.5, 2.0, 3.0), "sigma of a Gaussian, in pixels of the prepared image"),
    "motion": Kind(
        "motion",
        "%",
        100,
        (0.01, 0.02, 0.04, 0.06, 0.1),
        "shift to one side in the course of a scan that fills k-space line by line, as a share of the width",
    ),
    "contrast": Kind(
        "a change of contrast",
        "%",
        100,
        (0.25, 0.5, 1.0, 1.5, 2.0),
        "gamma: intensities to the power of 1 plus this, or of one over that, by lot",
    ),
    "rotation": Kind(
        "rotation", "°", 1, (5.0, 10.0, 15.0, 20.0, 30.0), "about the center, to the left or right by lot"
    ),
    "resolution": Kind(
        "a loss of resolution",
        "%",
        100,
        (0.25, 0.5, 0.625, 0.75, 0.875),
        "share of rows and columns that are lost: made smaller, and enlarged again",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessPlan:
    """Whether a run judges its network on test images that were made worse.

    Args:
        enabled: do so after the test; scanlens robustness does it later.
        kinds: of `KINDS`; all for every one.

    Raises:
        ConfigError: a kind is unknown.
    """

    enabled: bool = False
    kinds: list[str] | Literal["all"] = "all"

    def __post_init__(self) -> None:
        chosen_kinds(self.kinds, setting="robustness.kinds")

    @property
    def chosen(self) -> list[str]:
        """The names, in the order of `KINDS`."""
        return chosen_kinds(self.kinds, setting="robustness.kinds")


def chosen_kinds(wanted: list[str] | str, *, setting: str) -> list[str]:
    """The names of the kinds that are wanted, in the order of `KINDS`.

    Args:
        wanted: names, or "all".
        setting: what the mistake is told of.

    Raises:
        ConfigError: a name is unknown, or there is none.
    """
    if wanted == "all":
        return list(KINDS)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    mistakes = [f"{setting}: there is no '{one}'. {did_you_mean(one, KINDS)}" for one in names if one not in KINDS]
    if not names:
        mistakes = [f"{setting} names none; choose of {', '.join(KINDS)}, or all"]
    if mistakes:
        raise ConfigError(mistakes)
    return [name for name in KINDS if name in names]
