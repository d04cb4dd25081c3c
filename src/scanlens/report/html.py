"""Pages from templates: autoescaped, self-contained, and allowed to load nothing.

A page holds its style sheet, its pictures and what few scripts it has; its content security policy forbids everything but
inlined pictures and just these style sheets and scripts (by hash).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import scanlens
from scanlens.report.words import NOT_ASSESSED

NOTICE = "Research software. Not a medical device. Not for diagnosis."
SCROLLS = Markup('tabindex="0" role="group" aria-label="Wide part, scrolls sideways"')  # reached by keyboard
TEMPLATES = Path(__file__).parent / "templates"


def rendered(
    template: str, *, styles: Sequence[str] = ("style.css",), scripts: Sequence[str] = (), **values: Any
) -> str:
    """A page as text.

    Args:
        template: file name in `templates`; it writes `css`, `scripts`, `policy`, `notice` and `version` where they belong.
        styles, scripts: file names in `templates`; the page may use these and no others.
        values: what the template shows; text is escaped, `Markup` is not.
    """
    css = "".join(_source(name) for name in styles)
    sources = [_source(name) for name in scripts]
    return (
        _environment()
        .get_template(template)
        .render(
            css=Markup(css),
            scripts=[Markup(source) for source in sources],
            policy=_policy(css, sources),
            notice=NOTICE,
            version=scanlens.__version__,
            **values,
        )
    )


@cache
def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"not_assessed": NOT_ASSESSED, "scrolls": SCROLLS}
    return environment


def part(template: str, **values: Any) -> Markup:
    """A piece of a page, for a template that shows it as it is; text is escaped, `Markup` is not."""
    return Markup(_environment().get_template(template).render(**values))


def _policy(css: str, scripts: Sequence[str]) -> str:
    allowed = "".join(f" {_digest(source)}" for source in scripts)
    script = f"script-src{allowed}; " if allowed else ""
    return f"default-src 'none'; img-src data:; style-src {_digest(css)}; {script}base-uri 'none'; form-action 'none'"


def _digest(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode('ascii')}'"
