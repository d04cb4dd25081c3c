"""Tables for papers: LaTeX with the booktabs package, and the same numbers as rows for CSV."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scanlens.files import write_csv, write_text
from scanlens.report.folder import mapping, read_run
from scanlens.report.result_rows import COLUMNS, result_rows
from scanlens.report.tables import CLASS_METRICS, METRICS, RECONSTRUCTION
from scanlens.report.words import point, with_interval

MATH = (r"\leq", r"\geq", r"\pm", r"\times", r"\mu", r"\mu", "-")  # signs that fonts for text lack
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "|": r"\textbar{}",
    **{sign: f"${word}$" for sign, word in zip("≤≥±×µμ−", MATH, strict=True)},
    "\u202f": r"\,",
    "\u00a0": "~",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_PATTERN = re.compile("|".join(re.escape(sign) for sign in _SPECIAL))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # a form feed ends a paragraph, others end the run of LaTeX


def escaped(text: str) -> str:
    r"""Text as LaTeX prints it.

    >>> escaped("no_tumor & 95 %")
    'no\\_tumor \\& 95 \\%'
    """
    return _PATTERN.sub(lambda found: _SPECIAL[found.group()], _CONTROL.sub(" ", text))


def latex_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, label: str) -> str:
    """A floating table; the first column is left, all others right.

    Args:
        heads: one a column.
        rows: cells as text, as many as heads.
        caption: in words.
        label: for references, letters, digits, ':' and '-' only.
    """
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{escaped(caption)}}}",
            f"  \\label{{{label}}}",
            f"  \\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"    \toprule",
            f"    {_line(heads)}",
            r"    \midrule",
            *(f"    {_line(row)}" for row in rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    """A row that neither the rule nor the end of the row before can take for its argument."""
    text = " & ".join(escaped(cell) for cell in cells)
    return ("{}" if text.lstrip().startswith(("[", "*")) else "") + text + r" \\"


def write_results(run_dir: Path) -> tuple[Path, Path]:
    """Write results.csv (the numbers of evaluation.json, one a row) and results.tex (the test split) into a run folder.

    Raises:
        RunError: if the folder, or a file that it needs, is missing or damaged.
    """
    run = read_run(Path(run_dir))
    table, text = run.path / "results.csv", run.path / "results.tex"
    write_csv(table, COLUMNS, result_rows(run.evaluation))
    heads, rows = _test_table(run.split("test"), is_classification=run.is_classification)
    network = str(mapping(run.facts.get("model_summary")).get("name") or "network")
    caption = f"Test results of {network}, with 95 % intervals."
    write_text(text, latex_table(heads, rows, caption=caption, label="tab:results"))
    return table, text


def _test_table(test: dict[str, Any], *, is_classification: bool) -> tuple[list[str], list[list[str]]]:
    if not is_classification:
        metrics = mapping(test.get("metrics")) or mapping(mapping(test.get("slice")).get("metrics"))
        return ["Metric", "Test"], [
            [label, _cell(metrics.get(key), digits)] for key, label, _, digits in RECONSTRUCTION
        ]
    levels = [mapping(test.get(key)) for key in ("slice", "patient") if mapping(test.get(key))]
    heads = ["Metric", *(f"Per {level.get('unit')}" for level in levels)]
    rows = [[label, *(_cell(mapping(level["metrics"]).get(key)) for level in levels)] for key, label, _ in METRICS]
    for name in mapping(levels[0].get("per_class")) if levels else ():
        of_class = [mapping(mapping(level.get("per_class")).get(name)) for level in levels]
        rows += [[f"{label}, {name}", *(_cell(one.get(key)) for one in of_class)] for key, label in CLASS_METRICS]
    return heads, rows


def _cell(metric: object, digits: int = 3) -> str:
    return "–" if point(metric) is None else with_interval(metric, digits)
