"""The methods that a score card compares: those of the run, a list of others that fit, and the controls.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml
from torch import Tensor, nn

from scanlens.config import build
from scanlens.errors import ExplainError
from scanlens.explain.base import Explainer
from scanlens.paths import config_dir

DEFAULT = ("grad_cam", "hires_cam", "layer_cam", "integrated_gradients")
CONTROLS = ("random", "center", "blurred_intensity", "edges")


@dataclass(frozen=True, slots=True)
class Method:
    """A method and what it costs.

    Args:
        explainer: makes the maps.
        passes: images that go through the network for one map.
        is_own: whether the run shows its maps.
    """

    explainer: Explainer
    passes: int
    is_own: bool = False

    @property
    def name(self) -> str:
        return self.explainer.name

    @property
    def is_control(self) -> bool:
        return self.explainer.is_control

    def seconds(self, map_s: float) -> float:
        """Nominal seconds of one map, from those of one pass and back."""
        return self.passes * map_s


def compared_methods(
    network: nn.Module, x_1CHW: Tensor, *, own: Sequence[Explainer], wanted: Sequence[str] | None, most_passes: int
) -> tuple[list[Method], list[dict[str, str]]]:
    """Methods in the order of the card: the run's own, the wanted ones, the controls; and those that were left out, and why.

    Args:
        network: what is explained.
        x_1CHW: one image, on which passes are counted.
        own: the explainers of the run, the primary one first.
        wanted: options of the configuration group `explain`; None for `DEFAULT`, of which those that cost too much are left
            out.
        most_passes: a default method that needs more for one map costs too much.
    """
    chosen: dict[str, Method] = {}
    left_out = []
    for explainer in own:
        chosen[explainer.name] = Method(explainer, counted_passes(explainer, network, x_1CHW) or 1, is_own=True)
    for name in [*(DEFAULT if wanted is None else wanted), *CONTROLS]:
        if name in chosen:
            continue
        explainer = option(name)
        try:
            explainer.check(network)
            is_default = wanted is None and not explainer.is_control
            passes = counted_passes(explainer, network, x_1CHW, most=most_passes if is_default else None)
        except ExplainError as error:
            left_out.append({"name": name, "title": explainer.title, "reason": str(error)})
            continue
        if passes is None:
            reason = f"one map costs more than {most_passes} passes of this network; ask for it with methods={name}"
            left_out.append({"name": name, "title": explainer.title, "reason": reason})
        else:
            chosen[name] = Method(explainer, passes)
    return list(chosen.values()), left_out


def option(name: str) -> Explainer:
    """The method of an option of the configuration group `explain`, with the settings that stand there."""
    content = yaml.safe_load((config_dir() / "explain" / f"{name}.yaml").read_text(encoding="utf-8"))
    explainer: Explainer = build(content)
    return explainer


def counted_passes(explainer: Explainer, network: nn.Module, x_1CHW: Tensor, *, most: int | None = None) -> int | None:
    """Images that go through the network for one map; None if they are more than `most`."""
    if not explainer.asks_network or explainer.is_control:
        return 0
    count = 0

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count
        count += len(inputs[0])
        if most is not None and count > most:
            raise _EnoughError

    hook = network.register_forward_pre_hook(note)
    try:
        explainer.explain(network, x_1CHW)
    except _EnoughError:
        return None
    finally:
        hook.remove()
    return count


class _EnoughError(Exception):
    """More passes than may be counted."""
