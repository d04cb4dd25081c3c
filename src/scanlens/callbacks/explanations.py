"""Heat maps as files: a few validation cases while training goes on, chosen test cases at its end.

Legend: B images, C channels, H rows, W columns, h and w cells of a layer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import nn

from scanlens.callbacks.case_choice import random_order
from scanlens.callbacks.case_maps import CaseMap, ReadImage, explain_cases, write_case_map
from scanlens.callbacks.case_verdicts import VerdictWriter
from scanlens.callbacks.predictions import case_name, index_of
from scanlens.callbacks.slice_profiles import slice_profile
from scanlens.evaluation.pointing import localization_summary
from scanlens.explain.base import Explainer
from scanlens.explain.filters import feature_maps, first_filters
from scanlens.files import read_csv, write_json
from scanlens.report.pictures import display_scale, feature_maps_png, filters_png, scan_png
from scanlens.report.profiles import profile_png

log = logging.getLogger(__name__)

Prediction = Mapping[str, str]
Chosen = Sequence[tuple[Prediction, str]]


class TrainingExplanations(pl.Callback):
    """Every few epochs, the same validation cases, so that one sees the network's attention move.

    Args:
        folder: receives `epoch-0004/<case>_<method>.png` and `.npz`.
        explainer: the method.
        indices: the images.
        targets: the class number to explain of each, or None for networks without classes.
        read: gives image and mask of an index.
        every_n_epochs: 0 switches it off.
        max_share: largest share of the training time this may take; when it takes more, epochs are left out.
    """

    def __init__(
        self,
        folder: Path,
        *,
        explainer: Explainer,
        indices: Sequence[int],
        targets: Sequence[int] | None,
        read: ReadImage,
        every_n_epochs: int,
        max_share: float = 0.05,
    ) -> None:
        self.folder, self.explainer, self.read = folder, explainer, read
        self.indices, self.targets = list(indices), None if targets is None else list(targets)
        self.every_n_epochs, self.max_share = every_n_epochs, max_share
        self.spent_s = 0.0
        self.started = time.perf_counter()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._is_due(trainer):
            return
        began = time.perf_counter()
        cases = [case_name("val", index) for index in self.indices]
        maps = explain_cases(
            self.explainer, pl_module.get_submodule("network"), self.indices, cases, self.targets, self.read
        )
        folder = self.folder / f"epoch-{trainer.current_epoch:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        scale = display_scale([m.map_HW for m in maps])
        for case_map in maps:
            write_case_map(folder, case_map, scale=scale)
        self.spent_s += time.perf_counter() - began

    def _is_due(self, trainer: pl.Trainer) -> bool:
        if self.every_n_epochs < 1 or trainer.sanity_checking or not trainer.is_global_zero or not self.indices:
            return False
        if trainer.current_epoch % self.every_n_epochs:
            return False
        return self.spent_s <= self.max_share * (time.perf_counter() - self.started) or self.spent_s == 0.0


class ExplanationWriter(pl.Callback):
    """After prediction: maps of chosen test cases, where the peaks lie, filters and feature maps.

    Args:
        folder: receives the files that `docs/architecture.md` lists under `explanations/`.
        explainers: the methods, the one to be believed first.
        choose: picks cases, with a reason each, from the rows of the predictions.
        predictions: path of `predictions/test.csv`.
        group_of: what an image may not be divided from, by its index; counts where patients are unknown.
        class_names: in the order of the logits; None for networks without classes.
        read: gives image and mask of an index.
        place_of: volume, and slice in it, of the images that are slices, by index.
        note: a sentence about what was explained.
        seed: of the draw of images for the pointing game, and of its resamples.
        max_localized: pointing game on at most so many rightly named test images that have a mask, drawn at random.
        verdicts: tests every map and writes its verdict; None for none, as of networks without classes.
        register: gives the methods with their maps moved, once the validation images have been predicted; None to leave
            them where they are.
    """

    def __init__(
        self,
        folder: Path,
        *,
        explainers: Sequence[Explainer],
        choose: Callable[[Sequence[Prediction]], Chosen],
        predictions: Path,
        group_of: Mapping[int, str],
        class_names: Sequence[str] | None,
        read: ReadImage,
        place_of: Mapping[int, tuple[str, int]],
        note: str,
        seed: int,
        max_localized: int = 200,
        verdicts: VerdictWriter | None = None,
        register: Callable[[], list[Explainer]] | None = None,
    ) -> None:
        self.folder, self.explainers, self.choose, self.predictions = folder, list(explainers), choose, predictions
        self.group_of = dict(group_of)
        self.class_names = None if class_names is None else list(class_names)
        self.place_of = dict(place_of)
        self.read, self.note, self.seed, self.max_localized = read, note, seed, max_localized
        self.verdicts = verdicts
        self.register = register

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        rows = read_csv(self.predictions)
        self.folder.mkdir(parents=True, exist_ok=True)
        network = pl_module.get_submodule("network")
        chosen = self.choose(rows)
        if self.register is not None:
            self.explainers = self.register()
        log.info("explaining %d cases with %s", len(chosen), ", ".join(e.name for e in self.explainers) or "nothing")
        maps = {e.name: self._maps(e, network, [p for p, _ in chosen]) for e in self.explainers}
        scales = {name: display_scale([m.map_HW for m in found]) for name, found in maps.items()}
        profiles = [slice_profile(p, rows, self.place_of) for p, _ in chosen]
        cases = [self._write_case(p, reason, i, maps, scales, profiles[i]) for i, (p, reason) in enumerate(chosen)]
        index = self._index(cases, maps, scales)
        if self.verdicts is not None and chosen and maps:
            index |= self._judge(self.verdicts, network, [p for p, _ in chosen], maps, cases)
        write_json(self.folder / "cases.json", index)
        write_json(self.folder / "localization.json", self._localization(network, rows))
        if chosen:
            self._write_filters(network, index_of(chosen[0][0]))

    def _judge(
        self,
        verdicts: VerdictWriter,
        network: nn.Module,
        predictions: Sequence[Prediction],
        maps: Mapping[str, list[CaseMap]],
        cases: Sequence[dict[str, Any]],
    ) -> dict[str, Any]:
        """Put the verdict of every map beside it; what is said of all of them is returned."""
        log.info("testing the maps of %d cases: does the answer depend on what they highlight", len(cases))
        targets, places = self._targets(predictions), [index_of(p) for p in predictions]
        given = verdicts.write(self.folder, network, self.explainers, maps, targets, places)
        for i, case in enumerate(cases):
            for entry in case["maps"]:
                entry["verdict"] = given[entry["method"]][i]
        return {"verdict": verdicts.about(self.folder, given)}

    def _targets(self, predictions: Sequence[Prediction]) -> list[int]:
        names = self.class_names or []
        return [names.index(p["predicted"]) for p in predictions]

    def _maps(self, explainer: Explainer, network: nn.Module, predictions: Sequence[Prediction]) -> list[CaseMap]:
        targets = None if self.class_names is None else self._targets(predictions)
        indices = [index_of(p) for p in predictions]
        return explain_cases(explainer, network, indices, [p["case"] for p in predictions], targets, self.read)

    def _write_case(
        self,
        prediction: Prediction,
        reason: str,
        i: int,
        maps: Mapping[str, list[CaseMap]],
        scales: Mapping[str, float],
        profile: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        case = prediction["case"]
        image, mask_HW = self.read(index_of(prediction))
        array = image.numpy()
        scan_png(array[0] if len(array) == 1 else np.moveaxis(array, 0, -1), self.folder / f"{case}_scan.png")
        if profile is not None:
            profile_png(profile, self.folder / f"{case}_profile.png")
        written = [write_case_map(self.folder, found[i], scale=scales[name]) for name, found in maps.items()]
        return {
            "case": case,
            "split": case.partition("-")[0],
            "reason": reason,
            "target": prediction["target"],
            "predicted": prediction.get("predicted"),
            "explained": prediction.get("predicted"),
            "probabilities": {k[5:]: float(v) for k, v in prediction.items() if k.startswith("prob_")},
            "scan": f"{case}_scan.png",
            "maps": written,
            "profile": profile,
            "mask_area_share": float(mask_HW.mean()) if mask_HW is not None and mask_HW.any() else None,
        }

    def _index(
        self, cases: list[dict[str, Any]], maps: Mapping[str, list[CaseMap]], scales: Mapping[str, float]
    ) -> dict[str, Any]:
        methods = [
            {
                "name": e.name,
                "title": e.title,
                "legend": e.legend,
                "unit": e.unit,
                "scale": scales[e.name],
                **(maps[e.name][0].grid.as_dict() if maps[e.name] else {}),
            }
            for e in self.explainers
        ]
        blank = sum(m["is_blank"] for case in cases for m in case["maps"])
        return {"schema_version": 1, "methods": methods, "cases": cases, "blank_maps": blank, "note": self.note}

    def _localization(self, network: nn.Module, rows: Sequence[Prediction]) -> dict[str, Any] | None:
        """Where peaks lie on right answers that have a mask; None if there are none."""
        masked = [p for p in rows if (mask := self.read(index_of(p))[1]) is not None and mask.any()]
        right = [p for p in masked if p.get("predicted", p["target"]) == p["target"]]
        drawn = sorted(right, key=random_order(self.seed))[: self.max_localized]
        if not drawn:
            return None
        left_out = {"num_wrong": len(masked) - len(right), "num_not_drawn": len(right) - len(drawn)}
        return {e.name: self._summary(self._maps(e, network, drawn), drawn) | left_out for e in self.explainers}

    def _summary(self, maps: list[CaseMap], predictions: Sequence[Prediction]) -> dict[str, Any]:
        reached = [(m, p) for m, p in zip(maps, predictions, strict=True) if m.has_lesion]
        summary = localization_summary(
            [m.hit() or 0.0 for m, _ in reached],
            [m.lesion_share for m, _ in reached],
            patients=[p["patient"] or None for _, p in reached],
            groups=[self.group_of.get(index_of(p)) for _, p in reached],
            num_blank=sum(m.is_blank for m, _ in reached),
            seed=self.seed,
        )
        return summary | {"num_not_covered": len(maps) - len(reached)}

    def _write_filters(self, network: nn.Module, index: int) -> None:
        first = getattr(network, "first_conv", None)
        if first is None:
            return
        name = next(name for name, module in network.named_modules() if module is first)
        image, _ = self.read(index)
        x_1CHW = image.unsqueeze(0).to(next(network.parameters()).device)
        filters_png(first_filters(network), self.folder / "filters.png")
        feature_maps_png(feature_maps(network, x_1CHW, name), self.folder / "feature_maps.png")
