"""The section on limits: the smallest inserted lesion that is called, and the smallest that the map points at."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scanlens.report.cases import picture
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.html import part
from scanlens.report.limits_chart import contrast_words, contrasts_chart, limits_chart
from scanlens.report.tables import cell
from scanlens.report.words import counted, number, percent, point, whole, with_interval

TITLE = "How small a lesion is found, and pointed at"
NO_TUMORS = (
    "Inserted lesions are no tumors. They are soft-edged ellipses of one contrast, without swelling, pushed tissue or texture of "
    "their own: limits of real tumors may be smaller or larger. Use them to compare networks and maps, not to promise a size."
)


def section(run: RunFolder, content: dict[str, Any]) -> Markup:
    """The body of the section, from limits.json."""
    chart, by_contrast = limits_chart(content), contrasts_chart(content)
    return part(
        "explanations_limits.html.j2",
        sentences=sentences(content),
        caution=NO_TUMORS,
        chart_svg=Markup(chart) if chart else None,
        picture=picture(run.path / "explanations", content.get("picture")),
        rows=[_row(mapping(one)) for one in sequence(content.get("sizes"))],
        contrasts=[_contrast_row(mapping(one)) for one in sequence(content.get("by_contrast"))],
        contrasts_svg=Markup(by_contrast) if by_contrast else None,
        notes=_notes(content) if "detection" in content else [],
    )


def sentences(content: dict[str, Any]) -> list[str]:
    """What was found, one sentence each."""
    if "detection" not in content:
        said = [f"Limits of detection and localization: not assessed, {content.get('reason')}."]
        return said + ([_alarms(content)] if "false_alarms" in content else [])
    detection, localization, near = (
        mapping(content[key]) for key in ("detection", "localization", "localization_near")
    )
    found = [
        f"Limit of detection: {_limit(content, detection)} is the diameter from which 90\u00a0% of inserted lesions are called "
        f"'{content['positive']}' at the operating point of the run."
        if detection["state"] == "found"
        else f"Limit of detection (90\u00a0% called '{content['positive']}'): {detection['reason']}{_least(detection)}.",
        f"Limit of localization: {_limit(content, localization)} is the diameter from which the peak of {content['method_title']} "
        "lies on half of the lesions that are called."
        if localization["state"] == "found"
        else f"Limit of localization (peak of {content['method_title']} on half of the called lesions): "
        f"{localization['reason']}{_least(localization)}.",
        f"With a tolerance of {number(content['tolerance_px'], 1)} px around the lesion it is "
        + (_limit(content, near) if near["state"] == "found" else f"outside: {near['reason']}{_least(near)}")
        + ".",
    ]
    ratio = mapping(content.get("ratio"))
    if point(ratio) is not None:
        found.append(
            f"The map needs {with_interval(ratio, 1)} times the diameter that the call needs."
            if (point(ratio) or 0) >= 1
            else f"What is called is pointed at already: the ratio of the limits is {with_interval(ratio, 2)}."
        )
    return [*found, *_by_contrast(content), _alarms(content), NO_TUMORS]


def _by_contrast(content: dict[str, Any]) -> list[str]:
    """One sentence for each contrast, where several were tried."""
    return [
        f"At a contrast of {contrast_words(one)}: limit of detection {_at(mapping(one.get('detection')))}, limit of localization "
        f"{_at(mapping(one.get('localization')))}."
        for one in map(mapping, sequence(content.get("by_contrast")))
    ]


def _at(limit: dict[str, Any]) -> str:
    """A limit in a few words, with its interval; what is known of one that was not found."""
    if limit.get("state") == "found":
        return f"{number(limit['value'], 1)} px{_bounds(limit)}"
    if limit.get("state") == "not assessed":
        return f"not assessed ({limit.get('reason')})"
    return f"{limit.get('reason')}{_least(limit)}"


def _limit(content: dict[str, Any], limit: dict[str, Any]) -> str:
    mm = mapping(content.get("pixel_mm"))
    size_mm = finite(mm.get("median"))
    millimeters = f", about {number(size_mm * limit['value'], 1)} mm" if size_mm is not None else ""
    return f"{number(limit['value'], 1)} px{_bounds(limit)}{millimeters}"


def _bounds(limit: dict[str, Any]) -> str:
    """The interval of a limit that was found, or why it has none."""
    ends = [finite(limit.get(name)) for name in ("low", "high")]
    shown = [number(end, 1) if end is not None else "outside of the sizes tried" for end in ends]
    return f" (95 % interval {shown[0]} to {shown[1]})" if ends != [None, None] else f" ({limit.get('reason')})"


def _least(limit: dict[str, Any]) -> str:
    """What an interval still says of a limit that was not found."""
    low, high = finite(limit.get("low")), finite(limit.get("high"))
    if limit["state"] == "not reached" and low is not None:
        return f"; with 95 % confidence it lies above {number(low, 1)} px"
    if limit["state"] == "below the smallest" and high is not None:
        return f"; with 95 % confidence it lies below {number(high, 1)} px"
    return ""


def _alarms(content: dict[str, Any]) -> str:
    alarms = mapping(content.get("false_alarms"))
    return (
        f"Without any lesion {percent(point(alarms))} of {counted(alarms.get('num_images'), 'negative test image')} are called "
        "by mistake; they are left out here, so both curves start at 0."
    )


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "size": f"{number(one['size'], 1)} px",
        "called": cell(one["called"], 2),
        "num_called": whole(one["num_called"]),
        "hit": cell(one["hit"], 2),
        "chance": number(one["chance"], 3),
        "near": cell(one["near"], 2),
        "chance_near": number(one["chance_near"], 3),
    }


def _contrast_row(one: dict[str, Any]) -> dict[str, Any]:
    limits = [cell(mapping(one.get(key)), 1) for key in ("detection", "localization", "localization_near", "ratio")]
    return {
        "contrast": contrast_words(one),
        "limits": limits,
        "num": whole(one.get("num_images")),
        "kept": percent(one.get("contrast_kept")),
    }


def _notes(content: dict[str, Any]) -> list[str]:
    patients = finite(content.get("num_patients"))
    of = f" of {counted(patients, 'patient')}" if patients else ""
    places = f"{whole(content['num_images'])} places in negatives{of}"
    grid = finite(content.get("num_grid_images"))
    further = (
        [f"Further contrasts: at the same places, in {counted(grid, 'image')}, as many as their cost allows."]
        if grid
        else []
    )
    return [
        f"Drawn: {places}, uniformly within the body; at each the same lesion in every size, rightly called negative without it.",
        _contrast(content),
        *further,
        _unit(content),
        _size(content),
        f"Intervals: {mapping(content['interval'])['method']}. {whole(mapping(content['interval'])['num_resamples'])} resamples of "
        f"{mapping(content['interval'])['resampled']}.",
    ]


def _contrast(content: dict[str, Any]) -> str:
    values = ", ".join(number(one, 2) for one in sequence(content.get("contrast")))
    own = mapping(content.get("own_lesions"))
    kept = f"After clipping to black and white {percent(content.get('contrast_kept'))} of it are left on average."
    said = f"Contrast: {values} on the scale from 0 to 1, one number a channel"
    if content["contrast_source"] == "own lesions":
        spread = "; ".join(
            f"{number(low, 2)} to {number(high, 2)}"
            for low, high in zip(sequence(own.get("low")), sequence(own.get("high")), strict=True)
        )
        return (
            f"{said}: the median of {whole(own.get('num_lesions'))} marked lesions of training and validation against what "
            f"lies around them (middle half {spread}). {kept}"
        )
    told = "as asked for" if content["contrast_source"] == "asked for" else f"the default, since {own.get('reason')}"
    return f"{said}: {told}. {kept}"


def _unit(content: dict[str, Any]) -> str:
    threshold = finite(content.get("threshold"))
    at = (
        "what is more probable than not"
        if threshold is None
        else f"a calibrated probability from {number(threshold, 2)}"
    )
    by = (
        " The threshold was chosen for patients; an image is judged here like a patient who has no other."
        if content.get("unit") == "patient"
        else ""
    )
    return f"Called is {at}, as validation chose.{by} The map explains the most probable of the classes that must not be missed."


def _size(content: dict[str, Any]) -> str:
    mm = mapping(content.get("pixel_mm"))
    height, width = sequence(content.get("image_px"))
    px = f"Pixels are those of the image as the network sees it ({height} × {width})"
    if not mm:
        return f"{px}; what they measure in millimeters is not known."
    return (
        f"{px}; a pixel is {number(mm['median'], 2)} mm (from {number(mm['smallest'], 2)} to {number(mm['largest'], 2)}), the "
        "pixels of the files taken as square."
    )
