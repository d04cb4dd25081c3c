"""How config.yaml of a run is laid out, by number: older ones are brought up to date when they are read, newer ones refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scanlens.errors import RunError

KEY = "schema_version"
RUN_SCHEMA = 1
Config = dict[str, Any]


def up_to_date(content: Config, file: Path) -> Config:
    """The content of a config.yaml without its number, as this version would have written it.

    Args:
        content: as read; a run without a number is of the versions before numbers.
        file: where it was read, for messages.

    Raises:
        RunError: if a newer version wrote it, or the number is none.
    """
    version = content.get(KEY, 0)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise RunError(f"{file}: {KEY} must be a whole number, got {version!r}. Restore the file from a copy.")
    if version > RUN_SCHEMA:
        raise RunError(
            f"{file} was made by a newer scanlens ({KEY} {version}; this one reads up to {RUN_SCHEMA}). "
            "Update scanlens, or use the version that made the run (provenance.json names it)."
        )
    settings = {key: value for key, value in content.items() if key != KEY}
    for number in range(version, RUN_SCHEMA):
        settings = MIGRATIONS[number](settings)
    return settings


def _with_what_came_later(settings: Config) -> Config:
    """Parts that a run before numbers may lack, each set to what such a run did."""
    filled = {part: settings.get(part) or node for part, node in _BEFORE_NUMBERS.items()}
    callbacks = settings.get("callbacks")
    later = {"explain_max_share": 0.05, "register_maps": False, "checkpoint_minutes": None}
    return {**settings, **filled} | ({"callbacks": later | callbacks} if isinstance(callbacks, dict) else {})


_BEFORE_NUMBERS: Config = {
    "privacy": {"_target_": "scanlens.data.privacy_plan.PrivacyPlan", "names": "keep"},
    "robustness": {"_target_": "scanlens.data.degradation_kinds.RobustnessPlan", "enabled": False, "kinds": "all"},
    "uncertainty": {"_target_": "scanlens.evaluation.plans.UncertaintyPlan", "mc_passes": 0},
}
MIGRATIONS: dict[int, Callable[[Config], Config]] = {0: _with_what_came_later}
