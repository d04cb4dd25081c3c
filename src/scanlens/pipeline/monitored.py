"""The monitored value of a run, read from its table of epochs."""

from __future__ import annotations

from scanlens.files import read_csv
from scanlens.runs import Run


def best_value(run: Run) -> float | None:
    """The best value of the monitored metric, None if it was never measured."""
    values = [value for value, _ in _epoch_values(run)]
    if not values:
        return None
    return min(values) if run.facts["monitor"]["mode"] == "min" else max(values)


def best_epoch(run: Run) -> int | None:
    """The epoch whose weights are kept: the first that reached the best value of the monitored metric."""
    best = best_value(run)
    return next((epoch for value, epoch in _epoch_values(run) if value == best), None)


def _epoch_values(run: Run) -> list[tuple[float, int]]:
    name = run.facts["monitor"]["name"]
    return [(float(row[name]), int(row["epoch"])) for row in read_csv(run.metrics_file) if row.get(name)]
