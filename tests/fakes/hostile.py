"""A run folder whose every name and sentence tries to be more than text: markup, scripts, template code, formulas, LaTeX."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from fakes.full_report import fill_run_folder, rename_classes
from fakes.run_folder import write_run_folder

MARK = "planted"  # the global that a script sets which runs
HTML = (
    f'<img src=x onerror="window.{MARK}=1">',
    f'"><script>window.{MARK}=2</script>',
    f"</style><script>window.{MARK}=3</script>",
    f"'\"><svg onload=window.{MARK}=4>",
    f"javascript:window.{MARK}=5",
    f"</title></pre></details><iframe srcdoc='<script>top.{MARK}=6</script>'>",
    f'" autofocus onfocus="window.{MARK}=7" x="',
    "{{7*7}}{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/"><link rel=stylesheet href=http://127.0.0.1:9/x.css>',
    "]]><!--",
    f"![x](http://127.0.0.1:9/x.png)[x](javascript:window.{MARK}=8)",
)
FORMULAS = (
    '=HYPERLINK("http://127.0.0.1:9/?"&A1,"open")',
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "＝1+1",
)
LATEX = (
    r"\input{/etc/passwd}",
    r"\immediate\write18{id>pwned}",
    r"^^5cinput{/etc/passwd}",
    "[0pt]\f\n\n\\end{tabular}\\catcode`\\%=12 %",
    r"$\csname input\endcsname|ls|$",
)
ALL = (*HTML, *FORMULAS, *LATEX)
CLASSES = {
    "glioma": f"{HTML[0]}{HTML[1]}{HTML[10]}",
    "meningioma": f"{FORMULAS[0]} {HTML[2]}",
    "pituitary": f"{LATEX[3]}{LATEX[0]}",
    "no_tumor": f"{FORMULAS[1]}{HTML[7]}",
}


def write_hostile_run(folder: Path) -> Path:
    """Write the folder and return it; every text differs, and all of `ALL` are used."""
    ready = cycle(ALL)
    fill_run_folder(write_run_folder(folder), say=lambda _: next(ready))
    rename_classes(folder, CLASSES)
    return folder
