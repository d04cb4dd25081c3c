"""The parts of the test that explanations of a finished run are put to; known before torch is imported."""

from __future__ import annotations

PARTS: dict[str, str] = {
    "score_card": "are the maps consistent, plausible, true to the network, and useful, and more so than controls?",
    "verdicts": "how often does the answer depend on what maps highlight, and does that predict anything?",
    "shortcuts": "does the network go by something that is not the disease?",
    "limits": "which is the smallest lesion that is called, and the smallest that the map points at?",
    "registration": "do the maps lie beside the evidence, always the same way?",
}
"""Name of each part, and what it asks."""
