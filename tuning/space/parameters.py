"""Search space of a study: the parameters that vary and the fixed training settings."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from tfpipe.config import TrainConfig, build
from tuning.library_internals import condition

if TYPE_CHECKING:
    from keras_tuner import HyperParameters


@dataclass(frozen=True)
class Parameter:
    """A searched training setting: a choice or a range.

    Attributes:
        name: Name of the setting, a field of TrainConfig.
        kind: `choice`, `int` or `float`.
        values: Values of a choice, or of a range with a step; numbers ascending. Empty for a
            range without a step.
        low: Lower bound of a range without a step, inclusive.
        high: Upper bound of a range without a step, inclusive.
        log: Whether the range is sampled on a log scale.
        when: Values of each parent parameter under which this one is active; all must hold.
        default: Default of training; None if it is not known.
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
    def nearest_default(self) -> Any:
        """The value nearest to the default, the first one of a tie; None without a default."""
        if self.default is None:
            return None
        if not self.values:
            return self.convert(min(max(self.default, self._low), self._high))
        if not all(isinstance(value, int | float) for value in (*self.values, self.default)):
            return self.default if self.default in self.values else self.values[0]
        scale = math.log if self.log and self.default > 0 else float
        return min(self.values, key=lambda value: abs(scale(value) - scale(self.default)))

    @property
    def count(self) -> int | None:
        """The number of values; None for a continuous or logarithmic range without a step."""
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
        """Return whether a trial can have exactly this value."""
        if self.values:
            return value in self.values
        return self.kind == "int" and self._low <= value <= self._high

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Return whether the parameter is active under these active values of its parents."""
        return all(
            parent in values and values[parent] in wanted for parent, wanted in self.when.items()
        )

    def convert(self, raw: Any) -> Any:
        """Convert a value of Keras Tuner to the type of the setting.

        Raises:
            ValueError: If the parameter does not have this value.
        """
        if not self.values:
            # Keras Tuner's rounding and the bounds of its Gaussian process exceed the range. Four
            # significant digits are readable, and more do not change a training measurably.
            rounded = int(raw) if self.kind == "int" else float(f"{float(raw):.4g}")
            bounded = min(max(rounded, self._low), self._high)
            return int(bounded) if self.kind == "int" else float(bounded)
        for value in self.values:
            if value == raw:
                return value
        raise ValueError(f"{self.name} cannot be {raw!r}")

    def sample(self, rng: random.Random) -> Any:
        """Return a random value."""
        if self.values:
            return rng.choice(self.values)
        if not self.log:
            return self.convert(
                rng.randint(int(self._low), int(self._high))
                if self.kind == "int"
                else rng.uniform(self._low, self._high)
            )
        # The interval of the highest integer is as wide as those of the others.
        end = self._high + (self.kind == "int")
        return self.convert(math.exp(rng.uniform(math.log(self._low), math.log(end))))

    def as_json(self) -> dict[str, Any]:
        """Return the parameter for study.json, with sorted values and conditions."""
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
    """The search space of a study.

    Attributes:
        parameters: The searched parameters, parents before their children.
        fixed: Values of the fixed training settings, by name.
    """

    parameters: tuple[Parameter, ...]
    fixed: dict[str, Any]

    def hyperparameters(self) -> HyperParameters:
        """Return the space for Keras Tuner's oracles; imports keras_tuner and TensorFlow."""
        from keras_tuner import HyperParameters

        space = HyperParameters()
        # Not by conditional_scope, which supports neither a parent that has a condition itself nor
        # several parents.
        space.merge([_hyperparameter(one) for one in self.parameters])
        return space

    def active_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the active parameters, in the types of their settings.

        Args:
            values: Values of a trial; other names, such as `tuner/epochs`, are ignored.

        Raises:
            KeyError: If the value of an active parameter is missing.
            ValueError: If a parameter does not have its value.
        """
        active: dict[str, Any] = {}
        for one in self.parameters:
            if one.is_active(active):
                active[one.name] = one.convert(values[one.name])
        return active

    def default_values(self) -> dict[str, Any]:
        """Return the active values nearest to the defaults; empty if a default is not known."""
        values = {one.name: one.nearest_default for one in self.parameters}
        return {} if None in values.values() else self.active_values(values)

    def configuration(self, values: Mapping[str, Any]) -> TrainConfig:
        """Return the training configuration of a trial's values.

        Raises:
            UserError: If settings contradict each other.
        """
        return build(TrainConfig, {**self.fixed, **self.active_values(values)})

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """Return random active values."""
        values: dict[str, Any] = {}
        for one in self.parameters:
            if one.is_active(values):
                values[one.name] = one.sample(rng)
        return values

    def grid_size(self) -> int | None:
        """Return the number of configurations, or None if a range has no step.

        An integer range on a linear scale has a step of 1.
        """
        if any(one.count is None for one in self.parameters):
            return None
        return math.prod(_count(group, {}) for group in _related(self.parameters))

    def as_json(self) -> dict[str, Any]:
        """Return the space for study.json, independent of the order in the space file."""
        ordered = sorted(self.parameters, key=lambda one: one.name)
        return {
            "parameters": {one.name: one.as_json() for one in ordered},
            "fixed": dict(sorted(self.fixed.items())),
        }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Describe the differences between two results of `Space.as_json`, one sentence per setting."""
    names = [
        *old.get("parameters", {}),
        *old.get("fixed", {}),
        *new.get("parameters", {}),
        *new.get("fixed", {}),
    ]
    described = (
        (name, _describe(old, name), _describe(new, name)) for name in dict.fromkeys(names)
    )
    return [
        f"{name} was {before}, and is {now}" for name, before, now in described if before != now
    ]


def _describe(space: Mapping[str, Any], name: str) -> str:
    """Describe a setting of a space; one fixed at its default reads like one that is absent."""
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
    """Convert a parameter and its conditions to Keras Tuner's."""
    from keras_tuner.engine.hyperparameters import Boolean, Choice, Float, Int

    conditions = [condition(parent, wanted) for parent, wanted in one.when.items()]
    if one.values and isinstance(one.values[0], bool) and len(one.values) == 2:
        # Keras Tuner's Choice converts booleans to integers.
        first = one.values[0] if one.nearest_default is None else one.nearest_default
        return Boolean(one.name, default=first, conditions=conditions)
    if one.values:
        return Choice(
            one.name, list(one.values), default=one.nearest_default, conditions=conditions
        )
    settings = {"default": one.nearest_default, "conditions": conditions}
    kind: Any = Int if one.kind == "int" else Float
    sampling = "log" if one.log else "linear"
    return kind(one.name, one.low, one.high, sampling=sampling, **settings)


def _related(parameters: Iterable[Parameter]) -> list[list[Parameter]]:
    """Group parameters that are connected by conditions."""
    groups: list[list[Parameter]] = []
    for one in parameters:
        joined = [group for group in groups if any(other.name in one.when for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append([other for group in joined for other in group] + [one])
    return groups


def _count(parameters: list[Parameter], chosen: dict[str, Any]) -> int:
    """Count the combinations of parameters, parents first, under the values chosen so far."""
    if not parameters:
        return 1
    first, rest = parameters[0], parameters[1:]
    if not first.is_active(chosen):
        return _count(rest, chosen)
    conditional = {value for child in rest for value in child.when.get(first.name, ())}
    # All values that no child depends on have the same number of combinations.
    others = (first.count or 0) - len(conditional)
    total = others * _count(rest, chosen) if others else 0
    return total + sum(_count(rest, {**chosen, first.name: value}) for value in conditional)
