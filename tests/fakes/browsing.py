"""Pages of reports in Chromium, and what was heard of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)
NO_CHROMIUM = "no Chromium on the PATH (Debian: apt-get install chromium)"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ON_A_PHONE = ["scrollable-region-focusable", "target-size"]
WIDTHS = {"phone": 360, "desk": 1280}


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; a test without Playwright is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


class Heard:
    """What a page did that it should not: messages, errors, dialogs, requests, breaches of its own policy."""

    def __init__(self, page: Any) -> None:
        self.found: list[str] = []
        self.opened: list[str] = []
        page.on("console", lambda said: self.found.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("dialog", self._dismiss)
        page.on("popup", lambda other: self.found.append(f"popup: {other.url}"))
        page.on("request", self._request)

    def _dismiss(self, dialog: Any) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith("data:"):
            self.opened.append(request.url)


@contextmanager
def opened(browser: Any, path: Path, *, width: int = WIDTHS["desk"], **options: Any) -> Iterator[tuple[Any, Heard]]:
    """A page in a window of its own, and what was heard of it."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    heard = Heard(page)
    page.goto(path.as_uri())
    try:
        yield page, heard
    finally:
        context.close()


def barriers(browser: Any, path: Path) -> dict[str, Any]:
    """What axe finds on a page, all details open: for a desk in light and dark, and for a phone."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    asked: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"width": WIDTHS["desk"]}, {"type": "tag", "values": WCAG}),
        ({"width": WIDTHS["desk"], "color_scheme": "dark"}, {"type": "rule", "values": ["color-contrast"]}),
        ({"width": WIDTHS["phone"]}, {"type": "rule", "values": ON_A_PHONE}),
    ]
    found: dict[str, Any] = {}
    for options, rules in asked:
        with opened(browser, path, bypass_csp=True, **options) as (page, _):
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            result = axe.Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]}).response
            found |= {one["id"]: [node["target"] for node in one["nodes"]][:5] for one in result["violations"]}
            version = [int(part) for part in result["testEngine"]["version"].split(".")]
            assert version >= [4, 5], "older ones do not know WCAG 2.2"
    return found
