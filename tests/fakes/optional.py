"""What may be missing on a machine, and why."""

from __future__ import annotations


def why_no_pdf() -> str:
    """Why no PDF can be made here; "" where it can."""
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError) as error:  # the package, or the library Pango
        return f"the extra pdf or what it needs is not installed: {error}"
    return ""
