"""Configuration: checked in full before anything heavy is imported, built from a closed list of classes.

`check` finds every mistake of a composed configuration, `build` makes objects from its nodes, `freeze` writes it into
the run folder. `scanlens.config.precheck` judges a command line and is imported by the command line alone, so that a
training process does not load Hydra.
"""

from scanlens.config.building import build
from scanlens.config.check import check, find_mistakes
from scanlens.config.plain import freeze, load_frozen, plain
from scanlens.config.schema import RunSchema

__all__ = ["RunSchema", "build", "check", "find_mistakes", "freeze", "load_frozen", "plain"]
