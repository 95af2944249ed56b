"""The space of a study: the training settings that vary, and those that do not."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from tfpipe.config import TrainConfig, build

if TYPE_CHECKING:
    from keras_tuner import HyperParameters


@dataclass(frozen=True)
class Parameter:
    """A training setting that varies, by a choice or within a range.

    name: a field of TrainConfig; kind: choice, int or float; values: of a choice or of a range
    with a step, numbers ascending, () for a range without; low, high: of a range without a step,
    both included; log: drawn on a log scale; when: parent parameter -> the values under which this
    one is active, and all parents must agree; default: what training takes by itself, None where
    that is not known.
    """

    name: str
    kind: str
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    when: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    default: Any = None

    @property
    def start(self) -> Any:
        """The value nearest to the default, the first of equally near ones; None without one."""
        if self.default is None:
            return None
        if not self.values:
            return self.plain(min(max(self.default, self._low), self._high))
        if not all(isinstance(value, int | float) for value in (*self.values, self.default)):
            return self.default if self.default in self.values else self.values[0]
        scale = math.log if self.log and self.default > 0 else float
        return min(self.values, key=lambda value: abs(scale(value) - scale(self.default)))

    @property
    def count(self) -> int | None:
        """How many values it can take; None where it is a matter of rounding."""
        if self.values:
            return len(self.values)
        if self.kind == "int" and not self.log:
            return int(self._high - self._low) + 1
        return None

    @property
    def _low(self) -> float:
        assert self.low is not None
        return self.low

    @property
    def _high(self) -> float:
        assert self.high is not None
        return self.high

    def can_take(self, value: Any) -> bool:
        """Whether a trial can have exactly this value."""
        if self.values:
            return value in self.values
        return self.kind == "int" and self._low <= value <= self._high

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether it counts beside these active values of its parents."""
        return all(
            parent in values and values[parent] in wanted for parent, wanted in self.when.items()
        )

    def plain(self, raw: Any) -> Any:
        """The value that a tuner proposed, in the field's own plain type; raises ValueError."""
        if not self.values:
            # Keras Tuner's rounding, and the bounds of its Gaussian process, go past the ends.
            # Four digits are all that a person would write down, and no training tells more apart.
            rounded = int(raw) if self.kind == "int" else float(f"{float(raw):.4g}")
            bounded = min(max(rounded, self._low), self._high)
            return int(bounded) if self.kind == "int" else float(bounded)
        for value in self.values:
            if value == raw:
                return value
        raise ValueError(f"{self.name} cannot be {raw!r}")

    def draw(self, rng: random.Random) -> Any:
        """A value at random."""
        if self.values:
            return rng.choice(self.values)
        if not self.log:
            return self.plain(
                rng.randint(int(self._low), int(self._high))
                if self.kind == "int"
                else rng.uniform(self._low, self._high)
            )
        # The last whole number gets as wide a share as the others.
        end = self._high + (self.kind == "int")
        return self.plain(math.exp(rng.uniform(math.log(self._low), math.log(end))))

    def as_json(self) -> dict[str, Any]:
        """The parameter for study.json: lists for tuples, in an order of their own."""
        return {
            "kind": self.kind,
            "values": sorted(self.values),
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "when": {name: sorted(wanted) for name, wanted in sorted(self.when.items())},
        }


@dataclass(frozen=True)
class Space:
    """What a study searches.

    parameters: what varies, parents before children; fixed: training field -> its checked value.
    """

    parameters: tuple[Parameter, ...]
    fixed: dict[str, Any]

    def hyperparameters(self) -> HyperParameters:
        """The space for Keras Tuner's oracles; imports it, and TensorFlow with it."""
        from keras_tuner import HyperParameters

        space = HyperParameters()
        # Not by conditional_scope: it finds no parent that has a condition itself, nor a second
        # parent beside a first.
        space.merge([_hyperparameter(one) for one in self.parameters])
        return space

    def active_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that count among a trial's values, as plain Python values.

        Other names, such as Hyperband's `tuner/epochs`, are left out. Raises KeyError for a
        missing value, ValueError for one that its parameter does not have.
        """
        active: dict[str, Any] = {}
        for one in self.parameters:
            if one.is_active(active):
                active[one.name] = one.plain(values[one.name])
        return active

    def start(self) -> dict[str, Any]:
        """The active values of a training without any flag; empty where these are not known."""
        values = {one.name: one.start for one in self.parameters}
        return {} if None in values.values() else self.active_values(values)

    def configuration(self, values: Mapping[str, Any]) -> TrainConfig:
        """The training of these values; raises UserError for settings that do not go together."""
        return build(TrainConfig, {**self.fixed, **self.active_values(values)})

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """Active values at random."""
        values: dict[str, Any] = {}
        for one in self.parameters:
            if one.is_active(values):
                values[one.name] = one.draw(rng)
        return values

    def grid_size(self) -> int | None:
        """How many configurations there are; None where a range has no step.

        A linear range of whole numbers has the step 1.
        """
        if any(one.count is None for one in self.parameters):
            return None
        return math.prod(_count(group, {}) for group in _related(self.parameters))

    def as_json(self) -> dict[str, Any]:
        """The space for study.json: equal for equal spaces, whatever their files' order."""
        ordered = sorted(self.parameters, key=lambda one: one.name)
        return {
            "parameters": {one.name: one.as_json() for one in ordered},
            "fixed": dict(sorted(self.fixed.items())),
        }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed from one `Space.as_json` to another, a sentence a setting."""
    names = [
        *old.get("parameters", {}),
        *old.get("fixed", {}),
        *new.get("parameters", {}),
        *new.get("fixed", {}),
    ]
    told = ((name, _described(old, name), _described(new, name)) for name in dict.fromkeys(names))
    return [f"{name} was {before}, and is {now}" for name, before, now in told if before != now]


def _described(space: Mapping[str, Any], name: str) -> str:
    """A setting of a space in words; one fixed at its default reads as one that is not there."""
    one = space.get("parameters", {}).get(name)
    if one is None:
        default = {field.name: field.default for field in fields(TrainConfig)}.get(name)
        value = space.get("fixed", {}).get(name, default)
        return "left to training" if value is None else f"fixed at {value}"
    words = f"one of {', '.join(map(str, one['values']))}"
    if not one["values"]:
        words = f"{one['kind']} from {one['low']} to {one['high']}"
    if one["log"]:
        words += " on a log scale"
    for parent, wanted in one["when"].items():
        words += f" when {parent} is {' or '.join(map(str, wanted))}"
    return words


def _hyperparameter(one: Parameter) -> Any:
    """A parameter as Keras Tuner's own, with its conditions."""
    from keras_tuner.engine.hyperparameters import Boolean, Choice, Float, Int
    from keras_tuner.src.engine.conditions import Parent

    conditions = [Parent(parent, list(wanted)) for parent, wanted in one.when.items()]
    if one.values and isinstance(one.values[0], bool) and len(one.values) == 2:
        # Its Choice makes whole numbers of truth values.
        first = one.values[0] if one.start is None else one.start
        return Boolean(one.name, default=first, conditions=conditions)
    if one.values:
        return Choice(one.name, list(one.values), default=one.start, conditions=conditions)
    settings = {"default": one.start, "conditions": conditions}
    kind: Any = Int if one.kind == "int" else Float
    sampling = "log" if one.log else "linear"
    return kind(one.name, one.low, one.high, sampling=sampling, **settings)


def _related(parameters: Iterable[Parameter]) -> list[list[Parameter]]:
    """Parameters in groups that no condition connects."""
    groups: list[list[Parameter]] = []
    for one in parameters:
        joined = [group for group in groups if any(other.name in one.when for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([other for group in joined for other in group] + [one])
    return groups


def _count(parameters: list[Parameter], chosen: dict[str, Any]) -> int:
    """Combinations of parameters, parents first, under the values chosen so far."""
    if not parameters:
        return 1
    first, rest = parameters[0], parameters[1:]
    if not first.is_active(chosen):
        return _count(rest, chosen)
    asked = {value for child in rest for value in child.when.get(first.name, ())}
    # All values that no child asks for are alike.
    others = (first.count or 0) - len(asked)
    total = others * _count(rest, chosen) if others else 0
    return total + sum(_count(rest, {**chosen, first.name: value}) for value in asked)
