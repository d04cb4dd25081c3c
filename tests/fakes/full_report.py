"""What `run_folder` leaves out: verdicts, calls, what stands beside a case, an audit. Free text is plain, or planted by a test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from fakes.run_folder import write_json
from scanlens.files import read_csv, write_csv
from scanlens.report.stamps import LEVELS

Say = Callable[[str], str]


def metric(value: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    """A number with its interval, as evaluation.json holds it."""
    return {"value": value, "low": low, "high": high, "reason": None}


def fill_run_folder(folder: Path, say: Say = lambda what: f"Said of {what}.") -> Path:
    """Add to a folder of `write_run_folder` all that a report shows, and return it.

    Args:
        folder: of a classification.
        say: the text of each place that holds free text, by what the place is.
    """
    _verdicts(folder / "explanations" / "cases.json", say)
    cases = [one["case"] for one in _read(folder / "explanations" / "cases.json")["cases"]]
    write_json(folder / "explanations" / "calls.json", _calls(cases))
    write_json(folder / "explanations" / "context.json", _context(folder, cases, say))
    write_json(folder / "audit.json", _audit(say))
    evaluation = _read(folder / "evaluation.json")
    write_json(folder / "evaluation.json", evaluation | {"decisions": _decisions(say), "subgroups": _subgroups(say)})
    write_csv(folder / "quarantine.csv", ["id", "reason"], [{"id": "a/b.png", "reason": say("a file left out")}])
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    config["run_id"], config["data"]["name"] = say("the run id"), say("the name of the data")
    facts = config["facts"]
    facts |= {"source_about": say("the source"), "warnings": [say("a warning")], "chosen": [say("a choice")]}
    facts["model_summary"]["name"] = say("the network")
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    provenance = _read(folder / "provenance.json")
    write_json(folder / "provenance.json", provenance | {"command": say("the command"), "warnings": [say("a warning")]})
    return folder


def rename_classes(folder: Path, names: Mapping[str, str]) -> None:
    """Put other class names everywhere in a run folder: as values, keys, columns."""
    for path in folder.rglob("*.json"):
        write_json(path, _renamed(_read(path), names))
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    (folder / "config.yaml").write_text(yaml.safe_dump(_renamed(config, names), sort_keys=False), encoding="utf-8")
    columns = {f"prob_{old}": f"prob_{new}" for old, new in names.items()}
    for path in folder.rglob("*.csv"):
        rows = [{columns.get(key, key): names.get(cell, cell) for key, cell in row.items()} for row in read_csv(path)]
        write_csv(path, list(rows[0]), rows)


def cells(path: Path) -> list[str]:
    """Every cell of a table as it is in the file, headings too."""
    import csv

    with path.open(newline="", encoding="utf-8") as file:
        return [cell for row in csv.reader(file) for cell in row]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _verdicts(path: Path, say: Say) -> None:
    """One of each kind in turn, and none for the last case."""
    known = _read(path)
    for place, case in enumerate(known["cases"][:-1]):
        for shift, entry in enumerate(case["maps"]):
            level = LEVELS[(place + shift) % len(LEVELS)]
            region = {"p_value": 0.04, "drop": 1.25, "margin": 2.5, "num_as_large": 0, "num_regions": 24}
            entry["verdict"] = {
                "level": level,
                "reasons": [say(f"a reason for {level}")],
                "against": [say("what speaks against")],
                "also": [say("what was also asked")],
                "measured": {"region": region, "quality": {"status": "good", "faults": []}},
            }
    for method in known["methods"]:
        method |= {"title": f"{method['title']} {say('a title')}", "legend": say("a legend"), "unit": say("a unit")}
        method["placement_note"] = say("a note on the place")
    known["verdict"] = {
        "share": 0.02,
        "num_regions": 24,
        "removal": "blur_noise",
        "alpha": 0.05,
        "weak_alpha": 0.2,
        "meanings": {level: say(f"the meaning of {level}") for level in LEVELS},
        "sanity": {"status": "not assessed", "reason": say("the sanity of maps")},
    }
    write_json(path, known | {"note": say("a note on the cases")})


def _calls(cases: list[str]) -> dict[str, Any]:
    similar = metric(0.5, 0.2, 0.8) | {"num": 12, "num_positive": 6, "num_patients": 5}
    similar |= {"lowest": 0.2, "highest": 0.4, "is_near": True}
    calls = {
        case: {
            "pseudonym": f"{place:012x}",
            "calibrated": {"glioma": 0.4, "meningioma": 0.3, "pituitary": 0.2, "no_tumor": 0.1},
            "score": 0.3 + 0.05 * place,
            "called": "positive" if place % 2 else "negative",
            "set": ["glioma", "meningioma"],
            "refer": bool(place % 2),
            "patient": None,
            "similar_scores": similar,
            "as_sure": similar,
        }
        for place, case in enumerate(cases)
    }
    head = {"schema_version": 1, "positive": "tumor", "members": ["glioma", "meningioma", "pituitary"], "unit": "image"}
    return head | {"threshold": 0.43, "is_calibrated": True, "reasons": {}, "cases": calls}


def _context(folder: Path, cases: list[str], say: Say) -> dict[str, Any]:
    check = {"name": say("a check"), "value": 3.5, "low": 1.0, "high": 3.0, "is_inside": False, "percentile": 99.5}
    neighbor = {"case": "train-00001", "label": "glioma", "predicted": "meningioma", "probability": 0.8}
    neighbor |= {"distance": 1.5, "percentile": 40.0, "is_close": True, "picture": f"{cases[0]}_scan.png"}
    other = neighbor | {"label": say("a label of a neighbor"), "is_close": False, "case": say("a neighbor")}
    found = {}
    for place, case in enumerate(cases):
        quality = {"status": ("good", "odd", "bad")[place % 3], "reasons": [say("the quality")], "checks": [check]}
        native = {"pixels_sha256": "0123456789ab", "modality": say("the modality"), "size_px": [192, 192]}
        native |= {"spacing_mm": [0.5, 0.5], "mm_per_px": [1.0, 1.0]}
        runner_up = {"class": "meningioma", "probability": 0.3, "log_odds": 0.7, "npz": f"{case}_hires_cam.npz"}
        if place % 2:
            runner_up = {"class": "meningioma", "reason": say("why there is no second map")}
        similar = {"same": [neighbor] * 3, "other": [other] * 3, "num_searched": 920, "reason": None}
        found[case] = {"quality": quality, "native": native, "runner_up": runner_up, "similar": similar}
    return {"schema_version": 1, "cases": found}


def _decisions(say: Say) -> dict[str, Any]:
    rates = {"true_positives": 54, "false_negatives": 6, "false_positives": 4, "true_negatives": 32}
    rates |= {"sensitivity": metric(0.9, 0.8, 0.95), "specificity": metric(0.89, 0.75, 0.96)}  # type: ignore[dict-item]
    rates |= {"ppv": metric(0.93), "npv": metric(0.84), "accuracy": metric(0.9)}  # type: ignore[dict-item]
    thousand = {"total": 1000, "prevalence": 0.1, "source": "stated", "ill": 100, "healthy": 900}
    thousand |= {"found": metric(90, 80, 95), "missed": metric(10, 5, 20)}  # type: ignore[dict-item]
    thousand |= {"false_alarms": metric(99, 36, 225), "reassured": metric(801, 675, 864)}  # type: ignore[dict-item]
    rule = {"rule": {"name": "sensitivity", "target": 0.95}, "threshold": 0.43, "reason": None, "test": rates}
    return {
        "positive": "tumor",
        "members": ["glioma", "meningioma", "pituitary"],
        "unit": "image",
        "chosen": rule | {"notes": [say("a note on the threshold")]},
        "compared": [],
        "per_thousand": thousand,
    }


def _subgroups(say: Say) -> dict[str, Any]:
    groups = [
        {
            "name": name,
            "num_images": 48,
            "num_patients": 12,
            "is_small": False,
            "metrics": {"auroc": metric(0.9, 0.8, 1)},
        }
        for name in ("site A", say("a group"))
    ]
    return {say("a column of the table"): {"metric": "auroc", "groups": groups, "gap": None}}


def _audit(say: Say) -> dict[str, Any]:
    member = {"index": 3, "target": "glioma", "split": "test", "given": None}
    listed = {"num": 1, "listed": [member | {"score": 0.5, "picture": "x.png"}]}
    group = {"kind": "copy", "group": 0, "num": 2, "crosses": True, "members": [member], "picture": "x.png"}
    rows = [
        {
            "name": say("a shortcut"),
            "auroc": 0.97,
            "low": 0.9,
            "high": 1.0,
            "verdict": "warning",
            "meaning": say("look"),
        },
        {"name": "border", "auroc": 0.5, "low": 0.4, "high": 0.6, "verdict": None, "reason": say("a reason")},
    ]
    return {
        "schema_version": 1,
        "name": say("the data"),
        "num_images": 96,
        "num_quarantined": 1,
        "num_patients": 24,
        "overrides": [say("an override")],
        "duplicates": {
            "copies": {"num_groups": 1, "num_images": 2, "largest": 2},
            "near": None,
            "leaks": {"final": [{"kind": "copy", "earlier": "train", "later": "test", "num_images": 1, "of": 4}]},
            "patients_who_share": {"copies": 0, "near": None},
            "num_groups": 1,
            "groups": [group],
        },
        "hidden_patients": {"num_chains": 1, "num_divided": 1, "sentence": say("chains"), "listed": []},
        "shortcuts": rows,
        "label_columns": [say("a column that gives the label away")],
        "conflicts": {"num_exact": 0, "num_near": 0, "num_images": 0},
        "doubtful": {"num": 1, "reason": None, "listed": [member | {"words": say("a doubt"), "picture": "x.png"}]},
        "odd": {"outliers": listed, "blank": {"num": 0, "listed": []}},
        "classes": {
            "heads": ["Class", "train"],
            "rows": [["glioma", "320"], [say("a class"), "12"]],
            "images_per_patient": [4, 4, 4],
            "num_mixed_patients": 0,
            "thin": [],
            "unit": "patient",
        },
    }
