"""A checked configuration from raw values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar

from tfpipe.config.conflicts import Conflict, find_conflicts
from tfpipe.config.fields import field_type, flag_of
from tfpipe.config.train import TrainConfig
from tfpipe.errors import UserError, did_you_mean, raise_all

Config = TypeVar("Config")


def build(
    config_class: type[Config], values: dict[str, Any], found_before: Iterable[UserError] = ()
) -> Config:
    """A checked configuration from raw values (strings or YAML scalars).

    Raises UserError for all errors at once, those in `found_before` first.
    """
    fields = {f.name: f for f in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    errors, checked = list(found_before), {}
    given = {name.replace("-", "_") for name in values}
    for raw_name, value in values.items():
        name = raw_name.replace("-", "_")
        if name not in fields:
            errors.append(
                UserError(
                    f"there is no option {raw_name!r}",
                    f"{raw_name}: {value!r}",
                    did_you_mean(name, fields) + f"known: {', '.join(fields)}",
                )
            )
            continue
        try:
            checked[name] = checked_value(config_class, fields[name], value)
        except UserError as error:
            errors.append(error)
    for name, field in fields.items():
        rules = field.metadata
        needed = rules.get("required") or (rules.get("positional") and field.default is not None)
        if name not in given and needed:
            errors.append(
                UserError(f"{_shown(field)} is missing", "nothing", f"give {rules['help']}")
            )
    config = config_class(**checked)
    # What stands at its default because its own value was refused is in no conflict.
    errors += [
        error for names, error in _conflicts_of(config) if not (given & set(names)) - set(checked)
    ]
    raise_all(errors)
    return config


def _conflicts_of(config: Any) -> Iterable[Conflict]:
    """Yield the settings that do not go together, of a configuration that has such."""
    if isinstance(config, TrainConfig):
        return find_conflicts(config)
    return config.conflicts() if hasattr(config, "conflicts") else ()


def _shown(field: dataclasses.Field) -> str:
    """What a user types for the field."""
    return field.name.upper() if field.metadata.get("positional") else flag_of(field.name)


def checked_value(config_class: type, field: dataclasses.Field, value: Any) -> Any:
    """A raw value (string or YAML scalar) in the field's type; raises UserError for a broken rule.

    None where the field is optional and `value` is None.
    """
    rules, flag = field.metadata, _shown(field)
    plain, optional = field_type(config_class, field.name)
    if value is None and optional:
        return None
    if value is None or value == "":
        raise UserError(f"{flag} has no value", "nothing", f"give {rules['help']}")
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[plain]
    try:
        if plain is bool:
            converted: Any = {"true": True, "false": False}[str(value).lower()]
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            # YAML reads an unquoted yes or no as a truth value; a column's name it is not.
            raise ValueError
        elif plain is int and isinstance(value, float) and value != int(value):
            raise ValueError
        else:
            converted = plain(value)
        if converted != converted or converted in (float("inf"), float("-inf")):
            raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError):
        raise UserError(f"{flag} takes {wanted}", repr(value), f"give {rules['help']}") from None
    if "choices" in rules and converted not in rules["choices"]:
        hint = did_you_mean(str(converted), rules["choices"])
        raise UserError(
            f"{flag} does not know this value",
            repr(value),
            f"{hint}choose one of {', '.join(rules['choices'])}",
        )
    low, high, above, below = map(rules.get, ("minimum", "maximum", "above", "below"))
    for broken, rule in (
        (low is not None and converted < low, f"at least {low}"),
        (high is not None and converted > high, f"at most {high}"),
        (above is not None and converted <= above, f"above {above}"),
        (below is not None and converted >= below, f"below {below}"),
    ):
        if broken:
            raise UserError(f"{flag} is out of range", repr(value), f"give a value {rule}")
    return converted
