"""`selftest.html`: what a self-test checked, beside links to its three runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scanlens.files import write_text
from scanlens.report.folder import mapping, read_selftest_file, sequence
from scanlens.report.html import rendered
from scanlens.report.words import duration


def build_selftest_page(folder: Path) -> Path:
    """Write selftest.html beside selftest.json; links lead to the pages of the runs below the same folder.

    Raises:
        RunError: if selftest.json is missing or cannot be understood.
    """
    content = read_selftest_file(folder)
    pages = {str(name): f"{name}/report/index.html" for name in mapping(content.get("runs"))}
    existing = {name: page for name, page in pages.items() if (folder / page).is_file()}
    write_text(folder / "selftest.html", render(content, existing))
    return folder / "selftest.html"


def render(content: dict[str, Any], pages: dict[str, str]) -> str:
    """The page as text.

    Args:
        content: of selftest.json.
        pages: of the runs that have one, relative to the page.
    """
    checks = [mapping(one) for one in sequence(content.get("checks"))]
    runs = [
        {
            "title": title,
            "page": pages.get(str(name), ""),
            "checks": [one for one in checks if one.get("run") == name],
        }
        for name, title in mapping(content.get("runs")).items()
    ]
    return rendered(
        "selftest.html.j2",
        passed=bool(content.get("passed")),
        title=f"{content.get('model')} with {content.get('explain')}, seed {content.get('seed')}",
        taken=duration(content.get("duration_s")),
        runs=runs,
    )
