"""Pages as PDF: complete, with fonts inside, equal for equal pages, and unable to fetch anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fakes.optional import why_no_pdf
from fakes.run_folder import write_run_folder
from scanlens.errors import RunError
from scanlens.report.page import ReportWriter, write_report
from scanlens.report.pdf import write_pdf

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"  # WeasyPrint leaves the file of its color profile open
)
PAGE = (
    '<!doctype html><html lang="en"><head><title>t</title></head><body><h1>Case</h1><p>Words – 5 µm</p>{}</body></html>'
)


def reader(path: Path):
    pypdf = pytest.importorskip("pypdf", reason="pypdf reads the PDF")
    return pypdf.PdfReader(path)


@pytest.fixture(autouse=True)
def needs_weasyprint() -> None:
    if reason := why_no_pdf():
        pytest.skip(reason)


def test_words_fonts_and_standard(tmp_path: Path) -> None:
    write_pdf(PAGE.format(""), tmp_path / "a.pdf", title="a")
    found = reader(tmp_path / "a.pdf")
    assert "Words – 5 µm" in found.pages[0].extract_text()
    fonts = [font.get_object() for font in found.pages[0]["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor), "fonts are embedded"
    meta = (tmp_path / "a.pdf").read_bytes()
    assert b"pdfaid:part" in meta or b"pdfaid" in found.trailer["/Root"]["/Metadata"].get_object().get_data()


def test_equal_pages_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        write_pdf(PAGE.format(""), tmp_path / name, title=name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_nothing_is_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text y="9">SECRET</text></svg>', encoding="utf-8")
    write_pdf(PAGE.format(f'<img src="{secret.as_uri()}" alt="missing">'), tmp_path / "a.pdf", title="a")
    assert "SECRET" not in reader(tmp_path / "a.pdf").pages[0].extract_text()


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(RunError, match=r"pip install 'scanlens\[pdf\]'"):
        write_pdf(PAGE.format(""), tmp_path / "a.pdf", title="a")
    assert not (tmp_path / "a.pdf").exists()


def test_a_training_that_cannot_write_pdf_still_has_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run_folder(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    page = ReportWriter(pdf=True).write(folder)
    assert page is not None
    assert page.is_file()
    assert not page.with_suffix(".pdf").exists()


@pytest.mark.slow
def test_the_page_of_a_run_and_its_sheets(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "run")
    page = write_report(folder, pdf=True)
    sheets = sorted((page.parent / "cases").glob("*.pdf"))
    assert len(sheets) == len(list((page.parent / "cases").glob("*.html"))) > 3
    for sheet in sheets:
        found = reader(sheet)
        assert len(found.pages) <= 2
        text = " ".join(one.extract_text() for one in found.pages)
        assert sheet.stem in text
        assert "Not a medical device" in text
    assert len(reader(page.with_suffix(".pdf")).pages) > 3
    write_report(folder, pdf=False)
    assert not list(page.parent.rglob("*.pdf")), "what is older than the page goes"
