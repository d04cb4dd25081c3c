"""What the network says when the pixels that a map marks are taken away, or are all that is left.

Legend: B images, S shares of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import nn

from scanlens.explain.evidence_order import moved_elsewhere, pixel_order
from scanlens.explain.removal_curve import Filling, RemovalCurve, removal_curve
from scanlens.pipeline.explanations.card.images import CardImages
from scanlens.pipeline.explanations.card.method_maps import Mapped
from scanlens.seeds import derived_seed


@dataclass(frozen=True, slots=True)
class Removals:
    """Curves of the map of each image, and of the same map moved elsewhere.

    A blank map has no order; it is credited with nothing, so its curve counts as that of its moved copy, too.
    """

    own: list[RemovalCurve] = field(default_factory=list)
    moved: list[RemovalCurve] = field(default_factory=list)

    @property
    def drops_B(self) -> list[float]:
        """Mean fall of the log-odds."""
        return [curve.drop for curve in self.own]

    @property
    def advantage_B(self) -> list[float]:
        """The fall less that without the same shapes elsewhere."""
        return [a.drop - b.drop for a, b in zip(self.own, self.moved, strict=True)]

    @property
    def held_B(self) -> list[float | None]:
        """Mean log-odds that the marked pixels alone hold, less those of the same shapes elsewhere."""
        return [
            None if a.held is None or b.held is None else a.held - b.held
            for a, b in zip(self.own, self.moved, strict=True)
        ]


def removals(
    network: nn.Module,
    maps: Sequence[Mapped],
    images: CardImages,
    plain_B: Sequence[float],
    *,
    num_images: int,
    shares: Sequence[float],
    filling: Filling,
    seed: int,
    advance: Callable[[int], None],
) -> Removals:
    """`Removals` of the first images, whose log-odds as they are is `plain_B`."""
    found = Removals()
    for b in range(min(num_images, len(maps))):
        own = maps[b]
        noise = derived_seed(seed, images.index_B[b])

        def curve(order_P, b: int = b, noise: int = noise) -> RemovalCurve:  # type: ignore[no-untyped-def]
            return removal_curve(
                network,
                images.x_BCHW[b],
                order_P,
                int(images.target_B[b]),
                shares=shares,
                filling=filling,
                keeps_too=filling != "imputed",
                plain=plain_B[b],
                seed=noise,
            )

        found.own.append(curve(pixel_order(own.map_HW, own.covered_HW, seed=noise)))
        elsewhere = moved_elsewhere(own.map_HW, seed=derived_seed(noise, 1))
        found.moved.append(found.own[-1] if own.is_blank else curve(pixel_order(elsewhere, seed=noise)))
    advance(1)
    return found
