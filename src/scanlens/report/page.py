"""`report/index.html`: one self-contained page, written from a run folder alone.

The page asks for nothing (see `html`). The same run folder gives the same bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.errors import RunError
from scanlens.files import make_private_folder, write_text
from scanlens.report import charts, facts, sentences, tables
from scanlens.report.audit import Check, checks
from scanlens.report.audit_page import build_audit_page
from scanlens.report.case_sheet.write import case_table, write_cases
from scanlens.report.cases import explained_cases, methods, picture
from scanlens.report.checklist import NOTE, checklists, write_checklist
from scanlens.report.cohort import measured_table, write_cohort
from scanlens.report.explanations import explanation_sections
from scanlens.report.external_page import render_external
from scanlens.report.flow import data_flow, flow_chart
from scanlens.report.folder import RunFolder, finite, mapping, read_run, sequence, understood
from scanlens.report.html import rendered
from scanlens.report.intended_use import intended_use, tested_on
from scanlens.report.latex import write_results
from scanlens.report.manifest import write_manifest
from scanlens.report.methods_text import methods_paragraphs, write_methods
from scanlens.report.pdf import write_pdfs
from scanlens.report.readers import read_readers, readers_section
from scanlens.report.robustness import robustness_section
from scanlens.report.stamps import stamps_in_words
from scanlens.report.tiles import tiles
from scanlens.report.trust import trust_sections
from scanlens.report.uncertainty import uncertainty_section
from scanlens.report.words import NOT_ASSESSED, counted, point, whole, without_paths

log = logging.getLogger(__name__)

DEFAULT_CASES = 12
MOST_LETTERS = 600
_PAPER_FILES = (
    ("results.csv", "../results.csv"),
    ("results.tex", "../results.tex"),
    ("methods.txt", "methods.txt"),
    ("checklist.csv", "checklist.csv"),
    ("checklist.md", "checklist.md"),
    ("cohort.json", "cohort.json"),
)
_LEVELS = (("patient", "per patient"), ("slice", "per image"))


class ReportWriter:
    """What the configuration group `report` builds.

    Args:
        enabled: whether a page is written at all.
        max_cases: how many explained cases the page shows, misses first; all others have their sheet and a row in the table.
        pdf: also write the page and the sheet of every case as PDF (extra `pdf`).
        intended_use: what the network is for, in the words of those who answer for it; None for a sentence made of numbers of the run.
        reveal_after_commit: whether sheets hide output and maps until the reader has answered.
    """

    def __init__(
        self,
        *,
        enabled: bool = True,
        max_cases: int = DEFAULT_CASES,
        pdf: bool = False,
        intended_use: str | None = None,
        reveal_after_commit: bool = False,
    ) -> None:
        if max_cases < 0:
            raise ValueError(f"report.max_cases must be 0 or more, got {max_cases}")
        if intended_use is not None and len(intended_use) > MOST_LETTERS:
            raise ValueError(f"report.intended_use has {len(intended_use)} letters, expected at most {MOST_LETTERS}")
        self.enabled, self.max_cases, self.pdf = enabled, max_cases, pdf
        self.intended_use, self.reveal_after_commit = intended_use, reveal_after_commit

    def write(self, run_dir: Path) -> Path | None:
        """Write the page of this run, and what belongs to it, and return where it lies; None if no page is wanted."""
        if not self.enabled:
            return None
        path = write_report(run_dir, max_cases=self.max_cases, pdf=False)
        if self.pdf:
            try:
                write_pdfs(path.parent)
            except RunError as error:
                log.warning("no PDF was written: %s", error)
            write_manifest(path.parent)
        return path


def write_report(
    run_dir: Path, *, max_cases: int | None = None, pdf: bool | None = None, settings: Mapping[str, Any] | None = None
) -> Path:
    """Write tables, checklists, methods text, sheets of cases, the page of the audit and, last, the page of a run; where that lies.

    Args:
        run_dir: the run folder.
        max_cases: how many explained cases are shown; None for what the configuration of the run says.
        pdf: also write PDF; None for what the configuration of the run says.
        settings: `intended_use` and `reveal_after_commit` in place of what the configuration of the run says.

    Raises:
        RunError: if the folder, or a file that the page needs, is missing or damaged, or PDF is wanted and cannot be made.
    """
    run = _with_settings(read_run(Path(run_dir)), settings)
    _refuse_link(run.path / "report")
    make_private_folder(run.path / "report")
    write_results(run.path)
    write_checklist(run)
    write_methods(run)
    build_audit_page(run.path)
    write_cases(run)
    write_cohort(run)
    path = build_report(run.path, max_cases=max_cases, settings=settings)
    if bool(mapping(run.config.get("report")).get("pdf")) if pdf is None else pdf:
        write_pdfs(path.parent)
    else:
        path.with_suffix(".pdf").unlink(missing_ok=True)  # of a former page
    write_manifest(path.parent)
    return path


def build_report(
    run_dir: Path,
    *,
    out: Path | None = None,
    max_cases: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write the page of a run; all of it, or what was there before.

    Args:
        run_dir: the run folder.
        out: the file to write; `report/index.html` of the run folder if None.
        max_cases: how many explained cases are shown; None for what the configuration of the run says.
        settings: see `write_report`.

    Returns:
        The file written.

    Raises:
        RunError: if the folder, or a file that the page needs, is missing or damaged.
    """
    text = render(_with_settings(read_run(Path(run_dir)), settings), max_cases=max_cases)
    path = Path(run_dir) / "report" / "index.html" if out is None else Path(out)
    if out is None:
        _refuse_link(path.parent)
        make_private_folder(path.parent)
    write_text(path, text)
    return path


def _with_settings(run: RunFolder, settings: Mapping[str, Any] | None) -> RunFolder:
    """The run with other settings of its report."""
    own = mapping(run.config.get("report"))
    return replace(run, config={**run.config, "report": {**own, **settings}}) if settings else run


def _refuse_link(folder: Path) -> None:
    if folder.is_symlink():
        raise RunError(f"{folder} is a link, and the page would land elsewhere. Remove the link.")


def render(run: RunFolder, *, max_cases: int | None = None) -> str:
    """The page as text; that of an external evaluation if the folder is one."""
    if run.evaluation.get("external"):
        return render_external(run)
    if max_cases is None:
        configured = finite(mapping(run.config.get("report")).get("max_cases"))
        max_cases = DEFAULT_CASES if configured is None else max(0, int(configured))
    explained = explanation_sections(run)
    parts: dict[str, Any] = {
        "measured": measured_table(run),
        "robustness_part": robustness_section(run),
        "uncertainty_part": uncertainty_section(run),
        "readers_part": readers_section(run),
        "explanation_parts": explained,
    }
    return rendered(
        "index.html.j2",
        scripts=("table.js",),
        **_head(run, explained),
        **_body(run),
        **trust_sections(run),
        **parts,
        **_explanations(run, max_cases),
        **_reporting(run),
    )


def _head(run: RunFolder, explained: list[dict[str, Any]]) -> dict[str, Any]:
    network = str(mapping(run.facts.get("model_summary")).get("name") or "Network")
    data = str(mapping(run.config.get("data")).get("name") or "images")
    about = [str(run.config.get("run_id") or ""), str(run.provenance.get("created") or "")[:10], _task(run)]
    contents = [
        ("summary", "Summary"),
        ("data", "Data and training"),
        ("audit", "Audit"),
        ("learning", "Learning curves"),
        ("results", "Results"),
    ]
    if run.is_classification:
        contents += [("decisions", "Threshold"), ("calibration", "Calibration"), ("subgroups", "Subgroups")]
    if run.evaluation.get("uncertainty"):
        contents.append(("uncertainty", "Uncertainty"))
    if run.robustness:
        contents.append(("robustness", "Robustness"))
    contents += [
        ("cases", "Explained cases"),
        ("localization", "Localization"),
        *((one["name"], one["title"]) for one in explained),
        *([("readers", "Readers")] if read_readers(run) else []),
        ("network", "Filters"),
        ("reporting", "For a paper"),
        ("provenance", "Provenance"),
    ]
    return {
        "title": f"{network} on {data}",
        "subtitle": " · ".join(part for part in about if part),
        "contents": contents,
        "tiles": tiles(run),
        "findings": sentences.findings(run),
        "use": [intended_use(run), tested_on(run)],
        "cautions": sentences.cautions(run),
        "is_classification": run.is_classification,
    }


def _task(run: RunFolder) -> str:
    return (
        f"{counted(len(run.class_names), 'class').replace('classs', 'classes')}"
        if run.is_classification
        else "reconstruction"
    )


def _audit_checks(run: RunFolder) -> list[Check]:
    with understood(run.path / "audit.json"):
        return checks(run.audit) if run.audit else []


def _body(run: RunFolder) -> dict[str, Any]:
    best = finite(run.evaluation.get("best_epoch"))
    confidence, is_right = _stated(run)
    return {
        "data_facts": facts.data_facts(run),
        "model_facts": facts.model_facts(run),
        "counts": facts.count_table(run),
        "counts_chart": _markup(charts.class_counts(mapping(run.facts.get("counts")), run.class_names)),
        "quarantine": facts.quarantine_table(run),
        "flow": _markup(flow_chart(data_flow(run))),
        "audit_checks": _audit_checks(run),
        "overrides": [str(one) for one in sequence(mapping(run.audit).get("overrides"))],
        "chosen": without_paths("\n".join(str(line) for line in sequence(run.facts.get("chosen")))),
        "curves": [
            Markup(svg) for svg in charts.learning_curves(run.epochs, best_epoch=None if best is None else int(best))
        ],
        "metrics": tables.metric_table(run) if run.is_classification else {},
        "levels": _levels(run) if run.is_classification else [],
        "class_heads": [label for _, label in tables.CLASS_METRICS],
        "calibration": _markup(charts.calibration(confidence, is_right)),
        "reconstruction": {
            "rows": tables.reconstruction_table(run),
            "num": whole(sentences.num_rebuilt(run.split("test"))),
        },
        "localization": tables.localization_table(run),
        "provenance": facts.provenance_table(run),
        "configuration": facts.configuration_text(run),
    }


def _levels(run: RunFolder) -> list[dict[str, Any]]:
    """Per-class table, confusion matrix and ROC of the levels there are, patients first."""
    found = []
    for key, name in _LEVELS:
        metrics = mapping(run.split("test").get(key))
        if metrics:
            aurocs = {
                label: point(mapping(one).get("auroc")) for label, one in mapping(metrics.get("per_class")).items()
            }
            confusion = charts.confusion_matrix(
                sequence(metrics.get("confusion")), run.class_names, name=f"confusion-{key}"
            )
            found.append(
                {
                    "name": name,
                    "rows": tables.class_table(metrics, run.class_names),
                    "caption": f"{sentences.judged_on(run.split('test'), key)} of the test split; each class against all others.",
                    "confusion": _markup(confusion),
                    "roc": _markup(charts.roc_curves(mapping(metrics.get("roc")), aurocs, name=f"roc-{key}")),
                }
            )
    return found


def _stated(run: RunFolder) -> tuple[list[float], list[bool]]:
    """Probability of the predicted class, and whether it was right, of every test image."""
    pairs = [
        (finite(row.get(f"prob_{row.get('predicted')}")), row.get("predicted") == row.get("target"))
        for row in run.predictions
    ]
    known = [(p, is_right) for p, is_right in pairs if p is not None]
    return [p for p, _ in known], [is_right for _, is_right in known]


def _explanations(run: RunFolder, max_cases: int) -> dict[str, Any]:
    known = mapping(run.explanations)
    cases = explained_cases(run, max_cases=max_cases)
    blank = finite(known.get("blank_maps"))
    total = sum(len(sequence(mapping(one).get("maps"))) for one in sequence(known.get("cases")))
    folder, rows = run.path / "explanations", case_table(run)
    return {
        "cases": cases,
        "case_rows": rows,
        "sheets": [row["case"] for row in rows],
        "methods": [{**one, "bar": _markup(one["bar"])} for one in methods(run)],
        "stamps": stamps_in_words(run),
        "num_hidden_cases": max(0, len(sequence(known.get("cases"))) - len(cases)),
        "explained_note": without_paths(known.get("note") or ""),
        "blank_note": f"Blank maps: {NOT_ASSESSED if blank is None else f'{blank:.0f} of {total}'}.",
        "filters": picture(folder, "filters.png"),
        "feature_maps": picture(folder, "feature_maps.png"),
    }


def _reporting(run: RunFolder) -> dict[str, Any]:
    return {
        "methods_text": methods_paragraphs(run),
        "checklists": checklists(run),
        "checklist_note": NOTE,
        "paper_files": [(name, href) for name, href in _PAPER_FILES if (run.path / "report" / href).is_file()],
    }


def _markup(svg: str | None) -> Markup | None:
    """SVG that `charts` made and escaped."""
    return Markup(svg) if svg else None
