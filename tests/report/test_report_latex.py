"""Results for papers."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fakes.run_folder import write_run_folder
from scanlens.files import read_csv
from scanlens.report.folder import read_run
from scanlens.report.latex import escaped, latex_table, write_results


def test_signs_that_latex_takes_for_its_own_are_escaped() -> None:
    assert escaped(r"a\b {x} 5 % & no_tumor #1 $ ~ ^") == (
        r"a\textbackslash{}b \{x\} 5 \% \& no\_tumor \#1 \$ \textasciitilde{} \textasciicircum{}"
    )
    assert escaped("> 0.999 – 1\u202f000") == r"\textgreater{} 0.999 -- 1\,000"


def test_a_table_has_one_line_a_row() -> None:
    text = latex_table(
        ["Metric", "Test"], [["AUROC", "0.97 (0.94 to 0.99)"], ["a_b", "–"]], caption="5 %", label="tab:x"
    )
    assert "    AUROC & 0.97 (0.94 to 0.99) \\\\\n    a\\_b & -- \\\\\n    \\bottomrule\n" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"\caption{5 \%}" in text


def test_results_of_a_run_are_written_beside_its_evaluation(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path)
    table, text = write_results(folder)
    run = read_run(folder)
    rows = {
        (row["split"], row["level"], row["class"], row["metric"]): row
        for row in read_csv(table)
        if row["part"] == "performance"
    }
    auroc = run.split("test")["patient"]["metrics"]["auroc"]
    assert float(rows["test", "patient", "", "auroc"]["value"]) == auroc["value"]
    assert float(rows["test", "patient", "", "auroc"]["low"]) == auroc["low"]
    name = run.class_names[0]
    assert (
        float(rows["val", "image", name, "f1"]["value"]) == run.split("val")["slice"]["per_class"][name]["f1"]["value"]
    )
    assert not [key for key in rows if key[3] == "num"]
    written = text.read_text(encoding="utf-8")
    assert f"AUROC & {run.split('test')['slice']['metrics']['auroc']['value']:.3f}" in written
    assert "Per image & Per patient" in written
    assert not re.search(r"(?<!\\)_", written)


def test_odd_class_names_leave_a_table_that_latex_can_read(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path)
    odd = "[a] * 5 % & \\textbf{x} ≥ 2 cm_1 $^~#|\n\nÖdem µ"
    path = folder / "evaluation.json"
    content = path.read_text(encoding="utf-8").replace('"glioma"', json.dumps(odd))
    path.write_text(content, encoding="utf-8")
    text = write_results(folder)[1].read_text(encoding="utf-8")
    commands = set(re.findall(r"\\([a-zA-Z]+)", text))
    own = {"usepackage", "begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule"}
    assert commands - own == {
        "textbackslash", "textasciitilde", "textasciicircum", "textbar", "geq", "mu"
    } | (commands & {"textless", "textgreater"})  # fmt: skip
    bare = re.sub(r"\\[\\{}&%$#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search(r"(?<!\\)[#~^]", re.sub(r"\\text\w+\{\}", "", bare))
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:-1]
    assert len(body) > 20
    for line in body:
        assert line.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", line)) == 2


def test_a_row_does_not_become_the_argument_of_the_end_of_the_row_before() -> None:
    text = latex_table(["Metric", "Test"], [["[a]", "1"], ["* b", "2"]], caption="", label="tab:x")
    assert "    {}[a] & 1" in text
    assert "    {}* b & 2" in text
