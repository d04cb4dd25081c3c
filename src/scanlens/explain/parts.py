"""The parts of the test that explanations of a finished run are put to; known before torch is imported."""

from __future__ import annotations

PARTS: dict[str, str] = {
    "shortcuts": "does the network go by something that is not the disease?",
    "verdicts": "how often does the answer depend on what maps highlight, and does that predict anything?",
    "limits": "which is the smallest lesion that is called, and the smallest that the map points at",
    "registration": "whether the maps lie beside the evidence, always the same way",
}
"""Name of each part, and what it asks."""
