"""A command line judged before Hydra runs it: every mistake in it, and in the files that it leads to, at once."""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, ValueType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scanlens.config.bounds import word_mistake
from scanlens.config.check import find_mistakes
from scanlens.config.composing import COMMAND_LINE, Composed, Composer
from scanlens.config.hydra_rules import hydra_mistakes
from scanlens.config.lint import UNREADABLE, Linter
from scanlens.config.overriding import Choice, choice_mistakes, no_such_setting
from scanlens.config.plain import plain

MAX_COMBINATIONS = (
    24  # of swept groups that are composed all; beyond, every two options that can meet, up to twice as many
)
MAX_JOINT_VALUES = 100  # combinations of swept values that are judged all; beyond, each value is judged alone
MAX_JOBS = 100_000  # of one swept setting
MAX_VALUES = 500  # of one setting; of more, the first ones and the last
Refused = (HydraException, OmegaConfBaseException, ValueError)


def precheck(overrides: Sequence[str], composer: Composer, *, is_multirun: bool = False) -> list[str]:
    """One sentence for every mistake; empty if the command can run.

    Args:
        overrides: as typed, such as ["model=lenet", "optim.lr=1e-3"].
        composer: of the search path that the command uses.
        is_multirun: whether values separated by commas are a sweep.
    """
    judge = _Judge(composer, is_multirun)
    judge.judge(overrides)
    return list(dict.fromkeys(judge.found))


def precheck_changes(
    overrides: Sequence[str], frozen: Mapping[str, Any], composer: Composer
) -> tuple[dict[str, Any], list[str]]:
    """A frozen configuration with values changed, and one sentence for every mistake that the changes bring.

    Args:
        overrides: of values, such as ["data.root=/scans"]; no option of a group can be taken.
        frozen: plain, without facts.
        composer: knows the groups, for suggestions.
    """
    config = OmegaConf.create(dict(frozen))
    OmegaConf.set_struct(config, True)
    base, judge = Composed(config, {}, {}), _Judge(composer, is_multirun=False)
    for override in (one for text in overrides if (one := judge._parsed(text)) is not None):
        judge._applies(base, override)
    former = set(find_mistakes(frozen))
    judge.found += [text for text in find_mistakes(base.task(), where=base.where) if text not in former]
    return plain(base.task())[0], list(dict.fromkeys(judge.found))


@dataclass(slots=True)
class _Judge:
    composer: Composer
    is_multirun: bool
    found: list[str] = field(default_factory=list)
    spoiled: set[str] = field(default_factory=set)  # parts whose option is unknown: their settings cannot be judged

    def judge(self, overrides: Sequence[str]) -> None:
        parsed = [one for text in overrides if (one := self._parsed(text)) is not None]
        choices = [Choice.of(one, self.composer) for one in parsed if self._is_choice(one)]
        values = [one for one in parsed if not self._is_choice(one)]
        kept = [guess for choice in choices if (guess := self._guess(choice)) is not None]
        kept, bodies = self._without_broken_files(kept)
        base = self._compose([choice.first() for choice in kept])
        if base is None:
            return
        for body in bodies:
            self._merge(base, body)
        values = [one for one in values if self._applies(base, one)]
        values += [one for one in self._searched(base, parsed) if self._applies(base, one)]
        self._check(base)
        self.found += hydra_mistakes(base.config.hydra, is_multirun=self.is_multirun)
        self._check_swept_values(base, values)
        self._check_swept_choices(kept, values)

    def _parsed(self, text: str) -> Override | None:
        if too_much := word_mistake(text):
            self._say(f"'{text[:60]}...' cannot be read: {too_much}")
            return None
        try:
            (override,) = OverridesParser.create().parse_overrides([text])
        except (OverrideParseException, RecursionError):
            self._say(f"'{text}' cannot be read; write name=value, with quotes around a value of special characters")
            return None
        if override.is_sweep_override():
            override.config_loader = self.composer.loader
            if override.is_hydra_override():
                self._say(f"'{text}': Hydra's own settings cannot be swept over")
                return None
            if (jobs := _num_values(override)) > MAX_JOBS:
                self._say(f"'{text}' gives {jobs:,} values, at most {MAX_JOBS:,} are swept over; give fewer")
                return None
            if not self.is_multirun:
                self._say(f"'{text}' gives several values; add -m to sweep over them, or write [a,b] for a list")
        return override

    def _searched(self, base: Composed, given: Sequence[Override]) -> Iterator[Override]:
        """Sweeps that the sweeper brings itself; those of settings that the model does not have are left out of a search."""
        params = base.config.hydra.sweeper.get("params") or {}
        for name in params.keys() - {one.key_or_group for one in given} if self.is_multirun else ():
            override = self._parsed(f"{name}={params[name]}")
            if override is not None and not no_such_setting(base.config, override, self.composer):
                yield override

    def _say(self, text: str) -> None:
        self.found.append(f"{COMMAND_LINE}: {text}")

    def _is_choice(self, override: Override) -> bool:
        is_named_like_one = "/" in override.key_or_group or override.package is not None
        return self.composer.chooses_group(override) or is_named_like_one or Choice.is_misspelt(override, self.composer)

    def _guess(self, choice: Choice) -> Choice | None:
        """The choice itself, or what was probably meant, so that the rest can be judged too; None without a guess."""
        mistakes, guess = choice_mistakes(choice, self.composer)
        for text in mistakes:
            self._say(text)
        if guess is None:
            self.spoiled.add(choice.group.replace("/", "."))
        return guess

    def _without_broken_files(self, choices: Sequence[Choice]) -> tuple[list[Choice], list[str]]:
        """Choices whose files Hydra can compose, and broken experiments, whose content is judged without Hydra."""
        linter = Linter(self.composer)
        kept, bodies = [], []
        for choice in choices:
            paths = [f"{choice.group}/{option}" for option in choice.options]
            wrong = [text for path in paths for text in linter.mistakes(path)]
            self.found += wrong
            if not wrong:
                kept.append(choice)
            elif choice.group == "experiment":
                bodies += paths
            else:
                self.spoiled.add(choice.group)
        self.found += linter.mistakes(self.composer.config_name)
        return kept, bodies

    def _compose(self, choices: Sequence[Override]) -> Composed | None:
        try:
            return self.composer.compose(choices)
        except UNREADABLE as error:
            if not self.found:
                self.found.append(_hydra_words(error, self.composer))
            return None

    def _merge(self, base: Composed, config_path: str) -> None:
        """Put the content of a file that Hydra refuses on top, as far as it can be read."""
        try:
            body = self.composer.body(config_path)
            with_body = OmegaConf.merge(OmegaConf.create(OmegaConf.to_container(base.config)), body)
        except UNREADABLE:
            return
        for key in body:
            OmegaConf.update(base.config, str(key), with_body[key], force_add=True)
        base.origins.update(self.composer.origins(config_path))

    def _applies(self, base: Composed, override: Override) -> bool:
        """Change the value; False, with a mistake noted, if it cannot be."""
        if override.key_or_group.partition(".")[0] in self.spoiled:
            return False
        unknown = no_such_setting(base.config, override, self.composer)
        if unknown:
            self._say(unknown)
            return False
        try:
            base.apply(_with_first_value(override))
        except Refused as error:
            self._say(_first_line(error))
            return False
        return True

    def _check(self, composed: Composed) -> None:
        try:
            task = composed.task()
        except Refused as error:
            self.found.append(_first_line(error))
            return
        if not OmegaConf.is_missing(task, "facts") and task.get("facts") is not None:
            self.found.append(
                f"{composed.where('facts')}: facts are what the data decided, written by runs; leave them out"
            )
        found = find_mistakes(task, choices=composed.choices, where=composed.where)
        self.found += [text for text in found if not self._is_spoiled(text)]

    def _is_spoiled(self, text: str) -> bool:
        return any(f"'{part}." in text or f" {part}." in text for part in self.spoiled)

    def _check_swept_values(self, base: Composed, values: Sequence[Override]) -> None:
        swept = [one for one in values if one.is_sweep_override()]
        if not (swept and self.is_multirun):
            return
        raw: Any = OmegaConf.to_container(base.task(), resolve=False)
        names = [override.key_or_group for override in swept]
        are_followed = any(f"${{{name}}}" in str(raw) for name in names)
        config: dict[str, Any] = raw if are_followed else plain(base.task())[0]
        for values_of_job in _jobs([_judged_values(override) for override in swept]):
            changed = config
            for name, value in zip(names, values_of_job, strict=True):
                changed = _changed(changed, name.split("."), value)
            if are_followed:
                changed, _ = plain(OmegaConf.create(changed))
            self.found += find_mistakes(changed, choices=base.choices, where=base.where)

    def _check_swept_choices(self, choices: Sequence[Choice], values: Sequence[Override]) -> None:
        """Compose what the sweep will compose beyond the first job."""
        if not self.is_multirun:
            return
        for combination in itertools.islice(_combinations(choices), 1, None):
            composed = self._compose(combination)
            if composed is None:
                return
            for override in values:
                self._applies(composed, override)
            self._check(composed)


def _combinations(choices: Sequence[Choice]) -> Iterator[list[Override]]:
    alternatives = [choice.alternatives() for choice in choices]
    number = 1
    for ones in alternatives:
        number *= len(ones)
    if number <= MAX_COMBINATIONS:
        yield from (list(one) for one in itertools.product(*alternatives))
        return
    yield from itertools.islice(_pairwise(alternatives), 2 * MAX_COMBINATIONS)


def _pairwise(alternatives: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """The first of all, then each alternative alone, then every two that can meet, the others being the first."""
    first = [ones[0] for ones in alternatives]
    yield first
    for place, ones in enumerate(alternatives):
        yield from ([*first[:place], other, *first[place + 1 :]] for other in ones[1:])
    for one, other in itertools.combinations(range(len(alternatives)), 2):
        for this, that in itertools.product(alternatives[one][1:], alternatives[other][1:]):
            pair = list(first)
            pair[one], pair[other] = this, that
            yield pair


def _jobs(columns: Sequence[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Values of the jobs that are judged, but for the first job's."""
    if math.prod(len(column) for column in columns) <= MAX_JOINT_VALUES:
        yield from itertools.islice(itertools.product(*columns), 1, None)
        return
    first = [column[0] for column in columns]
    for place, column in enumerate(columns):
        yield from ([*first[:place], value, *first[place + 1 :]] for value in column[1:])


def _judged_values(override: Override) -> list[Any]:
    values = _values(override)
    judged = list(itertools.islice(values, MAX_VALUES))
    last = collections.deque(values, maxlen=1)
    return [*judged, *last] or [None]


def _values(override: Override) -> Iterator[Any]:
    """The values of a sweep; of an interval, its ends."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        yield from (value.start, value.end)
    else:
        yield from (Override._convert_value(one) for one in override.sweep_iterator())


def _num_values(override: Override) -> int:
    """How many values a range gives; nothing is counted through. Of other sweeps each value was typed."""
    value = override.value()
    if not isinstance(value, RangeSweep) or value.start is None or value.stop is None or not value.step:
        return 1
    num = abs(value.stop - value.start) / abs(value.step)
    return math.ceil(num) if math.isfinite(num) else 2**63


def _with_first_value(override: Override) -> Override:
    if not override.is_sweep_override():
        return override
    return replace(override, _value=next(_values(override), None), value_type=ValueType.ELEMENT)


def _changed(config: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of nested dictionaries with one value changed."""
    inner = config.get(keys[0])
    return {
        **config,
        keys[0]: _changed(inner, keys[1:], value) if len(keys) > 1 and isinstance(inner, Mapping) else value,
    }


def _hydra_words(error: Exception, composer: Composer) -> str:
    """Hydra's message in one line, with the file's name in place of `In 'experiment/x'`."""
    text = _first_line(error)
    if text.startswith("In '"):
        config_path, _, rest = text[4:].partition("'")
        return f"{composer.label(config_path)}: {rest.lstrip(': ')}"
    return text


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ if not str(error).strip() and error.__cause__ is not None else error
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
