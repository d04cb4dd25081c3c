"""Pages as PDF for the archive: fonts embedded, PDF/A-3u, tagged, and nothing fetched.

Made by WeasyPrint (extra `pdf`), which knows no scripts and is given no way to load anything: a page holds all it needs.
Equal pages give equal bytes.
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from pathlib import Path
from typing import Any

from scanlens.errors import RunError
from scanlens.files import write_bytes

VARIANT = "pdf/a-3u"
_LACKING = (
    "PDF needs WeasyPrint and the system library Pango: pip install 'scanlens[pdf]', and of the system libpango-1.0-0 and "
    "libpangoft2-1.0-0 (Debian, Ubuntu) or pango (Homebrew)."
)


def write_pdfs(report: Path) -> list[Path]:
    """Write the page of a run and the sheets of its cases as PDF, each beside its page.

    Args:
        report: the folder `report` of a run, with its pages.

    Raises:
        RunError: if WeasyPrint is not there, or cannot lay a page out.
    """
    pages = [path for path in (report / "index.html", *sorted((report / "cases").glob("*.html"))) if path.is_file()]
    for page in pages:
        write_pdf(page.read_text(encoding="utf-8"), page.with_suffix(".pdf"), title=page.name)
    return [page.with_suffix(".pdf") for page in pages]


def write_pdf(page: str, path: Path, *, title: str) -> None:
    """Write a page as PDF.

    Args:
        page: HTML that holds all it needs.
        path: of the PDF.
        title: for the message if it fails.

    Raises:
        RunError: if WeasyPrint is not there, or cannot lay the page out.
    """
    html = _weasyprint()
    try:
        made = html(string=page).write_pdf(
            pdf_identifier=hashlib.sha256(page.encode()).digest()[:16], pdf_variant=VARIANT, presentational_hints=True
        )
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OSError, RecursionError) as error:
        raise RunError(
            f"{title} could not be laid out as PDF ({type(error).__name__}: {error}). The page itself is written."
        ) from error
    write_bytes(path, made)


def _weasyprint() -> Any:
    """Makes a document of a page; it may open what is inlined in it and nothing else."""
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:
        raise RunError(f"{_LACKING} ({str(error).splitlines()[0][:200]})") from error
    logging.getLogger("weasyprint").setLevel(logging.ERROR)  # it warns of every property for screens
    return partial(HTML, url_fetcher=URLFetcher(allowed_protocols={"data"}))
