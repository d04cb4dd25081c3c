"""The diagram of where images went: its numbers add up, and it is plain SVG."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from scanlens.report.flow import Flow, data_flow, flow_chart, flow_words
from scanlens.report.folder import RunFolder

FACTS = {
    "num_images": {"train": 60, "val": 20, "test": 20},
    "num_patients": {"train": 12, "val": 4, "test": 4},
    "num_quarantined": 3,
    "num_without_class": 7,
}


def run_of(facts: dict[str, Any], rows: list[dict[str, str]] | None = None) -> RunFolder:
    return RunFolder(Path("nowhere"), {}, facts, {}, {}, [], [], None, [], split_rows=rows or [])


def test_found_is_what_was_used_and_what_was_left_out() -> None:
    assert data_flow(run_of(FACTS)) == Flow(
        found=110,
        left_out={"without a class": 7, "cannot be read": 3},
        used=100,
        patients=20,
        splits=[("training", 60, 12), ("validation", 20, 4), ("test", 20, 4)],
    )


def test_a_patient_in_two_partitions_counts_once() -> None:
    rows = [{"patient": name} for name in ("a", "a", "b", "c", "c")]
    flow = data_flow(run_of(FACTS, rows))
    assert flow is not None
    assert flow.patients == 3


def test_unknown_patients_are_called_unknown() -> None:
    facts = {**FACTS, "num_patients": {"train": None, "val": None, "test": None}}
    flow = data_flow(run_of(facts, [{"patient": ""}]))
    assert flow is not None
    assert flow.patients is None
    assert (flow_chart(flow) or "").count("patients unknown") == 4
    assert "patient" not in flow_words(flow)


@pytest.mark.parametrize("facts", [{}, {"num_images": {"train": 3, "test": 1}}, {"num_images": {"train": "x"}}])
def test_without_counts_there_is_no_diagram(facts: dict[str, Any]) -> None:
    assert flow_chart(data_flow(run_of(facts))) is None


def test_every_number_is_in_a_box_and_in_the_words() -> None:
    svg = flow_chart(data_flow(run_of(FACTS)))
    assert svg is not None
    root = ElementTree.fromstring(svg)
    texts = [one.text for one in root.iter("text")]
    assert texts == [
        "Listed by the source", "110 images", "Left out: without a class", "7 images", "Left out: cannot be read", "3 images",
        "Used", "100 images", "20 patients", "Training", "60 images", "12 patients", "Validation", "20 images", "4 patients",
        "Test", "20 images", "4 patients",
    ]  # fmt: skip
    assert root.attrib["aria-label"] == (
        "110 images listed by the source, 7 left out (without a class), 3 left out (cannot be read); 100 used of 20 patients: "
        "training 60 images of 12 patients, validation 20 images of 4 patients, test 20 images of 4 patients."
    )


def test_the_drawing_keeps_to_its_frame_in_any_theme() -> None:
    svg = flow_chart(data_flow(run_of(FACTS)))
    assert svg is not None
    assert " style=" not in svg
    assert not re.findall(r"#[0-9a-f]{3,6}", svg), "ink is that of the page"
    root = ElementTree.fromstring(svg)
    _, _, width, height = (float(side) for side in root.attrib["viewBox"].split())
    boxes = [{key: float(one.attrib[key]) for key in ("x", "y", "width", "height")} for one in root.iter("rect")]
    assert len(boxes) == 7
    for one in boxes:
        assert one["x"] >= 0
        assert one["x"] + one["width"] <= width
        assert one["y"] + one["height"] <= height
    for place, one in enumerate(boxes):
        for other in boxes[:place]:
            apart_x = one["x"] >= other["x"] + other["width"] or other["x"] >= one["x"] + one["width"]
            apart_y = one["y"] >= other["y"] + other["height"] or other["y"] >= one["y"] + one["height"]
            assert apart_x or apart_y


def test_a_run_without_facts_on_unreadable_files_counts_its_quarantine() -> None:
    facts = {key: value for key, value in FACTS.items() if key != "num_quarantined"}
    flow = data_flow(dataclasses.replace(run_of(facts), quarantine=[{"id": "a"}, {"id": "b"}]))
    assert flow is not None
    assert flow.left_out == {"without a class": 7, "cannot be read": 2}
    assert flow.found == 109
