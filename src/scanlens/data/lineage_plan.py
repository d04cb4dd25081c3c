"""What is done where starting weights have seen the images that are to judge the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scanlens.errors import ConfigError, did_you_mean

ON_SEEN = ("error", "warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineagePlan:
    """How the past of starting weights is judged.

    Args:
        on_seen: what is done if a run that the starting weights come from was trained on validation or test images of
            this run, or on their patients. error: the run stops. warn: it goes on, and the report says so.

    Raises:
        ConfigError: the word is unknown.
    """

    on_seen: Literal["error", "warn"] = "error"

    def __post_init__(self) -> None:
        if self.on_seen not in ON_SEEN:
            raise ConfigError(
                [f"lineage.on_seen: '{self.on_seen}' is unknown. {did_you_mean(str(self.on_seen), ON_SEEN)}"]
            )
