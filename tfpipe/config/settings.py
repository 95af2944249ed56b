"""Settings: the fields of a configuration class, checked values, and YAML files."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from tfpipe.errors import UserError, did_you_mean, raise_all

Config = TypeVar("Config")
# The names of the fields that a conflict is about, and the conflict.
Conflict = tuple[tuple[str, ...], UserError]


def setting(default: Any, help: str, **rules: Any) -> Any:
    """A field with its help text and rules: choices, minimum, maximum, above, below, group.

    Also `alone` (the value of a flag that is given without one), `required` (must be given as a
    flag), `positional` (given without a flag, and must be given unless its default is None) and
    `repeated` (a flag that may be given several times: the values are joined by commas).
    """
    return dataclasses.field(default=default, metadata={"help": help, **rules})


def flag_of(name: str) -> str:
    """The flag that sets the field of this name."""
    return "--" + name.replace("_", "-")


def field_type(config_class: type, name: str) -> tuple[type, bool]:
    """The plain type of a field and whether it may be None."""
    hint = typing.get_type_hints(config_class)[name]
    if isinstance(hint, types.UnionType):
        return next(t for t in typing.get_args(hint) if t is not type(None)), True
    return hint, False


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
    conflicts = config.conflicts() if hasattr(config, "conflicts") else ()
    errors += [error for names, error in conflicts if not (given & set(names)) - set(checked)]
    raise_all(errors)
    return config


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


def read_values(path: str | Path) -> dict[str, Any]:
    """The raw values of a YAML configuration file; raises UserError."""
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError("the configuration file is missing", str(path), "check the path") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        # ValueError: not UTF-8, or a date that does not exist.
        found = " ".join(f"{path}: {error}".split())
        raise UserError(
            "the configuration file cannot be read", found, "mend the YAML file"
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(
            "the configuration file is not a table of names and values",
            f"{path}: {type(values).__name__}",
            "write lines such as `epochs: 3`",
        )
    return values


def to_yaml(config: Any) -> str:
    """The configuration as YAML that `--config` takes back."""
    import yaml

    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True)
