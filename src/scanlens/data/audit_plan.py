"""What an audit of the data looks for, and what is done about leaks between splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scanlens.errors import ConfigError, did_you_mean

ON_LEAK = ("fix", "error", "warn")
MOST_LISTED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """The audit at the head of every training run, and of `scanlens audit`.

    Args:
        enabled: whether training runs are audited; `scanlens audit` always does.
        on_leak: what is done about copies that would lie in two splits. fix: near-duplicates are kept on one side where
            patients are unknown, patients who share a picture are kept together, and what leaks out of splits that the
            data set brings is moved. error: nothing is mended, and the run stops. warn: nothing is mended, and it is told.
        file_margin: how far above 0.5 the lower end of an AUROC must lie before something of the file, which cannot be
            the disease (its size, mode, compression, site ...), is called a shortcut.
        picture_margin: the same for what a disease might change (border, mean brightness, 16 x 16 thumbnail).
        most_listed: images or groups that are listed and drawn for each finding; all are counted.
    """

    enabled: bool = True
    on_leak: Literal["fix", "error", "warn"] = "fix"
    file_margin: float = 0.1
    picture_margin: float = 0.25
    most_listed: int = 60

    def __post_init__(self) -> None:
        mistakes = []
        if self.on_leak not in ON_LEAK:
            mistakes.append(f"audit.on_leak: '{self.on_leak}' is unknown. {did_you_mean(str(self.on_leak), ON_LEAK)}")
        for name in ("file_margin", "picture_margin"):
            if not 0 <= getattr(self, name) < 0.5:
                mistakes.append(f"audit.{name}: 0 to below 0.5 is expected, {getattr(self, name)} came.")
        if not 1 <= self.most_listed <= MOST_LISTED:
            mistakes.append(f"audit.most_listed: 1 to {MOST_LISTED} is expected, {self.most_listed} came.")
        if mistakes:
            raise ConfigError(mistakes)
