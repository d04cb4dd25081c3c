"""The sheet of one case as a page: made from its record and the arrays that it names, and nothing else.

It holds its pictures and asks for nothing. Scripts only add a slider that fades the filled map in, keys that turn the pages, and a
form that offers what a reader answers as a download; without them, and on paper, it is complete. Equal records give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.report.case_sheet import answer_words, beside_words, map_words, phrases, picture_words
from scanlens.report.case_sheet.arrays import read_map
from scanlens.report.case_sheet.evidence import WITHHELD
from scanlens.report.case_sheet.figures import alone, layers
from scanlens.report.case_sheet.grounds import Ground, edges_in_words, network_ground, original_ground
from scanlens.report.cases import picture
from scanlens.report.charts import color_bar
from scanlens.report.decision_words import decision_sentences
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.html import rendered
from scanlens.report.words import NOT_ASSESSED, number, significant, whole, without_paths

Record = dict[str, Any]
_UNKNOWN = "unknown"
TALL = 1.3  # height over width from which pictures get less of the width, so that a sheet keeps to two pages
_SAME = 0.95  # correlation from which two maps show one thing
_CHOSEN = {"worst miss": "most probable wrong answer", "best hit": "most probable right answer"}
STYLES, SCRIPTS = ("style.css", "case.css"), ("case.js", "reader.js")


def case_page(record: Record, run: RunFolder, *, previous: str | None = None, following: str | None = None) -> str:
    """The sheet as text.

    Args:
        record: see `record.case_records`.
        run: the run that it is of, for the arrays and what the threshold means.
        previous, following: names of the cases before and after it; None where there is none, or no page is turned.
    """
    folder = run.path / "explanations"
    original, seen = original_ground(folder, record["image"]), _seen_ground(folder, record)
    ground = original or seen
    maps = [_map(folder, one, ground, place) for place, one in enumerate(record["maps"])]
    return rendered(
        "case.html.j2",
        styles=STYLES,
        scripts=SCRIPTS,
        record=record,
        is_calibrated=record["answer"]["is_calibrated"],
        title=f"Case {record['case']}",
        answer=answer_words.answer_sentences(record),
        calls=answer_words.call_sentences(record),
        uncertainty=answer_words.uncertainty_sentences(record),
        miss=" ".join(answer_words.miss_sentences(record)),
        quality=beside_words.quality_sentences(record),
        checks=[_check(one) for one in record["quality"]["checks"]],
        classes=[_class(row) for row in record["answer"]["classes"]],
        first=maps[0] if maps else None,
        others=maps[1:],
        rival=_rival(folder, record, ground),
        shown=None if ground is None else alone(ground, name="shown"),
        is_tall=ground is not None and ground.height > TALL * ground.width,
        has_original=original is not None,
        about_seen=picture_words.seen_sentence(record["image"]),
        about_picture=picture_words.picture_sentences(record["image"]),
        seen=_seen(folder, record, maps, seen),
        threshold=_threshold(record, run),
        chosen=_CHOSEN.get(str(record["answer"]["selected_as"]), str(record["answer"]["selected_as"] or "")),
        similar_note=beside_words.similar_sentence(record),
        neighbors=_neighbors(folder, record),
        limits=beside_words.known_limits(record),
        identity=_identity(record),
        previous=previous,
        following=following,
    )


def _threshold(record: Record, run: RunFolder) -> list[str]:
    told = decision_sentences(mapping(run.evaluation.get("decisions")))[:3]
    return [
        one
        for one in (answer_words.threshold_sentence(record), *told, *answer_words.prevalence_sentences(record))
        if one
    ]


def _seen_ground(folder: Path, record: Record) -> Ground | None:
    arrays = (read_map(folder, one.get("npz")) for one in record["maps"])
    return next((network_ground(one, record["image"]) for one in arrays if one is not None), None)


def _map(folder: Path, entry: dict[str, Any], ground: Ground | None, place: int) -> dict[str, Any]:
    verdict = mapping(entry["verdict"])
    is_withheld = verdict.get("level") == WITHHELD
    word = str(verdict.get("level") or NOT_ASSESSED)
    scale = finite(entry.get("scale"))
    is_drawn = ground is not None and not is_withheld and not entry["is_blank"]
    return {
        "title": str(entry["title"]),
        "explained": str(entry["explained"] or ""),
        "legend": str(entry["legend"] or ""),
        "layer": str(entry["layer"] or ""),
        "note": without_paths(entry["placement_note"] or ""),
        "is_withheld": is_withheld,
        "word": word,
        "css": word.lower().replace(" ", "-"),
        "reasons": _plain(verdict.get("reasons")) or [f"The map was not tested: {NOT_ASSESSED}."],
        "against": _plain(verdict.get("against")),
        "also": _plain(verdict.get("also")),
        "layers": _layers(folder, entry, ground, f"map{place}") if is_drawn else None,
        "outlined": map_words.outline_sentences(entry),
        "bar": None
        if scale is None or is_withheld
        else Markup(color_bar(scale=scale, unit=str(entry["unit"] or "no unit"))),
        "said": [] if is_withheld else map_words.map_sentences(entry),
        "resolution": [] if is_withheld else map_words.resolution_sentences(entry),
    }


def _layers(folder: Path, entry: dict[str, Any], ground: Ground | None, name: str) -> dict[str, Any] | None:
    """None where the arrays of the map are not there."""
    arrays = read_map(folder, entry.get("npz"))
    return None if arrays is None or ground is None else layers(arrays, ground, entry, name=name)


def _plain(sentences: object) -> list[str]:
    return [phrases.without_commands(one) for one in sequence(sentences)]


def _seen(folder: Path, record: Record, maps: list[dict[str, Any]], ground: Ground | None) -> dict[str, Any] | None:
    """The network's input, alone and with the filled map of the first method; None where the run has neither."""
    if ground is None:
        scan = picture(folder, record["scan"])
        return None if scan is None else {"alone": {"scan": scan, "bar": ""}, "filled": None}
    drawn = _layers(folder, record["maps"][0], ground, "seen") if maps and maps[0]["layers"] else None
    return {"alone": {"scan": ground.whole, "bar": ""}, "filled": drawn}


def _rival(folder: Path, record: Record, ground: Ground | None) -> dict[str, Any]:
    """The map of the answer against the second most probable class, unless the map of the answer is withheld."""
    found = record["runner_up_map"]
    withheld = bool(record["maps"]) and mapping(record["maps"][0]["verdict"]).get("level") == WITHHELD
    if withheld:
        return {"class": found["class"], "layers": None, "said": "Withheld with the map of the answer."}
    drawn = _layers(folder, found, ground, "rival")
    if drawn is None:
        reason = without_paths(str(found["reason"] or "").rstrip("."))
        return {"class": found["class"], "layers": None, "said": f"{NOT_ASSESSED}{', ' + reason if reason else ''}."}
    if (finite(found.get("correlation")) or 0.0) > _SAME:
        said = f"Hardly another map than that of the answer (correlation {number(found['correlation'], 2)}): nearly all that competes is '{found['class']}'."
        return {"class": found["class"], "layers": None, "said": said}
    said = f"What speaks for '{record['answer']['predicted']}' and against '{found['class']}' (yellow), and the reverse (dashed blue)."
    if finite(found.get("log_odds")) is not None:
        said += f" The log-odds between the two are {number(found['log_odds'], 2)}."
    return {"class": found["class"], "layers": drawn, "said": said}


def _class(row: dict[str, Any]) -> dict[str, Any]:
    shown = row["calibrated"] if row["calibrated"] is not None else row["stated"]
    return {
        "name": row["class"],
        "stated": number(row["stated"], 2),
        "calibrated": number(row["calibrated"], 2),
        "width": f"{100 * min(1.0, max(0.0, shown or 0.0)):.1f}",
    }


def _check(one: dict[str, Any]) -> dict[str, Any]:
    inside = {True: "usual", False: "unusual"}.get(one["is_inside"], NOT_ASSESSED)
    low, high = finite(one["low"]), finite(one["high"])
    usual = NOT_ASSESSED if low is None or high is None else f"{significant(low)} to {significant(high)}"
    unit = f" ({one['unit']})" if one["unit"] else ""
    return {
        "name": f"{one['name']}{unit}",
        "is_usual": one["is_inside"] is not False,
        "value": significant(one["value"]),
        "usual": usual,
        "said": inside,
    }


def _neighbors(folder: Path, record: Record) -> list[dict[str, Any]]:
    found = []
    for kind, head in (("same", "labeled as answered"), ("other", "labeled otherwise")):
        for one in record["similar"][kind]:
            said = f"called {one['predicted']}" if one["predicted"] else ""
            said += f" with {number(one['probability'], 2)}" if one["probability"] is not None else ""
            near = {True: "", False: "not close"}.get(one["is_close"], "")
            apart = "" if one["percentile"] is None else f"distance: percentile {number(one['percentile'], 1)}"
            found.append(
                {
                    "case": str(one["case"] or ""),
                    "label": str(one["label"] or NOT_ASSESSED),
                    "kind": head,
                    "said": ", ".join(part for part in (said, apart, near) if part),
                    "picture": picture(folder, one["picture"]),
                }
            )
    return found


def _identity(record: Record) -> list[tuple[str, str]]:
    """Names and values for the last lines of the sheet."""
    image, model = record["image"], record["model"]
    packages = ", ".join(f"{name} {version}" for name, version in sorted(model["packages"].items()))
    code = (
        f"{str(model['commit'])[:12]}{' with local changes' if model['has_local_changes'] else ''}"
        if model["commit"]
        else None
    )
    rows = [
        ("Patient", image["pseudonym"]),
        ("Picture", f"SHA-256 {image['pixels_sha256']}" if image["pixels_sha256"] else None),
        ("Modality", image["modality"]),
        ("Size", _size(image["native_size_px"])),
        ("Pixel", _spacing(image)),
        ("As the network got it", _size(image["network_size_px"])),
        ("Sides of the picture", edges_in_words(image["sides"])),
        (
            "Network",
            f"{model['name']}, {whole(model['parameters'])} parameters, run {model['run']}, seed {whole(model['seed'])}",
        ),
        ("Weights", f"SHA-256 {model['weights_sha256']}" if model["weights_sha256"] else None),
        ("Configuration", f"SHA-256 {model['config_sha256']}" if model["config_sha256"] else None),
        ("Code", code),
        ("Trained", model["trained"]),
        ("Software", f"scanlens {model['written_by']}, {packages}"),
    ]
    return [(name, _UNKNOWN if value is None else str(value)) for name, value in rows]


def _spacing(image: dict[str, Any]) -> str | None:
    spacing = image["spacing_mm"]
    if not spacing:
        return None
    return f"{significant(spacing[0])} × {significant(spacing[1])} mm" + (
        " (taken as square)" if image["is_spacing_assumed_square"] else ""
    )


def _size(sides: list[float] | None) -> str | None:
    return None if sides is None else f"{whole(sides[0])} × {whole(sides[1])} pixels"
