"""The report in Chromium: what a reader can do, what screen readers and phones get, and that nothing planted runs.

Needs the Python packages playwright and axe-playwright-python and a Chromium on the PATH; no browser is downloaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fakes.browsing import CHROMIUM, NO_CHROMIUM, WCAG, WIDTHS, barriers, chromium, opened
from fakes.full_report import fill_run_folder
from fakes.hostile import CLASSES, MARK, write_hostile_run
from fakes.run_folder import write_run_folder
from scanlens.report.folder import read_run
from scanlens.report.html import NOTICE
from scanlens.report.page import write_report
from scanlens.report.reader_files import read_reader_files

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `report` of a run with all parts."""
    run = fill_run_folder(write_run_folder(tmp_path_factory.mktemp("browser") / "run"))
    return write_report(run).parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of this file."""
    with chromium() as started:
        yield started


def pages(report: Path) -> list[Path]:
    return [report / "index.html", report / "audit.html", *sorted((report / "cases").glob("*.html"))]


def names_in_table(page: Any) -> list[str]:
    """Cases in the order of the rows that are shown."""
    return page.locator("table.sortable tbody tr:visible th a").all_inner_texts()


def sheet_with_map(report: Path) -> Path:
    return next(p for p in sorted((report / "cases").glob("*.html")) if 'id="fade"' in p.read_text(encoding="utf-8"))


def sheets_in_order(browser: Any, report: Path) -> list[str]:
    with opened(browser, report / "index.html") as (page, _):
        return names_in_table(page)


def test_the_slider_fades_the_map_and_says_how_far(browser: Any, report: Path) -> None:
    with opened(browser, sheet_with_map(report)) as (page, heard):
        slider, heat = page.get_by_label("Filled map"), page.locator("figure:has(#fade) .heat")
        shown = [(heat.evaluate("one => getComputedStyle(one).opacity"), page.locator("#faded").inner_text())]
        for value in ("30", "100"):
            slider.fill(value)
            shown.append((heat.evaluate("one => getComputedStyle(one).opacity"), page.locator("#faded").inner_text()))
        assert shown == [("0", "0 %"), ("0.3", "30 %"), ("1", "100 %")], "outlines alone at first"
        outline = page.locator("figure:has(#fade) svg.lines")
        assert outline.evaluate("one => getComputedStyle(one).opacity") == "1", "the outline stays"
        assert heard.found == []


def test_keys_move_the_slider_and_do_not_turn_the_page_meanwhile(browser: Any, report: Path) -> None:
    with opened(browser, sheet_with_map(report)) as (page, heard):
        page.locator("#fade").focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
            page.keyboard.press(key)
        assert page.locator("#faded").inner_text() == "10 %"
        page.keyboard.press("End")
        assert page.locator("#faded").inner_text() == "100 %"
        assert page.url == sheet_with_map(report).as_uri()
        assert heard.found == []


def test_arrow_keys_go_through_the_cases_in_the_order_of_the_table(browser: Any, report: Path) -> None:
    names = sheets_in_order(browser, report)
    assert len(names) == 6
    with opened(browser, report / "cases" / f"{names[0]}.html") as (page, heard):
        seen = [Path(page.url).stem]
        for key in ("ArrowLeft", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "ArrowLeft"):
            page.keyboard.press(key)
            page.wait_for_load_state()
            page.wait_for_timeout(150)
            seen.append(Path(page.url).stem)
        assert seen == [names[0], names[0], names[1], names[2], names[2], names[1]]
        assert heard.found == []
        assert set(heard.opened) == {(report / "cases" / f"{name}.html").as_uri() for name in names[:3]}


def test_the_filter_leaves_the_rows_with_all_words_and_counts_them(browser: Any, report: Path) -> None:
    with opened(browser, report / "index.html") as (page, heard):
        texts = dict(zip(names_in_table(page), page.locator("table.sortable tbody tr").all_inner_texts(), strict=True))
        told, field = page.locator("#case-told"), page.get_by_label("Show only rows with")
        for words in ("wrong", "WRONG glioma", "supported", "no such word"):
            field.fill(words)
            expected = [name for name, text in texts.items() if all(w in text.lower() for w in words.lower().split())]
            assert names_in_table(page) == expected
            assert told.inner_text() == f"{len(expected)} of 6 cases"
        field.fill("")
        assert names_in_table(page) == list(texts)
        assert told.get_attribute("role") == "status"
        assert heard.found == []


def test_every_column_sorts_both_ways_and_says_so(browser: Any, report: Path) -> None:
    with opened(browser, report / "index.html") as (page, heard):
        heads = page.locator("table.sortable thead th")
        first = names_in_table(page)
        for place in range(heads.count()):
            head = heads.nth(place)
            for direction in ("ascending", "descending", "ascending"):
                head.get_by_role("button").press("Enter")
                assert head.get_attribute("aria-sort") == direction
                assert page.locator("table.sortable th[aria-sort]").count() == 1
                found = [key(text) for text in page.locator(f"table.sortable tbody tr > :nth-child({place + 1})").all()]
                pairs = list(pairwise(found))
                assert all(a <= b if direction == "ascending" else a >= b for a, b in pairs), (place, found)
        assert sorted(names_in_table(page)) == sorted(first), "no row is lost"
        assert head.get_by_role("button").evaluate("one => one.textContent") == "Image"
        assert heard.found == []


def key(cell: Any) -> tuple[float, str]:
    """What a column is to be sorted by: its number if it has one, else its words."""
    number = cell.get_attribute("data-sort")
    return (float(number), "") if number else (0.0, cell.evaluate("one => one.textContent.trim()").casefold())


def test_pages_are_quiet_ask_for_nothing_and_open_quickly(browser: Any, report: Path) -> None:
    for path in pages(report):
        with opened(browser, path) as (page, heard):
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            page.evaluate("document.querySelectorAll('img').forEach(one => one.loading = 'eager')")
            page.wait_for_function("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
            assert heard.found == [], path.name
            assert heard.opened == [path.as_uri()]
            took = "performance.getEntriesByType('navigation')[0].loadEventEnd"
            if page.evaluate(took) > 2000:  # the machine may have been busy
                page.reload()
            assert page.evaluate(took) < 2000, path.name


def test_a_breach_of_the_policy_would_be_heard(browser: Any, report: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    text = (report / "index.html").read_text(encoding="utf-8")
    broken.write_text(text.replace("</main>", "<img src=x.png><script>1</script></main>"), encoding="utf-8")
    with opened(browser, broken) as (page, heard):
        page.wait_for_timeout(100)
        assert len([one for one in heard.found if "Content Security Policy" in one]) == 2


def test_without_scripts_pages_say_and_show_the_same(browser: Any, report: Path) -> None:
    for path in (report / "index.html", sheet_with_map(report)):
        with opened(browser, path) as (page, _):
            scripted = sentences(page)
        with opened(browser, path, java_script_enabled=False) as (page, heard):
            plain = sentences(page)
            assert page.locator(".fade, .filter").count() == 1
            assert not page.locator(".fade, .filter").is_visible()
            assert page.locator("table.sortable button").count() == 0
            assert heard.found == []
        assert len(plain) > 40
        assert plain == scripted


def sentences(page: Any) -> list[str]:
    """Lines of the page but those of slider and filter; pictures by their words."""
    said, reader = page.locator("main").inner_text(), page.locator("#reader")
    if reader.count():  # a form to click with scripts, one to write on without
        assert reader.inner_text() in said
        said = said.replace(reader.inner_text(), "")
    lines = [line.strip() for line in said.splitlines()]
    own = re.compile(r"Filled map|\d+ %|Show only rows with.*|")
    pictures = [one.get_attribute("alt") or "" for one in page.locator("main img").all()]
    return [line for line in lines if not own.fullmatch(line)] + pictures


def downloaded(page: Any) -> tuple[str, dict[str, Any]]:
    """Name and content of what the box of the reader offers."""
    with page.expect_download() as offered:
        page.locator("#save").click()
    path = offered.value.path()
    return offered.value.suggested_filename, json.loads(Path(path).read_text(encoding="utf-8"))


def test_the_box_of_the_reader_offers_a_file_that_the_run_understands(browser: Any, tmp_path: Path) -> None:
    run = write_run_folder(tmp_path / "run")
    path = sheet_with_map(write_report(run).parent)
    with opened(browser, path, accept_downloads=True) as (page, heard):
        page.locator("#save").click()
        assert page.locator("#saved").inner_text() == "Choose agree, disagree or cannot tell first."
        page.get_by_label("disagree").check()
        page.keyboard.press("ArrowRight")  # moves on to "cannot tell", and does not turn the page
        page.keyboard.press("ArrowLeft")
        page.get_by_label("Your own reading").select_option("pituitary")
        page.get_by_label("Comment").fill("</script><b>too \u201cdark\u201d</b>")
        page.get_by_label("Initials").fill("jd")
        page.get_by_label("tell the seconds").check()
        name, content = downloaded(page)
        assert page.url == path.as_uri()
        assert name == f"{path.stem}.reader.json"
        seconds = content.pop("seconds")
        assert 0 < seconds < 600
        assert {key: content[key] for key in ("case", "answer", "reading", "answered_before_reveal", "comment", "reader")} == {
            "case": path.stem, "answer": "disagree", "reading": "pituitary", "answered_before_reveal": False,
            "comment": "</script><b>too \u201cdark\u201d</b>", "reader": "jd",
        }  # fmt: skip
        assert heard.found == []
        assert [one for one in heard.opened if not one.startswith("blob:")] == [path.as_uri()]
    (run / "readers").mkdir()
    (run / "readers" / name).write_text(json.dumps(content | {"seconds": seconds}), encoding="utf-8")
    found = read_reader_files(read_run(run))
    assert (list(found.readings), found.refused) == ([name], {})


def test_a_sheet_can_hide_the_output_until_the_reader_has_answered(browser: Any, tmp_path: Path) -> None:
    run = write_run_folder(tmp_path / "run")
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(
        config.replace("max_cases: 12", "max_cases: 12\n  reveal_after_commit: true"), encoding="utf-8"
    )
    path = sheet_with_map(write_report(run).parent)
    with opened(browser, path, accept_downloads=True) as (page, heard):
        assert not page.locator("#answer").is_visible()
        assert not page.locator("#save").is_visible()
        page.get_by_label("Your own reading").select_option("meningioma")
        page.locator("#commit").click()
        assert page.locator("#answer").is_visible()
        assert page.get_by_label("Your own reading").is_disabled()
        page.get_by_label("agree", exact=True).check()
        content = downloaded(page)[1]
        assert (content["answered_before_reveal"], content["reading"], content["answer"]) == (
            True,
            "meningioma",
            "agree",
        )
        assert content["seconds"] is None
        assert heard.found == []
    with opened(browser, path, accept_downloads=True) as (page, _):
        page.locator("#output-hidden > summary").click()
        page.get_by_label("cannot tell").check()
        assert downloaded(page)[1]["answered_before_reveal"] is False
        assert not page.locator("#commit").is_visible()
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    for width in WIDTHS.values():
        with opened(browser, path, bypass_csp=True, width=width) as (page, _):
            page.locator("#commit").click()
            result = (
                axe.Axe()
                .run(page, options={"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]})
                .response
            )
            assert [one["id"] for one in result["violations"]] == []


def test_without_scripts_and_on_paper_the_box_is_a_form_to_be_filled_by_hand(browser: Any, report: Path) -> None:
    with opened(browser, sheet_with_map(report), java_script_enabled=False) as (page, _):
        assert page.locator("#reader .paper").is_visible()
        assert not page.locator("#reader-form").is_visible()
    with opened(browser, sheet_with_map(report)) as (page, _):
        assert not page.locator("#reader .paper").is_visible()
        page.emulate_media(media="print")
        assert page.locator("#reader .paper").is_visible()
        assert not page.locator("#reader-form").is_visible()


def test_on_paper_there_is_no_slider_and_the_filled_map_stands_apart(browser: Any, report: Path) -> None:
    with opened(browser, sheet_with_map(report)) as (page, _):
        page.locator("#fade").fill("60")
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.locator("nav").is_visible()
        assert not page.locator(".fade").is_visible()
        assert page.locator(".notice").first.is_visible()
        assert page.locator(".notice").first.inner_text() == NOTICE
        opacity = "one => getComputedStyle(one).opacity"
        assert page.locator("figure:has(#fade) .heat").evaluate(opacity) == "0", "outlines alone"
        assert page.locator(".seen .heat").evaluate(opacity) == "1"
        assert luminance(page, "color") < 0.05 < 0.9 < luminance(page, "background-color"), "dark on white"
    with opened(browser, report / "index.html") as (page, _):
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        assert not page.locator(".filter").is_visible()
        assert page.locator(".notice").first.is_visible()


def luminance(page: Any, what: str) -> float:
    """Mean channel of a color of the page, in [0, 1]."""
    color = page.evaluate(f"getComputedStyle(document.body).getPropertyValue('{what}')")
    return sum(float(one) for one in re.findall(r"[\d.]+", color)[:3]) / 3 / 255


def test_the_page_follows_the_colors_of_the_system(browser: Any, report: Path) -> None:
    for scheme, is_dark in (("light", False), ("dark", True)):
        with opened(browser, report / "index.html", color_scheme=scheme) as (page, _):
            assert (luminance(page, "background-color") < 0.2) is is_dark
            assert (luminance(page, "color") > 0.8) is is_dark


def test_pages_fit_a_phone(browser: Any, report: Path) -> None:
    for path in pages(report)[:4]:
        with opened(browser, path, width=WIDTHS["phone"]) as (page, _):
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS["phone"], path.name


@pytest.mark.parametrize("which", ["index", "audit", "sheet"])
def test_axe_finds_no_barrier(browser: Any, report: Path, which: str) -> None:
    path = sheet_with_map(report) if which == "sheet" else report / f"{which}.html"
    assert barriers(browser, path) == {}


def test_what_colors_say_is_also_said_in_words(browser: Any, report: Path) -> None:
    for path in pages(report):
        with opened(browser, path) as (page, _):
            words = page.locator(".badge, .stamp").evaluate_all("all => all.map(one => one.textContent.trim())")
            assert all(words)
    with opened(browser, sheet_with_map(report)) as (page, _):
        dashes = page.locator("svg.lines path[stroke-dasharray]")
        assert dashes.count() > 0, "evidence against is dashed"
        assert "Dashed blue: the strongest" in page.locator("#pictures").inner_text()


def test_nothing_planted_runs_and_all_is_shown_as_text(browser: Any, tmp_path: Path) -> None:
    report = write_report(write_hostile_run(tmp_path / "run")).parent
    for path in pages(report):
        with opened(browser, path) as (page, heard):
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            for one in page.locator("summary, nav a, table.sortable button").all()[:20]:
                one.focus()
            page.wait_for_timeout(50)
            assert page.evaluate(f"'{MARK}' in window") is False
            assert heard.found == [], path.name
            assert heard.opened == [path.as_uri()]
            assert page.url == path.as_uri()
            shown = page.evaluate("document.body.textContent")
            assert [name for name in CLASSES.values() if name in shown]
            assert "49" not in page.title()
            assert page.evaluate("[...document.querySelectorAll('body img')].every(i => i.src.startsWith('data:'))")
