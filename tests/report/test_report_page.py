"""The page as a whole: self-contained, honest about what is missing, and free of names."""

from __future__ import annotations

import base64
import copy as copying
import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from fakes.run_folder import write_json, write_run_folder
from scanlens.errors import RunError
from scanlens.report.cases import explained_cases, methods
from scanlens.report.facts import quarantine_table
from scanlens.report.folder import RunFolder, read_run
from scanlens.report.html import NOTICE, TEMPLATES
from scanlens.report.page import ReportWriter, build_report, render, write_report
from scanlens.report.sentences import cautions, findings
from scanlens.report.tables import metric_table


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished classification run with its page; not to be changed."""
    folder = write_run_folder(tmp_path_factory.mktemp("run") / "finished")
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(finished: Path) -> str:
    return (finished / "report" / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def run(finished: Path) -> RunFolder:
    """The contents of the finished run, free to be changed."""
    return read_run(finished)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run without its page."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "report")
    return folder


class Elements(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def text_of(page: str) -> str:
    """What a reader sees."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def without(run: RunFolder, **changes: Any) -> RunFolder:
    return dataclasses.replace(run, **changes)


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy of nested mappings with `new` at the dotted path."""
    head, _, rest = path.partition(".")
    return {**value, head: changed(value[head], rest, new) if rest else new}


def test_the_page_asks_for_nothing_outside_itself(page: str, finished: Path) -> None:
    elements = Elements(page).found
    references = [(tag, attrs[name]) for tag, attrs in elements for name in ("src", "href") if attrs.get(name)]
    assert len(references) > 20
    elsewhere = {one for one in references if not (one[1] or "").startswith(("data:", "#"))}
    beside = ("methods.txt", "checklist.csv", "checklist.md", "cohort.json", "../results.csv", "../results.tex")
    sheets = [f"cases/{path.name}" for path in (finished / "report" / "cases").glob("*.html")]
    assert sheets
    assert elsewhere == {("a", name) for name in (*beside, *sheets)}, "links to files of the run that a reader may open"
    assert not {tag for tag, _ in elements} & {"iframe", "object", "embed", "form", "base", "audio", "video"}
    assert not [name for _, attrs in elements for name in attrs if name.startswith("on") or name == "style"]
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert [attrs for tag, attrs in elements if tag == "script"] == [{}], "one script, within the page"


def test_the_policy_allows_inlined_pictures_the_one_style_sheet_and_the_one_script_only(page: str) -> None:
    inlined = [re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL) for tag in ("style", "script")]
    assert [len(found) for found in inlined] == [1, 1]
    style, script = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for (one,) in inlined)
    policy = [attrs["content"] for tag, attrs in Elements(page).found if attrs.get("http-equiv")]
    assert policy == [
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; "
        "form-action 'none'"
    ]


def test_the_same_run_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    out = build_report(finished, out=tmp_path / "again" / "page.html")
    assert out.read_bytes() == (finished / "report" / "index.html").read_bytes()
    assert [path.name for path in out.parent.iterdir()] == ["page.html"], "no temporary file stays"


def test_the_page_is_small_enough_to_send(page: str) -> None:
    assert len(page.encode()) < 2_000_000


def test_headings_are_in_order_and_every_picture_has_words(page: str) -> None:
    elements = Elements(page).found
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attrs.get("alt") for tag, attrs in elements if tag == "img")
    assert all(attrs.get("aria-label") or attrs.get("aria-hidden") for tag, attrs in elements if tag == "svg")
    ids = [attrs["id"] for _, attrs in elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    anchors = [attrs["href"] for tag, attrs in elements if tag == "a" and (attrs["href"] or "").startswith("#")]
    assert anchors
    assert {(href or "#")[1:] for href in anchors} <= set(ids)


def test_the_notice_stands_on_top_and_at_the_bottom(page: str) -> None:
    text = text_of(page)
    assert text.count(NOTICE) == 2
    assert text.split("</title>")[-1].endswith(NOTICE)


def test_neither_files_nor_patients_nor_places_are_named(page: str) -> None:
    for secret in ("_doe", "jane", "smith", "/home", "007.png"):
        assert secret not in text_of(page).lower()
        assert secret not in re.sub(r"data:image/[^\"]*", "", page).lower()
    assert "data.root=(path not shown)" in page


def test_the_summary_says_the_result_in_plain_words(run: RunFolder) -> None:
    auroc = {"value": 0.9712, "low": 0.9361, "high": 0.9942, "reason": None}
    evaluation = changed(run.evaluation, "splits.test.patient.metrics.auroc", auroc)
    assert findings(without(run, evaluation=evaluation))[0] == (
        "On 24 patients (96 images) not used for training, the network told the 4 classes apart with an AUROC of 0.97 "
        "(95\u00a0% interval 0.94 to 0.99); 0.50 is guessing, 1.00 is perfect."
    )
    unknown = changed(evaluation, "splits.test.patient", None)
    unknown = changed(unknown, "splits.test.slice.num_patients", None)
    assert findings(without(run, evaluation=unknown))[0].startswith("On 96 images not used for training, the network")


def test_what_is_wrong_with_a_result_is_said(run: RunFolder) -> None:
    assert cautions(run) == ["1 file could not be read and was left out (see Data)."]
    facts = {**run.facts, "is_phantom": True, "patients_known": False, "num_quarantined": 0, "groups": "image"}
    facts["model_summary"] = {**facts["model_summary"], "weights_note": "from scratch: no ImageNet weights here"}
    auroc = {"value": 0.56, "low": 0.45, "high": 0.66, "reason": None}
    evaluation = changed(run.evaluation, "splits.test.patient.metrics.auroc", auroc)
    evaluation = changed(evaluation, "splits.test.patient.num_patients", 8)
    evaluation = changed(evaluation, "nearest_neighbor", {"accuracy": 0.95, "balanced_accuracy": 0.94})
    evaluation = changed(evaluation, "localization.grad_cam.excess", {"value": 0.01, "low": -0.02, "high": 0.04})
    evaluation = changed(evaluation, "splits.test.patient.per_class.glioma.sensitivity", {"value": 0.0})
    config = {**run.config, "model": {"weights": "auto"}}
    said = cautions(without(run, facts=facts, evaluation=evaluation, config=config))
    starts = (
        "The pictures are computer-made phantoms",
        "Which images belong to the same patient is not known",
        "Pretrained weights were asked for but could not be had: from scratch: no ImageNet weights here.",
        "The interval of the AUROC includes 0.50",
        "The test split holds only 8 patients",
        "Copying the label of the most similar training image does as well (balanced accuracy 0.94",
        "The peaks of the Grad-CAM maps do not lie in marked lesions more often than chance",
        "Never recognized in the test split: glioma.",
    )
    assert len(said) == len(starts)
    assert all(one.startswith(start) for one, start in zip(said, starts, strict=True))


def test_warnings_of_the_run_are_shown_once_without_paths(run: RunFolder) -> None:
    facts = {**run.facts, "warnings": ["Slow disk /home/jane", "Slow disk /home/jane"], "num_quarantined": 0}
    provenance = {**run.provenance, "warnings": ["Slow disk /home/jane", "Patients are unknown."]}
    facts["patients_known"] = False
    said = cautions(without(run, facts=facts, provenance=provenance))
    assert said == ["Slow disk (path not shown)", "Patients are unknown."]


def test_markup_in_names_and_warnings_is_shown_as_text(run: RunFolder) -> None:
    evil = "<img src=x onerror=alert(1)>\"'{{7*7}}"
    names = [evil, *run.class_names[1:]]
    text = json.dumps([run.facts, run.evaluation, run.explanations]).replace('"glioma"', json.dumps(evil))
    facts, evaluation, explanations = json.loads(text)
    assert evaluation["class_names"] == names
    facts |= {"warnings": [evil], "chosen": [evil], "source_about": evil}
    facts["model_summary"]["name"] = evil
    quarantine = [{"id": "x", "reason": evil}]
    config = {**run.config, "data": {"name": evil}, "run_id": evil}
    provenance = {**run.provenance, "command": evil, "packages": {evil: evil}}
    page = render(
        RunFolder(
            path=run.path,
            config=config,
            facts=facts,
            provenance=provenance,
            evaluation=evaluation,
            epochs=run.epochs,
            predictions=run.predictions,
            explanations=explanations,
            quarantine=quarantine,
        ),
        max_cases=6,
    )
    elements = Elements(page).found
    assert "<img src=x" not in page
    assert "{{7*7}}" in page
    assert not [attrs for _, attrs in elements if "onerror" in attrs]
    assert not [attrs for tag, attrs in elements if tag == "img" and not (attrs["src"] or "").startswith("data:")]
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 15


def test_an_unfinished_picture_of_a_run_says_not_assessed_everywhere(copy: Path) -> None:
    for name in ("metrics.csv", "quarantine.csv"):
        (copy / name).unlink()
    for name in ("explanations", "predictions"):
        shutil.rmtree(copy / name)
    write_json(copy / "evaluation.json", {"schema_version": 1, "task": "classification"})
    write_json(copy / "provenance.json", {})
    (copy / "config.yaml").write_text("seed: 1\n", encoding="utf-8")
    page = build_report(copy).read_text(encoding="utf-8")
    sections = re.split(r"<section ", page)[1:]
    silent = [s[:20] for s in sections if "not assessed" not in s]
    assert not silent
    text = text_of(page)
    for words in ("Learning curves not assessed", "Explained cases not assessed", "First filters not assessed"):
        assert words in text


def test_missing_parts_of_an_evaluation_are_named_with_their_reason(run: RunFolder) -> None:
    evaluation = changed(run.evaluation, "splits.test.patient", None)
    evaluation = changed(evaluation, "splits.test.patient_reason", "patients are unknown")
    evaluation = changed(evaluation, "nearest_neighbor", None)
    evaluation = changed(evaluation, "localization", None)
    nothing = {"value": None, "low": None, "high": None, "reason": "only one class in the split"}
    evaluation = changed(evaluation, "splits.test.slice.metrics.auroc", nothing)
    evaluation = changed(evaluation, "splits.test.slice.metrics.ece", {"value": 0.04, "reason": "no interval, by rule"})
    page = text_of(render(without(run, evaluation=evaluation), max_cases=0))
    assert "Per patient: not assessed, patients are unknown." in page
    assert "AUROC ranking; 0.5 is chance, 1 is perfect not assessed only one class in the split not assessed" in page
    assert "Calibration error, test, per image: no interval, by rule." in page
    assert "was not assessed (only one class in the split)" in page
    assert "Do the maps point at the lesion? not assessed" in page


def test_metrics_stand_beside_their_intervals_and_baselines(run: RunFolder) -> None:
    balanced = {"value": 0.8125, "low": 0.71249, "high": 0.9, "reason": None}
    evaluation = changed(run.evaluation, "splits.test.slice.metrics.balanced_accuracy", balanced)
    table = metric_table(without(run, evaluation=evaluation))
    cells = next(row["cells"] for row in table["rows"] if row["label"] == "Balanced accuracy")
    assert (cells[0]["value"], cells[0]["interval"]) == ("0.813", "0.712 to 0.900")
    assert [one["value"] for one in cells[3:]] == ["0.250", "0.571"], "without looking, and the nearest neighbor"


def test_misses_come_first(run: RunFolder) -> None:
    cases = explained_cases(run, max_cases=3)
    assert [case["reason"] for case in cases] == ["worst miss", "worst miss", "best hit"]
    assert [case["verdict"] for case in cases] == ["wrong", "wrong", "right"]


def test_the_number_of_cases_follows_the_configuration(run: RunFolder) -> None:
    page = render(without(run, config={**run.config, "report": {"max_cases": 2}}))
    assert page.count('aria-label="Case ') == 2
    assert "4 more in the folder explanations of the run." in text_of(page)


def test_cases_show_pictures_side_by_side_with_measured_words(page: str, run: RunFolder) -> None:
    assert run.explanations is not None
    articles = re.findall(r"<article.*?</article>", page, flags=re.DOTALL)
    assert len(articles) == len(run.explanations["cases"])
    assert all(article.count("<img ") == 3 for article in articles), "the scan and two maps"
    by_name = {case["case"]: case for case in run.explanations["cases"]}
    for article in articles:
        name = re.search(r"test-\d+", article)
        assert name is not None
        for entry in by_name[name.group()]["maps"]:
            hit = entry["pointing_hit"]
            words = {None: "No lesion is marked", 1.0: "peak lies inside", 0.0: "peak lies outside"}[hit]
            assert "Uninformative: the map is zero" in article if entry["is_blank"] else words in article


def test_a_map_against_one_class_names_it_and_a_number_of_no_class_is_not_believed(run: RunFolder) -> None:
    assert run.explanations is not None
    for rival, words in (
        (1, f"Against {run.class_names[1]}. The peak lies"),
        (99, "The peak lies"),
        ("0", "The peak lies"),
    ):
        cases = copying.deepcopy(run.explanations)
        for case in cases["cases"]:
            case["maps"] = [{**case["maps"][0], "against": rival, "is_blank": False, "pointing_hit": 1.0}]
        shown = explained_cases(without(run, explanations=cases), max_cases=1)
        assert shown[0]["maps"][0]["said"].startswith(words)


def test_methods_are_called_as_in_print_and_say_what_a_cell_is(page: str, run: RunFolder) -> None:
    text = text_of(page)
    assert "Layer features.4. One cell stands for 4 × 4 pixels and sees 16 × 16." in text
    assert "the peak of the HiResCAM map lay inside the lesion" in text
    assert "hires_cam" not in text.replace("name: hires_cam", "")
    assert "Left out: 9 that the network named wrongly." in text
    wide = without(run, facts={**run.facts, "input_size": 16})
    assert [one["where"] for one in methods(wide)][:1] == [
        "Layer features.4. One cell stands for 4 × 4 pixels and sees the whole picture."
    ]


def test_pictures_are_reencoded_and_names_that_lead_elsewhere_are_not_opened(copy: Path) -> None:
    cases = json.loads((copy / "explanations" / "cases.json").read_text(encoding="utf-8"))
    stray = copy / "secret.png"
    Image.new("L", (4, 4)).save(stray)
    first, second, third = cases["cases"][:3]
    first["scan"], second["scan"], third["case"] = "../secret.png", str(stray), "jane_doe.png"
    path = copy / "explanations" / third["scan"]
    with Image.open(path) as image:
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("Author", "jane_doe")
        image.save(path, pnginfo=info)
    write_json(copy / "explanations" / "cases.json", cases)
    page = build_report(copy).read_text(encoding="utf-8")
    assert page.count('<div class="nothing missing">not assessed</div>') == 2
    assert "jane_doe" not in page
    pictures = [base64.b64decode(data) for data in re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)]
    assert len(pictures) > 10
    assert not [data for data in pictures if b"jane_doe" in data or b"Author" in data]


def test_files_left_out_are_counted_by_reason_without_their_names(run: RunFolder) -> None:
    rows = [{"id": "a/jane.png", "reason": "truncated"}] * 2 + [{"id": "b/john.png", "reason": "john.png is empty"}]
    assert quarantine_table(without(run, quarantine=rows)) == [("truncated", "2"), ("(file) is empty", "1")]


def test_a_network_that_rebuilds_pictures_has_its_own_results(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "run", task="reconstruction")
    page = text_of(build_report(folder).read_text(encoding="utf-8"))
    assert "structural similarity (SSIM) of 0.87 (0.86 to 0.89) and a PSNR of 26.7 (26.1 to 27.3) dB" in page
    assert "images that are not no_tumor from those that are with an AUROC of 0.81 (0.72 to 0.89)" in page
    assert "Mean squared error lower is better 0.00213 (0.00190 to 0.00240)" in page
    assert "Confusion matrix" not in page


@pytest.mark.parametrize("name", ["config.yaml", "evaluation.json", "provenance.json"])
def test_a_missing_file_is_named_with_the_remedy(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(RunError, match=rf"{name} is missing .* Let the training finish"):
        build_report(copy)
    assert not (copy / "report").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", "a: [1"),
        ("config.yaml", "just text"),
        ("evaluation.json", '{"a":'),
        ("evaluation.json", "[]"),
        ("provenance.json", "\xff"),
        ("explanations/cases.json", "{"),
        ("explanations/filters.png", "no picture"),
    ],
)
def test_a_damaged_file_is_an_error_and_leaves_the_former_page(copy: Path, name: str, content: str) -> None:
    (copy / "report").mkdir()
    (copy / "report" / "index.html").write_text("former", encoding="utf-8")
    (copy / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match=Path(name).name):
        build_report(copy)
    assert (copy / "report" / "index.html").read_text(encoding="utf-8") == "former"


def test_a_page_does_not_land_behind_a_link(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(copy / "report", ignore_errors=True)
    (copy / "report").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="is a link"):
        build_report(copy)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_absurd_files_end_in_a_sentence_or_in_not_assessed(copy: Path) -> None:
    evaluation = json.loads((copy / "evaluation.json").read_text(encoding="utf-8"))
    text = json.dumps(evaluation | {"best_epoch": 0}).replace('"best_epoch": 0', f'"best_epoch": 1{"0" * 400}')
    (copy / "evaluation.json").write_text(text, encoding="utf-8")
    assert "not assessed" in build_report(copy).read_text(encoding="utf-8")
    (copy / "evaluation.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(RunError, match=r"evaluation\.json"):
        build_report(copy)


def test_yaml_tags_build_nothing(copy: Path) -> None:
    (copy / "config.yaml").write_text("a: !!python/object/apply:os.getcwd []\n", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be read as YAML"):
        build_report(copy)


def test_a_folder_of_another_version_or_none_is_refused(copy: Path, tmp_path: Path) -> None:
    write_json(copy / "evaluation.json", {"schema_version": 2})
    with pytest.raises(RunError, match="expected schema_version 1, got 2"):
        build_report(copy)
    with pytest.raises(RunError, match="no run folder at"):
        build_report(tmp_path / "nowhere")


def test_the_full_configuration_is_shown_without_facts(page: str, finished: Path) -> None:
    shown = re.search(r"Full configuration</summary><div><pre>(.*?)</pre>", page, flags=re.DOTALL)
    assert shown is not None
    config = yaml.safe_load(shown.group(1).replace("&#34;", '"').replace("&#39;", "'"))
    asked = yaml.safe_load((finished / "config.yaml").read_text(encoding="utf-8"))
    assert config["optim"] == asked["optim"]
    assert config["data"]["root"] == "(path not shown)"
    assert "facts" not in config


def test_colors_of_text_have_contrast_in_light_and_dark() -> None:
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    blocks = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]
    pairs = [
        ("ink", "card"),
        ("ink", "faint"),
        ("soft", "card"),
        ("soft", "faint"),
        ("soft", "page"),
        ("accent", "page"),
    ]
    pairs += [("accent", "card"), ("good", "good-ground"), ("bad", "bad-ground"), ("bad", "card")]
    pairs += [("warn", "warn-ground"), ("band-ink", "band")]
    assert len(blocks) == 3
    for colors in blocks[:2]:
        low = {pair: contrast(colors[pair[0]], colors[pair[1]]) for pair in pairs}
        assert not {pair: ratio for pair, ratio in low.items() if ratio < 4.5}


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2."""

    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_writer_of_the_configuration_can_be_switched_off(finished: Path) -> None:
    assert ReportWriter(enabled=False).write(finished) is None
    with pytest.raises(ValueError, match="max_cases must be 0 or more"):
        ReportWriter(max_cases=-1)


def test_the_report_needs_no_torch(finished: Path, tmp_path: Path) -> None:
    code = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "pytorch_lightning", "monai"}:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Blocker())
from pathlib import Path
from scanlens.report.page import build_report
from scanlens.report.summary import console_table
build_report(Path(sys.argv[1]), out=Path(sys.argv[2]), max_cases=1)
assert "AUROC" in console_table(Path(sys.argv[1]))
"""
    out = tmp_path / "page.html"
    subprocess.run([sys.executable, "-c", code, str(finished), str(out)], check=True, timeout=60)
    assert out.is_file()
