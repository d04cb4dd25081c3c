"""The parts of the test that explanations of a finished run are put to; known before torch is imported."""

from __future__ import annotations

PARTS: dict[str, str] = {
    "score_card": "Are the maps consistent, plausible, true to the network, and useful - and more so than controls?",
}
"""Name of each part, and what it asks."""
