"""Maps of single cases: made in batches, measured, and written as raw numbers and as pictures.

Legend: B images, C channels, H rows, W columns, h and w cells of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.explain.base import Explainer, Explanation
from scanlens.explain.measure import mass_in_mask, peak_yx, pointing_hit
from scanlens.report.pictures import overlay_png, save_map

ReadImage = Callable[[int], tuple[Tensor, NDArray[np.uint8] | None]]
BATCH = 8


@dataclass(frozen=True, slots=True)
class MapGrid:
    """What one cell of a method's maps is.

    Args:
        layer: dotted name of the explained layer; "input" for methods that work on pixels.
        cell_px: (rows, columns) of the image that one cell stands for.
        sees_px: (rows, columns) of the image that one cell sees; None if not known.
        note: why the place of the cells is only roughly known, or "".
    """

    layer: str
    cell_px: tuple[float, float]
    sees_px: tuple[float, float] | None
    note: str

    def as_dict(self) -> dict[str, Any]:
        """For `cases.json`."""
        sees_px = None if self.sees_px is None else list(self.sees_px)
        return {"layer": self.layer, "cell_px": list(self.cell_px), "sees_px": sees_px, "placement_note": self.note}


@dataclass(frozen=True, slots=True)
class CaseMap:
    """One method's map of one case, ready to be written."""

    case: str
    method: str
    grid: MapGrid
    scan_CHW: NDArray[np.float32]
    map_HW: NDArray[np.float32]
    cells_hw: NDArray[np.float32]
    covered_HW: NDArray[np.bool_]
    mask_HW: NDArray[np.uint8] | None
    is_blank: bool
    is_two_sided: bool = False
    against: int | None = None  # number of the one class that the explained class was set against

    @property
    def scan(self) -> NDArray[np.float32]:
        """(H, W) for one channel, else (H, W, C)."""
        return self.scan_CHW[0] if len(self.scan_CHW) == 1 else np.moveaxis(self.scan_CHW, 0, -1)

    @property
    def evidence_HW(self) -> NDArray[np.float32]:
        """What the peak is looked for in: the map, or its size where both signs mean the same."""
        return np.abs(self.map_HW) if self.is_two_sided else self.map_HW

    @property
    def has_lesion(self) -> bool:
        """Whether a lesion is marked where the map reaches."""
        return self.mask_HW is not None and bool((self.mask_HW[self.covered_HW] > 0).any())

    @property
    def lesion_share(self) -> float:
        """Share of what the map covers that the lesion takes: how often a random point of it would hit."""
        return float((self.mask_HW[self.covered_HW] > 0).mean()) if self.mask_HW is not None else 0.0

    def hit(self) -> float | None:
        """`pointing_hit` of the map; a blank one, whatever its edge looks like, is a miss."""
        return self._measured(pointing_hit)

    def mass(self) -> float | None:
        """`mass_in_mask` of the map, 0 for a blank one."""
        return self._measured(mass_in_mask)

    def _measured(self, measure: Callable[..., float | None]) -> float | None:
        if self.mask_HW is None or not self.has_lesion:
            return None
        return 0.0 if self.is_blank else measure(self.evidence_HW, self.mask_HW)


def explain_cases(
    explainer: Explainer,
    model: nn.Module,
    indices: Sequence[int],
    cases: Sequence[str],
    targets: Sequence[int] | None,
    read: ReadImage,
    *,
    against: Sequence[int] | None = None,
) -> list[CaseMap]:
    """Maps of the images at `indices`, for the class numbers in `targets` (None where there are no classes).

    With `against`, each class is set against one other class; without, against all others together.
    """
    device = next(model.parameters()).device
    maps: list[CaseMap] = []
    for start in range(0, len(indices), BATCH):
        chosen = slice(start, start + BATCH)
        images = [read(index) for index in indices[chosen]]
        x_BCHW = torch.stack([image for image, _ in images]).to(device)
        target_B = None if targets is None else torch.tensor(list(targets[chosen]), device=device)
        against_B = None if against is None else torch.tensor(list(against[chosen]), device=device)
        explanation = explainer.explain(model, x_BCHW, target_B, against_B)
        names = cases[chosen]
        maps += [
            _case_map(explainer.name, names[i], explanation, i, *images[i], is_two_sided=explainer.is_two_sided)
            for i in range(len(images))
        ]
    return maps


def _case_map(
    method: str,
    case: str,
    explanation: Explanation,
    i: int,
    image_CHW: Tensor,
    mask_HW: NDArray[np.uint8] | None,
    *,
    is_two_sided: bool,
) -> CaseMap:
    geometry = explanation.geometry
    return CaseMap(
        case=case,
        method=method,
        grid=MapGrid(explanation.layer, geometry.jump_yx, geometry.receptive_field_yx, explanation.note),
        scan_CHW=image_CHW.cpu().float().numpy(),
        map_HW=explanation.map_BHW[i].cpu().float().numpy(),
        cells_hw=explanation.cells_Bhw[i].cpu().float().numpy(),
        covered_HW=explanation.covered_HW.cpu().numpy().astype(bool),
        mask_HW=mask_HW,
        is_blank=bool(explanation.is_blank_B[i]),
        is_two_sided=is_two_sided,
        against=None if explanation.against_B is None else int(explanation.against_B[i]),
    )


def write_case_map(folder: Path, case_map: CaseMap, *, scale: float) -> dict[str, Any]:
    """Write the raw signed map and its overlay; what `cases.json` says of them is returned."""
    stem = f"{case_map.case}_{case_map.method}"
    save_map(
        folder / f"{stem}.npz",
        map=case_map.map_HW,
        cells=case_map.cells_hw,
        covered=case_map.covered_HW,
        scan=case_map.scan,
    )
    overlay_png(
        case_map.scan,
        case_map.map_HW,
        scale=scale,
        covered_HW=case_map.covered_HW,
        mask_HW=case_map.mask_HW,
        path=folder / f"{stem}.png",
        is_two_sided=case_map.is_two_sided,
    )
    peak = None if case_map.is_blank else peak_yx(case_map.evidence_HW)
    return {
        "method": case_map.method,
        "npz": f"{stem}.npz",
        "overlay": f"{stem}.png",
        "is_blank": case_map.is_blank,
        "max_abs": float(np.abs(case_map.map_HW).max()),
        "peak_yx": None if peak is None else [float(v) for v in peak],
        "pointing_hit": case_map.hit(),
        "mass_in_mask": case_map.mass(),
        **({} if case_map.against is None else {"against": case_map.against}),
    }
