"""`scanlens dicom`: the map on the pixels of the source, and objects of a run that was trained on DICOM files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import yaml
from numpy.typing import NDArray

from fakes.commands import run_command, train
from fakes.dicom_cases import HAS_DCIODVFY, faults
from fakes.dicom_scans import SECRET_WORDS, write_scan
from fakes.run_folder import write_run_folder
from scanlens.data.dicom_pixels import read_frame
from scanlens.data.display import displayed, text_in_pixels
from scanlens.data.preprocess import Preprocess
from scanlens.data.pseudonyms import VARIABLE
from scanlens.errors import ConfigError, ImageError, RunError
from scanlens.explain.verdict.regions import top_region
from scanlens.pipeline.decode import open_source
from scanlens.pipeline.dicom.command import export_dicom, seed_of_tested_region
from scanlens.pipeline.dicom.request import Request, request_of
from scanlens.pipeline.dicom.sources import check_unchanged, evidence_on
from scanlens.pipeline.dicom.stored import StoredCases, StoredMap
from scanlens.report.dicom.case import KINDS, USUAL, NotMade
from scanlens.report.pictures import region_png

pytest.importorskip("highdicom", reason="the extra dicom is not installed")
KEY = {VARIABLE: "a secret of many characters"}


# --- what was asked ------------------------------------------------------------------------------------------------------


def test_the_usual_objects_without_an_identity_are_asked_for() -> None:
    asked = request_of({"run": ["r"]})
    assert (asked.kinds, asked.most, asked.cases) == (USUAL, None, ())
    assert (asked.keeps_identity, asked.allows_text) == (False, False)


def test_every_mistake_in_the_words_is_told() -> None:
    words = {"run": ["r"], "cases": ["0"], "case": ["../x"], "objects": ["[sc,sgr]"], "keep_identity": ["yes"]}
    with pytest.raises(ConfigError) as told:
        request_of(words | {"burnt_in_text": ["ok"]})
    assert len(told.value.mistakes) == 6
    for part in ("cases: how many", "'../x'", "no 'sgr'", "keep_identity: true or false", "refuse or allow", "exclude"):
        assert part in str(told.value)


# --- the map on the source -----------------------------------------------------------------------------------------------


def lesion_file(path: Path, shape: tuple[int, int], box: tuple[slice, slice], **elements: Any) -> Path:
    pixels = np.full(shape, 100, np.uint16)
    pixels[box] = 1000
    return write_scan(path, pixels, WindowCenter=550, WindowWidth=1100, **elements)


def map_of(prepared_CSS: NDArray[np.float32], *, covered: bool = True) -> StoredMap:
    """A map that is bright where the prepared image is."""
    image = prepared_CSS[0]
    return StoredMap(image - 0.5, np.full(image.shape, covered), image, "")


@pytest.mark.parametrize(
    ("shape", "spacing", "orientation"),
    [
        ((60, 60), (1.0, 1.0), (1, 0, 0, 0, 1, 0)),
        ((40, 90), (1.0, 1.0), (1, 0, 0, 0, 1, 0)),
        ((90, 40), (0.5, 0.5), (0, 1, 0, 0, 0, -1)),
        ((40, 90), (3.0, 0.7), (-1, 0, 0, 0, -1, 0)),
        ((200, 150), (0.2, 0.8), (0.8, 0.6, 0, 0, 0, -1)),
        ((64, 48), None, (1, 0, 0, 0, 1, 0)),
    ],
)
@pytest.mark.parametrize("keeps_aspect", [True, False])
def test_the_contour_lies_around_the_lesion_in_the_pixels_of_the_source(
    tmp_path: Path, shape: tuple[int, int], spacing: Any, orientation: tuple[float, ...], keeps_aspect: bool
) -> None:
    height, width = shape
    box = (slice(height // 8, height // 8 + height // 4), slice(width // 2, width // 2 + width // 3))
    path = lesion_file(
        tmp_path / "a.dcm", shape, box, PixelSpacing=None if spacing is None else list(spacing),
        ImageOrientationPatient=list(orientation),
    )  # fmt: skip
    raw, preprocess = read_frame(path), Preprocess(size=64, channels=1, keeps_aspect=keeps_aspect)
    prepared = preprocess(raw)
    share = float((prepared[0] > 0.5).mean())
    found = evidence_on(raw, map_of(prepared), preprocess, share=min(share, 0.25), seed=0)
    lesion = np.zeros(shape, bool)
    lesion[box] = True
    assert (found.region_HW & lesion).sum() / (found.region_HW | lesion).sum() > 0.8
    line = found.outlines[0]
    cell = (height / 64 * max(1, _longer(shape, spacing, 0)), width / 64 * max(1, _longer(shape, spacing, 1)))
    for axis, (edges, tolerance) in enumerate(((box[1], cell[1]), (box[0], cell[0]))):
        assert line[:, axis].min() == pytest.approx(edges.start, abs=1.2 * tolerance + 0.5)
        assert line[:, axis].max() == pytest.approx(edges.stop, abs=1.2 * tolerance + 0.5)
    assert found.map_HW[box].mean() > 0.2 > 0 > np.nanmean(found.map_HW[~lesion])


def _longer(shape: tuple[int, int], spacing: Any, axis: int) -> float:
    """How many times more the longest side in millimeters is than this one: cells of the padded square are so much larger."""
    sides = np.array(shape) * (np.array(spacing) if spacing else 1)
    return float(sides.max() / sides[axis])


def test_what_lies_in_the_padding_is_not_drawn_and_told(tmp_path: Path) -> None:
    raw = read_frame(lesion_file(tmp_path / "a.dcm", (20, 80), (slice(5, 10), slice(5, 20)), PixelSpacing=[1, 1]))
    preprocess = Preprocess(size=64, channels=1)
    map_SS = np.full((64, 64), -1, np.float32)
    map_SS[:10] = 1
    stored = StoredMap(map_SS, np.ones((64, 64), bool), map_SS, "")
    with pytest.raises(NotMade, match="in the padding beside the image"):
        evidence_on(raw, stored, preprocess, share=0.02, seed=0)
    nothing = StoredMap(-np.ones((64, 64), np.float32), np.ones((64, 64), bool), map_SS, "")
    with pytest.raises(NotMade, match="nothing in the map speaks"):
        evidence_on(raw, nothing, preprocess, share=0.02, seed=0)


def test_what_the_network_cannot_see_stays_unknown(tmp_path: Path) -> None:
    raw = read_frame(lesion_file(tmp_path / "a.dcm", (64, 64), (slice(30, 40), slice(30, 40)), PixelSpacing=[1, 1]))
    preprocess = Preprocess(size=64, channels=1)
    prepared = preprocess(raw)
    covered = np.zeros((64, 64), bool)
    covered[8:56, 8:56] = True
    found = evidence_on(raw, StoredMap(prepared[0] - 0.5, covered, prepared[0], ""), preprocess, share=0.04, seed=0)
    assert np.isnan(found.map_HW[:8]).all()
    assert np.isfinite(found.map_HW[8:56, 8:56]).all()


def test_a_file_that_changed_is_noticed(tmp_path: Path) -> None:
    raw = read_frame(lesion_file(tmp_path / "a.dcm", (64, 64), (slice(30, 40), slice(30, 40))))
    other = read_frame(lesion_file(tmp_path / "b.dcm", (64, 64), (slice(31, 41), slice(30, 40))))
    preprocess = Preprocess(size=32, channels=1)
    cached = np.rint(preprocess(raw) * 65535) / 65535
    check_unchanged(raw, map_of(cached.astype(np.float32)), preprocess)
    with pytest.raises(ImageError, match="has changed since the run"):
        check_unchanged(other, map_of(cached.astype(np.float32)), preprocess)


def test_an_inverted_image_is_shown_as_it_is_seen(tmp_path: Path) -> None:
    box = (slice(10, 20), slice(10, 20))
    shown = displayed(
        read_frame(lesion_file(tmp_path / "a.dcm", (40, 40), box, PhotometricInterpretation="MONOCHROME1"))
    )
    assert shown[box].max() < shown[0, 0]


def test_letters_in_the_picture_are_noticed(tmp_path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    from fakes.dicom_cases import explained

    image = Image.new("L", (200, 120))
    ImageDraw.Draw(image).text((10, 10), "ZEBEDEE 1947", font=ImageFont.load_default(size=20), fill=255)
    case_folder = tmp_path / "case"
    explained(case_folder, np.asarray(image))
    assert "marks that look like letters" in text_in_pixels(read_frame(case_folder / "source.dcm"))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY[VARIABLE])


# --- the command ---------------------------------------------------------------------------------------------------------


def test_a_run_on_something_else_is_refused(tmp_path: Path) -> None:
    run = write_run_folder(tmp_path / "r")
    with pytest.raises(RunError, match="was not trained on DICOM files"):
        export_dicom(Request(run=run))
    with pytest.raises(RunError, match="holds an autoencoder"):
        export_dicom(Request(run=write_run_folder(tmp_path / "a", task="reconstruction")))
    with pytest.raises(RunError, match="did not explain test-99999"):
        export_dicom(Request(run=run, cases=("test-99999",)))


def test_without_highdicom_the_command_names_the_extra(tmp_path: Path) -> None:
    script = "import sys; sys.modules['highdicom'] = None; from scanlens.cli import main; main(['dicom', 'run=r'])"
    done = run_command(["-c", script], cwd=tmp_path, env=KEY)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "pip install 'scanlens[dicom]'" in done.stderr


def write_set(root: Path) -> Path:
    """24 people with three slices of 60 x 40 each; every second is ill, and has a bright lesion."""
    rows = ["patient,label"]
    for person in range(24):
        rows.append(f"HOSP-0815-{person:02d},{'ill' if person % 2 else 'well'}")
        for place in range(3):
            pixels = np.random.default_rng([person, place]).integers(200, 400, (60, 40), dtype=np.uint16)
            if person % 2:
                pixels[36:48, 8:16] += 500
            own = {"StudyInstanceUID": f"1.2.3.4.1.{person + 1}", "SeriesInstanceUID": f"1.2.3.4.2.{person + 1}"}
            write_scan(
                root / f"{person:02d}_{place}.dcm", pixels, number=person * 3 + place + 1,
                patient=f"HOSP-0815-{person:02d}", PixelSpacing=[1.0, 1.2], **own,
            )  # fmt: skip
    (root / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run."""
    folder = tmp_path_factory.mktemp("dicom")
    done = train(
        "model=lenet", "data=dicom", f"data.root={write_set(folder / 'set')}",
        "data.labels={file: labels.csv, by: patient, key: patient, label: label}", "trainer.max_epochs=3",
        "augment=none", "preprocess.size=32", "callbacks.num_explained_cases=4", "callbacks.bootstrap_resamples=0",
        "callbacks.explain_every_n_epochs=0", "logger=none", "operating_point.positive=ill", "run_id=r", cwd=folder, env=KEY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "outputs" / "r"


def dicom(*words: str, cwd: Path) -> Any:
    script = "import sys; from scanlens.cli import main; main(sys.argv[1:])"
    return run_command(["-c", script, "dicom", *words], cwd=cwd, env=KEY)


def changed_copy(trained: Path, folder: Path, **changes: Any) -> Path:
    """A copy of the run in which the first map of every case got another verdict or file."""
    run = folder / "r"
    shutil.copytree(trained, run)
    path = run / "explanations" / "cases.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for case in content["cases"]:
        case["maps"][0].update(changes)
    path.write_text(json.dumps(content), encoding="utf-8")
    return run


@pytest.mark.slow
def test_a_run_on_dicom_files_ends_in_objects_that_name_nobody(trained: Path, tmp_path: Path) -> None:
    run = changed_copy(trained, tmp_path)
    done = dicom(f"run={run}", "objects=[sc,sr,pr,seg,pmap]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cases = json.loads((run / "explanations" / "cases.json").read_text(encoding="utf-8"))["cases"]
    written = sorted((run / "dicom").iterdir())
    assert {path.name.split("_")[0] for path in written} == {case["case"] for case in cases}
    assert {path.stem.split("_")[1] for path in written} <= set(KINDS)
    assert all(f"{path}" in done.stderr + done.stdout for path in written)
    told = done.stdout + done.stderr
    for path in written:
        content = path.read_bytes()
        assert [
            word for word in SECRET_WORDS if word.encode() in content or word in told.replace(str(tmp_path), "")
        ] == []
        if HAS_DCIODVFY:
            assert faults(content, tmp_path) == []
    for case in cases:
        report = pydicom.dcmread(run / "dicom" / f"{case['case']}_sr.dcm")
        stated = [
            float(one.MeasuredValueSequence[0].NumericValue)
            for one in _items(report)
            if "MeasuredValueSequence" in one and one.ConceptNameCodeSequence[0].CodeValue == "111012"
        ]
        assert stated == [pytest.approx(100 * case["probabilities"][case["predicted"]], abs=1e-3)]
        calls = [one for one in _items(report) if one.ConceptNameCodeSequence[0].CodeValue == "call"]
        assert len(calls) == 1, "the threshold is of patients, and the patient was called"
        assert report.PatientID in {row.split(",")[2] for row in (run / "split.csv").read_text().splitlines()}


@pytest.mark.slow
def test_what_is_outlined_is_the_region_that_the_verdict_tested(trained: Path, tmp_path: Path) -> None:
    cases = StoredCases(trained)
    for name, entry in cases.entries.items():
        stored = cases.stored_map(name)
        region = top_region(
            stored.map_SS, stored.covered_SS, share=cases.share, seed=seed_of_tested_region(cases.run, name)
        )
        region_png(stored.scan, region, tmp_path / "again.png")
        picture = trained / "explanations" / str(entry["maps"][0]["verdict"]["region"])
        assert picture.read_bytes() == (tmp_path / "again.png").read_bytes()


def _items(one: Any) -> list[Any]:
    found = []
    for item in one.get("ContentSequence", ()):
        found += [item, *_items(item)]
    return found


@pytest.mark.slow
def test_writing_again_gives_the_same_bytes_and_an_identity_only_where_asked(trained: Path, tmp_path: Path) -> None:
    run = changed_copy(trained, tmp_path)
    first = export_dicom(Request(run=run, most=1))
    bytes_of = {path: path.read_bytes() for path in first}
    assert {path: path.read_bytes() for path in export_dicom(Request(run=run, most=1))} == bytes_of
    (capture, *_) = export_dicom(Request(run=run, most=1, keeps_identity=True))
    made = pydicom.dcmread(capture)
    assert made.PatientID.startswith("HOSP-0815-")
    source = made.SourceImageSequence[0].ReferencedSOPInstanceUID
    files = [pydicom.dcmread(path) for path in (trained.parents[1] / "set").glob("*.dcm")]
    (original,) = [one for one in files if one.SOPInstanceUID == source]
    assert (made.StudyInstanceUID, made.PatientID) == (original.StudyInstanceUID, original.PatientID)


@pytest.mark.slow
def test_a_withheld_verdict_is_drawn_in_no_object(trained: Path, tmp_path: Path) -> None:
    verdict = {
        "level": "WITHHELD",
        "reasons": ["the maps failed."],
        "measured": {"quality": {"status": "good", "faults": []}},
    }
    run = changed_copy(trained, tmp_path, verdict=verdict)
    done = dicom(f"run={run}", "objects=[sr,pr,seg]", "cases=1", cwd=tmp_path)
    assert done.returncode == 0
    assert "no seg: the map is withheld: the maps failed." in done.stderr
    state, report = (pydicom.dcmread(next((run / "dicom").glob(f"*_{kind}.dcm"))) for kind in ("pr", "sr"))
    assert "GraphicObjectSequence" not in state.GraphicAnnotationSequence[0]
    assert not [one for one in _items(report) if one.ValueType == "SCOORD"]


@pytest.mark.slow
def test_a_case_that_cannot_be_had_does_not_stop_the_others(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained.parents[1] / "set", tmp_path / "set")
    run = changed_copy(trained, tmp_path)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace(str(trained.parents[1] / "set"), str(tmp_path / "set")))
    id_of = {int(row.split(",")[0]): row.split(",")[1] for row in (run / "split.csv").read_text().splitlines()[1:]}
    settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    path_of = {one.id: one.path.rpartition("#")[0] for one in open_source(settings["data"], settings).records()}
    names = [one["case"] for one in json.loads((run / "explanations" / "cases.json").read_text())["cases"]]
    gone, changed, burnt, unmapped = (Path(path_of[id_of[int(name[5:])]]) for name in names)
    gone.unlink()
    for path, elements in ((changed, {}), (burnt, {"BurnedInAnnotation": "YES"})):
        one = pydicom.dcmread(path)
        if path == changed:
            one.PixelData = one.pixel_array[::-1].copy().tobytes()
        for name, value in elements.items():
            setattr(one, name, value)
        one.save_as(path)
    (run / "explanations" / f"{names[3]}_{_method(run)}.npz").write_bytes(b"no map")
    done = dicom(f"run={run}", cwd=tmp_path)
    assert done.returncode == 1, "nothing could be written"
    for name, words in zip(
        names, ("no longer where", "has changed", "burnt_in_text=allow", "cannot be read"), strict=True
    ):
        assert f"{name}: no object: " in done.stderr
        assert words in done.stderr
    done = dicom(f"run={run}", "burnt_in_text=allow", cwd=tmp_path)
    assert done.returncode == 0
    assert {path.name.split("_")[0] for path in (run / "dicom").iterdir()} == {names[2]}
    assert unmapped.is_file()


def _method(run: Path) -> str:
    return str(json.loads((run / "explanations" / "cases.json").read_text())["methods"][0]["name"])
