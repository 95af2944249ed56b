"""Reading of a search space from a YAML file, with all of its errors in one message."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfpipe.config import TrainConfig, checked_value, read_values
from tfpipe.config.settings import unknown_option
from tfpipe.errors import UserError, did_you_mean, raise_all
from tuning.config import RESERVED_SETTINGS
from tuning.space.checks import FIELDS, ErrorCollector, brief, check_value
from tuning.space.defaults import training_defaults
from tuning.space.entry import read_entry
from tuning.space.parameters import Parameter, Space

DEFAULT = Path(__file__).with_name("default.yaml")
SAMPLES = 100
# Settings that can be fixed but not searched, and the reason for the error message.
FIXED_ONLY = {
    **dict.fromkeys(("task", "test"), "metrics of different tasks or texts cannot be compared"),
    "dev": "trials are compared on the same dev examples",
    **dict.fromkeys(("text", "text_pair", "label", "header"), "a file has its columns"),
    "tpu": "it says where to train, not how",
    "profile_steps": "it changes nothing that is learnt",
    "split_seed": "trials are compared on the same dev examples",
    "seed": "a lucky seed is no setting: --seeds trains each configuration with several",
}


def read_space(
    path: str, given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> Space:
    """Read a search space.

    Args:
        path: The YAML file; `default` for the one of the package.
        given: Training flags of the command line as raw values, which are fixed and override the
            file.
        defaults: `training_defaults` of the model and the data, from which trial 1 and ranges by
            `factor` follow; None while these are not known.

    Returns:
        The space.

    Raises:
        UserError: For all errors of the file and the flags, or if nothing varies.
    """
    written = _read(path)
    collector = ErrorCollector(path)
    flags = _check_flags(given, collector.errors)
    entries: dict[str, Parameter] = {}
    named: set[str] = set()
    factor_defaults = defaults or training_defaults({})
    for key, value in written.items():
        name = key.replace("-", "_")
        if name in named:
            collector.add(key, "a setting is there twice", value, "leave out one of the two")
        elif name not in RESERVED_SETTINGS and name not in FIELDS:
            known = ", ".join(field for field in FIELDS if field not in RESERVED_SETTINGS)
            fix = f"{did_you_mean(name, FIELDS)}known: {known}"
            collector.add(key, f"there is no training setting {key!r}", value, fix)
        elif name in RESERVED_SETTINGS:
            collector.add(
                name, f"{name} is set by the study itself", value, RESERVED_SETTINGS[name]
            )
        elif (entry := read_entry(name, value, factor_defaults, collector)) is not None:
            if name in FIXED_ONLY and (entry.count != 1 or entry.when):
                why = FIXED_ONLY[name]
                collector.add(name, f"{name} cannot be searched: {why}", value, "fix one value")
            if defaults:
                # `abstain` has no default in training: the first value replaces it.
                own = defaults[name] if defaults[name] is not None else entry.values[0]
                entry = dataclasses.replace(entry, default=own)
            entries[name] = entry
        named.add(name)
    named |= {key.replace("-", "_") for key in given}
    space = _ConditionResolver(named, flags, collector).resolve(entries)
    raise_all(collector.errors)
    if all(one.count == 1 for one in space.parameters):
        raise UserError(
            "there is nothing to search: no setting varies",
            f"{path} with {', '.join(space.fixed) or 'no setting'} fixed",
            "give a setting a choice or a range, such as `epochs: {int: [2, 6]}`",
        )
    _check_samples(space, path)
    return space


def _read(path: str) -> dict[str, Any]:
    """Read the raw values of the file; error messages name it a space file."""
    try:
        return read_values(DEFAULT if path == "default" else path)
    except UserError as error:
        wrong = error.wrong.replace("the configuration file", "the space file")
        fix = error.fix
        if "missing" in wrong:
            fix += ", or give --space default"
        raise UserError(wrong, error.found, fix) from None


def _check_flags(given: Mapping[str, Any], errors: list[UserError]) -> dict[str, Any]:
    """Return the checked values of the training flags."""
    flags = {}
    for key, raw in given.items():
        name = key.replace("-", "_")
        flag = f"--{name.replace('_', '-')}"
        if name in RESERVED_SETTINGS:
            errors.append(
                UserError(
                    f"{flag} is set by the study itself",
                    f"{flag} {brief(raw)}",
                    RESERVED_SETTINGS[name],
                )
            )
        elif name not in FIELDS:
            errors.append(unknown_option(key, raw, FIELDS))
        else:
            try:
                flags[name] = checked_value(TrainConfig, FIELDS[name], raw)
            except UserError as error:
                errors.append(error)
    return flags


class _ConditionResolver:
    """Checks the conditions of entries, parents first, and resolves those with a fixed parent.

    Args:
        named: Names of all settings of file and flags, including invalid entries.
        flags: Fixed values of the command line.
        collector: Collects the errors.
    """

    def __init__(self, named: set[str], flags: Mapping[str, Any], collector: ErrorCollector):
        self.named, self.flags, self.collector = named, flags, collector
        self.fixed = dict(flags)
        self.varied: dict[str, Parameter] = {}
        self.dropped: set[str] = set()  # inactive because of a fixed parent

    def resolve(self, entries: Mapping[str, Parameter]) -> Space:
        """Return the space of the valid entries of a file."""
        waiting = {name: entry for name, entry in entries.items() if name not in self.flags}
        while waiting:
            parents = {
                name: [str(parent).replace("-", "_") for parent in entry.when]
                for name, entry in waiting.items()
            }
            ready = [name for name in waiting if not waiting.keys() & set(parents[name])]
            if not ready:
                _report_cycle(parents, self.collector)
                break
            self._add(ready[0], waiting.pop(ready[0]), parents[ready[0]])
        return Space(tuple(self.varied.values()), self.fixed)

    def _add(self, name: str, entry: Parameter, parents: Sequence[str]) -> None:
        """Add an entry whose parents have been added or dropped."""
        conditions: dict[str, tuple[Any, ...]] = {}
        active = True
        for parent, raw in zip(parents, entry.when.values(), strict=True):
            if parent in self.dropped:
                active = False
            elif parent in self.fixed:
                active &= self._holds(name, parent, raw, entry)
            elif parent in self.varied:
                wanted = _read_wanted_values(name, parent, raw, self.collector)
                _report_impossible_values(name, self.varied[parent], wanted, self.collector)
                conditions[parent] = wanted
            elif parent not in self.named:
                hint = did_you_mean(parent, sorted(self.named - {name}))
                self.collector.add(
                    name,
                    f"{parent!r} of `when` is no setting of this space",
                    f"when: {brief(entry.when)}",
                    f"{hint}give it a choice or a value in the same file",
                )
        if not active:
            self.dropped.add(name)
        elif entry.count == 1 and not conditions:
            self.fixed[name] = entry.values[0]
        else:
            self.varied[name] = dataclasses.replace(entry, when=conditions)

    def _holds(self, name: str, parent: str, raw: Any, entry: Parameter) -> bool:
        """Return whether the condition on a fixed parent holds; an error if the file fixes it."""
        wanted = _read_wanted_values(name, parent, raw, self.collector)
        if not wanted or self.fixed[parent] in wanted:
            return True
        if parent not in self.flags:
            self.collector.add(
                name,
                f"this can never be active: {parent} is fixed at {self.fixed[parent]}",
                f"when: {brief(entry.when)}",
                f"vary {parent}, or leave this out",
            )
        return False


def _read_wanted_values(
    name: str, parent: str, raw: Any, collector: ErrorCollector
) -> tuple[Any, ...]:
    """Return the checked values of a parent in a `when`."""
    values = raw if isinstance(raw, list) else [raw]
    if not values:
        collector.add(
            name, "`when` names no value", f"when: {{{parent}: []}}", "name one, or leave it out"
        )
    # The values are checked by the parent's rules; the errors name the setting with the `when`.
    nested = ErrorCollector(f"{collector.path}: {name}: when")
    checked = [check_value(parent, value, nested) for value in values]
    collector.errors += nested.errors
    return tuple(dict.fromkeys(value for value in checked if value is not None))


def _report_impossible_values(
    name: str, parent: Parameter, wanted: tuple[Any, ...], collector: ErrorCollector
) -> None:
    for value in wanted:
        if parent.can_take(value):
            continue
        takes = f"one of {', '.join(map(str, parent.values))}"
        if not parent.values:
            takes = f"{parent.low} to {parent.high}"
        fix = f"{parent.name} takes {takes}"
        if parent.kind == "float" and not parent.values:
            fix += ", and never exactly one of these; give it a step or a choice"
        collector.add(
            name,
            f"{parent.name} of `when` never has this value",
            f"when: {{{parent.name}: {value}}}",
            fix,
        )


def _report_cycle(parents: Mapping[str, list[str]], collector: ErrorCollector) -> None:
    """Report one cycle of conditions among settings whose parents are all unresolved."""
    path = [next(iter(parents))]
    while path.count(path[-1]) == 1:
        path.append(next(parent for parent in parents[path[-1]] if parent in parents))
    cycle = path[path.index(path[-1]) :]
    collector.add(
        cycle[0],
        "the conditions go round in a circle",
        " needs ".join(cycle),
        "leave out one `when` of these",
    )


def _check_samples(space: Space, path: str) -> None:
    """Sample the space and raise UserError if training would refuse some configurations."""
    rng = random.Random(0)
    refused: list[tuple[dict[str, Any], UserError]] = []
    for _ in range(SAMPLES):
        values = space.sample(rng)
        try:
            space.configuration(values)
        except UserError as error:
            refused.append((values, error))
    if not refused:
        return
    values, first = refused[0]
    several: list[UserError] = getattr(first, "errors", [first])
    shown = ", ".join(f"{name} {value}" for name, value in values.items())
    raise UserError(
        "some configurations of the space cannot be trained",
        f"{path}: {len(refused)} of {SAMPLES} drawn, such as {shown}: "
        + "; ".join(f"{one.wrong} ({one.found})" for one in several),
        "let the space hold none of these, by `when:` or by fewer values: "
        + "; ".join(one.fix for one in several),
    )
