"""The sentence on intervals that take images for independent."""

from __future__ import annotations

from scanlens.report.naive import naive_note


def test_the_honest_interval_stands_beside_the_naive_one() -> None:
    effect = {
        "metric": "auroc",
        "value": 0.9,
        "low": 0.82,
        "high": 0.96,
        "naive_low": 0.88,
        "naive_high": 0.92,
        "factor": 12.25,
        "num_images": 1200,
        "num_independent": 97.96,
    }
    assert naive_note(effect) == (
        "AUROC: were the 1\u202f200 images taken for independent, the interval would be 0.880 to 0.920; it is 0.820 to 0.960, "
        "since images of one patient are alike. They are worth about 98 independent images (design effect 12.3)."
    )
