"""Pages from templates: autoescaped, self-contained, and allowed to load nothing.

A page holds its style sheet and its pictures; it has no script, and its content security policy forbids everything but
inlined pictures and that one style sheet (by hash).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import scanlens
from scanlens.report.words import NOT_ASSESSED

NOTICE = "Research software. Not a medical device. Not for diagnosis."
TEMPLATES = Path(__file__).parent / "templates"


def rendered(template: str, **values: Any) -> str:
    """A page as text.

    Args:
        template: file name in `templates`; it writes `css`, `policy`, `notice` and `version` where they belong.
        values: what the template shows; text is escaped, `Markup` is not.
    """
    css = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template(template)
        .render(css=Markup(css), policy=_policy(css), notice=NOTICE, version=scanlens.__version__, **values)
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["not_assessed"] = NOT_ASSESSED
    return environment


def part(template: str, **values: Any) -> Markup:
    """A piece of a page, for a template that shows it as it is; text is escaped, `Markup` is not."""
    return Markup(_environment().get_template(template).render(**values))


def _policy(css: str) -> str:
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
