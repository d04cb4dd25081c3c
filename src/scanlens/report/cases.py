"""The explained cases as the page shows them: pictures re-encoded and inlined, measured words, misses first."""

from __future__ import annotations

import base64
import io
import re
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image, UnidentifiedImageError, features

from scanlens.errors import RunError
from scanlens.report.charts import color_bar
from scanlens.report.folder import RunFolder, finite, mapping, method_title, sequence
from scanlens.report.pictures import enlargement
from scanlens.report.profiles import profile_svg
from scanlens.report.stamps import stamp
from scanlens.report.words import NOT_ASSESSED, number, percent, significant, without_paths

_CASE = re.compile(r"(train|val|test)-\d{1,9}")
_PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.png")
_ORDER = ("worst miss", "highest score", "best hit", "lowest score", "per class", "random")
MAX_SIDE = 4096
SHOWN_SIDE = 512


def explained_cases(run: RunFolder, *, max_cases: int) -> list[dict[str, Any]]:
    """The cases to show, misses first, each with its pictures and the words under them."""
    return [_case(run, one, place) for place, one in enumerate(ordered_cases(run)[:max_cases], start=1)]


def ordered_cases(run: RunFolder) -> list[dict[str, Any]]:
    """What cases.json says of each case with a name of the right form, misses first, then by why it was chosen."""
    known = [one for one in sequence(mapping(run.explanations).get("cases")) if isinstance(one, dict)]
    return sorted(known, key=lambda one: (_is_right(one) is not False, _rank(one)))


def methods(run: RunFolder) -> list[dict[str, str]]:
    """Title, legend, layer, what a cell is, and color bar of each method."""
    ends = ("against", "for") if run.is_classification else ("negative", "positive")
    found = []
    for one in sequence(mapping(run.explanations).get("methods")):
        method = mapping(one)
        scale = finite(method.get("scale"))
        unit = str(method.get("unit") or "no unit")
        bar = color_bar(scale=scale, unit=unit, ends=ends) if scale is not None else ""
        legend = str(method.get("legend") or "")
        title = method_title(run, str(method.get("name") or ""))
        found.append({"title": title, "legend": legend, "where": _grid_in_words(run, method), "unit": unit, "bar": bar})
    return found


def _grid_in_words(run: RunFolder, method: dict[str, Any]) -> str:
    """Which layer, what one cell of it stands for and sees, and whether its place is only roughly known."""
    layer, cell, sees = str(method.get("layer") or ""), _pair(method.get("cell_px")), _pair(method.get("sees_px"))
    if not layer or cell is None:
        return f"Layer {layer}." if layer else ""
    stands = f"One cell stands for {_sides(cell)} pixels"
    size = finite(run.facts.get("input_size"))
    if sees is not None and sees != cell:
        stands += f" and sees {'the whole picture' if size is not None and min(sees) >= size else _sides(sees)}"
    note = without_paths(method.get("placement_note") or "")
    where = "On the pixels of the picture." if layer == "input" else f"Layer {layer}."
    return f"{where} {stands}. {note}".strip()


def _pair(value: object) -> tuple[float, float] | None:
    rows, columns = (finite(side) for side in value) if isinstance(value, list) and len(value) == 2 else (None, None)
    return None if rows is None or columns is None else (rows, columns)


def _sides(pair: tuple[float, float]) -> str:
    return " × ".join(significant(side) for side in pair)


def picture(folder: Path, name: object) -> str | None:
    """A picture of the run folder as a data URI, re-encoded from its pixels; None if there is none.

    Raises:
        RunError: as `picture_pixels`.
    """
    pixels = picture_pixels(folder, name)
    if pixels is None:
        return None
    pixels.thumbnail((SHOWN_SIDE * 2, SHOWN_SIDE * 2))
    return data_uri(pixels)


def picture_pixels(folder: Path, name: object) -> Image.Image | None:
    """The pixels of a picture of the run folder; None if there is none.

    Only plain PNG names inside `folder` are opened.

    Raises:
        RunError: if the file is there but is no PNG of a sensible size.
    """
    if not isinstance(name, str) or not _PICTURE.fullmatch(name) or not (folder / name).is_file():
        return None
    try:
        with Image.open(folder / name, formats=["PNG"]) as image:
            if max(image.size) > MAX_SIDE:
                raise RunError(
                    f"{folder / name}: expected at most {MAX_SIDE} pixels a side, got {image.size}. Remove the file."
                )
            return image.convert("RGBA" if image.mode in ("RGBA", "LA", "PA") else "L" if image.mode == "L" else "RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RunError(f"{folder / name} cannot be read as a PNG. Remove it, or explain the run again.") from error


def resolution(run: RunFolder) -> str:
    """What the network saw, such as "96 × 96 pixels, enlarged 4 times (bicubic)"; empty if unknown."""
    size = run.facts.get("input_size")
    sides = [finite(side) for side in size] if isinstance(size, list) else [finite(size)] * 2
    if len(sides) != 2 or sides[0] is None or sides[1] is None:
        return ""
    height, width = round(sides[0]), round(sides[1])
    factor = enlargement(width) if width > 0 else 1
    return f"{height} × {width} pixels" + (f", enlarged {factor} times (bicubic)" if factor > 1 else "")


def data_uri(pixels: Image.Image, *, is_preview: bool = False) -> str:
    """WebP where this Pillow has it, without loss but for colors and previews, else PNG; no metadata either way."""
    buffer = io.BytesIO()
    kind = "webp" if _has_webp() else "png"
    clean = Image.frombytes(pixels.mode, pixels.size, pixels.tobytes())
    is_exact = (
        clean.mode != "RGB" and not is_preview
    )  # gray scans and mosaics; colored pictures are slightly compressed
    if kind == "webp":
        clean.save(
            buffer, format="WEBP", lossless=is_exact, quality=50 if is_exact else 80 if is_preview else 92, method=2
        )
    else:
        clean.save(buffer, format="PNG", optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


@cache
def _has_webp() -> bool:
    return bool(features.check("webp"))


def _case(run: RunFolder, one: dict[str, Any], place: int) -> dict[str, Any]:
    folder = run.path / "explanations"
    given = str(one.get("case") or "")
    name = given if _CASE.fullmatch(given) else f"case {place}"
    is_right = _is_right(one)
    share = finite(one.get("mask_area_share"))
    maps = [_map(run, mapping(entry), share) for entry in sequence(one.get("maps"))]
    return {
        "name": name,
        "reason": str(one.get("reason") or ""),
        "verdict": {True: "right", False: "wrong", None: ""}[is_right],
        "target": str(one.get("target") or "unknown"),
        "predicted": str(one.get("predicted") or NOT_ASSESSED),
        "explained": str(one.get("explained") or ""),
        "probabilities": _probabilities(run, one),
        "profile": Markup(svg) if (svg := profile_svg(mapping(one.get("profile")), name=f"profile-{place}")) else None,
        "scan": picture(folder, one.get("scan")),
        "resolution": resolution(run),
        "maps": maps,
        "stamp": maps[0]["stamp"] if maps else None,
        "tested": _tested(folder, maps),
        "lesion": f"The marked lesion takes {percent(share, 1)} of the picture." if share is not None else "",
    }


def _tested(folder: Path, maps: list[dict[str, Any]]) -> dict[str, str] | None:
    """The scan with the tested region of the first map outlined, and the scan without it; None where a picture is missing."""
    given = maps[0]["stamp"] if maps else None
    if given is None or given["is_hidden"]:
        return None
    region, removed = (picture(folder, given[name]) for name in ("region", "removed"))
    return {"region": region, "removed": removed} if region and removed else None


def _map(run: RunFolder, entry: dict[str, Any], share: float | None) -> dict[str, Any]:
    is_blank = bool(entry.get("is_blank"))
    meanings = mapping(mapping(mapping(run.explanations).get("verdict")).get("meanings"))
    given = stamp(mapping(entry.get("verdict")), meanings)
    is_hidden = given is not None and given["is_hidden"]
    return {
        "method": method_title(run, str(entry.get("method") or "")),
        "stamp": given,
        "picture": None if is_hidden else picture(run.path / "explanations", entry.get("overlay")),
        "is_blank": is_blank,
        "said": _rival_in_words(run, entry) + _peak_in_words(entry, is_blank, share),
        "strongest": "" if is_blank else significant(entry.get("max_abs")),
    }


def _rival_in_words(run: RunFolder, entry: dict[str, Any]) -> str:
    """Which class the explained one was set against, where it was one class and not all others."""
    rival = entry.get("against")
    if not isinstance(rival, int) or not 0 <= rival < len(run.class_names):
        return ""
    return f"Against {run.class_names[rival]}. "


def _peak_in_words(entry: dict[str, Any], is_blank: bool, share: float | None) -> str:
    if is_blank:
        return "Uninformative: the map is zero everywhere." + (" Counted as a miss." if share is not None else "")
    hit = finite(entry.get("pointing_hit"))
    if hit is None:
        return f"No lesion is marked: place of the peak {NOT_ASSESSED}."
    if 0 < hit < 1:
        return f"The peak is a tie; {percent(hit)} of it lies inside the marked lesion."
    return f"The peak lies {'inside' if hit == 1 else 'outside'} the marked lesion."


def _probabilities(run: RunFolder, one: dict[str, Any]) -> list[tuple[str, str, float]]:
    """The three largest, as (class, number, share of 1)."""
    known = {str(name): finite(p) for name, p in mapping(one.get("probabilities")).items()}
    stated = [(name, known[name]) for name in run.class_names if known.get(name) is not None]
    ranked = sorted(stated, key=lambda pair: -(pair[1] or 0.0))[:3]
    return [(name, number(p, 2), min(1.0, max(0.0, p or 0.0))) for name, p in ranked]


def _is_right(one: dict[str, Any]) -> bool | None:
    return None if not one.get("predicted") or not one.get("target") else one["predicted"] == one["target"]


def _rank(one: dict[str, Any]) -> int:
    why = one.get("reason")
    return _ORDER.index(why) if why in _ORDER else len(_ORDER)
