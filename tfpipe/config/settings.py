"""Settings: the fields of a configuration class, checked values, and YAML files."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tfpipe.errors import UserError, did_you_mean, near_names, raise_all

Config = TypeVar("Config")
# The names of the fields that a conflict is about, and the conflict.
Conflict = tuple[tuple[str, ...], UserError]
LANGUAGES = ("en", "zh")
# Names of one thing: a field with one of them can be given by the others, too.
SAME_NAMES = (("output", "out", "to"), ("data", "file"), ("text", "column"))
# The type of a field that takes any number of values.
TEXTS = tuple[str, ...]


def setting(default: Any, help_text: str, **rules: Any) -> Any:
    """Define a field of a configuration class.

    Args:
        default: The default value.
        help_text: The text for `--help`.
        **rules: `choices`, `minimum`, `maximum`, `above` and `below` for the value; `group` of the
            flag in `--help`; `alone`, the value of a flag that is given without one; `required`, a
            flag that must be given; `positional`, given without a flag, and required where the
            default is empty text; `repeated`, a flag whose values are joined by commas. A field of
            type `tuple[str, ...]` takes any number of values.
    """
    return dataclasses.field(default=default, metadata={"help": help_text, **rules})


def flag_of(name: str) -> str:
    """Return the flag of a field."""
    return "--" + name.replace("_", "-")


def aliases_of(name: str, fields: Iterable[str]) -> list[str]:
    """Return the other names by which a field can be given.

    Args:
        name: The field's.
        fields: The names of all fields beside it, which are no aliases.
    """
    taken = set(fields)
    return [other for names in SAME_NAMES if name in names for other in names if other not in taken]


def field_name(raw_name: str, fields: Iterable[str]) -> str:
    """Return the field that a flag, YAML key or alias names; the name itself if there is none."""
    fields = list(fields)
    name = raw_name.removeprefix("--").replace("-", "_")
    return next((field for field in fields if name in aliases_of(field, fields)), name)


# A search checks hundreds of configurations, and the hints are texts that are compiled each time.
@functools.cache
def field_type(config_class: type, name: str) -> tuple[Any, bool]:
    """Return the type of a field without None, and whether it may be None."""
    hint = _type_hints(config_class)[name]
    if isinstance(hint, types.UnionType):
        return next(t for t in typing.get_args(hint) if t is not type(None)), True
    return hint, False


@functools.cache
def _type_hints(config_class: type) -> dict[str, Any]:
    """The types of a class; Python evaluates the strings of all fields for each."""
    return typing.get_type_hints(config_class)


def build(
    config_class: type[Config], values: dict[str, Any], found_before: Iterable[UserError] = ()
) -> Config:
    """Build a configuration from raw values.

    Args:
        config_class: A dataclass whose fields are made by `setting`. Its method `conflicts`, if it
            has one, yields settings that cannot be combined.
        values: Strings or YAML scalars by field name or alias, with `_` or `-`.
        found_before: Errors to report together with those found here.

    Raises:
        UserError: All errors at once, those in `found_before` first.
    """
    fields = {f.name: f for f in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    errors, checked = list(found_before), {}
    given = {field_name(raw_name, fields) for raw_name in values}
    for raw_name, value in values.items():
        name = field_name(raw_name, fields)
        if name not in fields:
            errors.append(unknown_option(raw_name, value, fields))
            continue
        try:
            checked[name] = checked_value(config_class, fields[name], value)
        except UserError as error:
            errors.append(error)
    for name, field in fields.items():
        rules = field.metadata
        needed = rules.get("required") or (rules.get("positional") and field.default == "")
        if name not in given and needed:
            errors.append(
                UserError(f"{_shown(field)} is missing", "nothing", f"give {rules['help']}")
            )
    config = config_class(**checked)
    # A field that has its default because its own value is invalid is not in conflict.
    conflicts = config.conflicts() if hasattr(config, "conflicts") else ()
    errors += [error for names, error in conflicts if not (given & set(names)) - set(checked)]
    raise_all(errors)
    return config


def unknown_option(raw_name: str, value: Any, fields: Iterable[str]) -> UserError:
    """Return the error for an option that does not exist, with the names near to its own."""
    as_flag = raw_name.startswith("--")
    name = raw_name.removeprefix("--").replace("-", "_")
    near = [flag_of(n) if as_flag else repr(n) for n in near_names(name, fields)]
    return UserError(
        f"there is no option {raw_name!r}",
        f"{raw_name}: {value!r}",
        (f"did you mean {' or '.join(near)}? " if near else "") + "all are listed by --help",
    )


def _shown(field: dataclasses.Field[Any]) -> str:
    """The name of the field on the command line."""
    return field.name.upper() if field.metadata.get("positional") else flag_of(field.name)


def checked_value(config_class: type, field: dataclasses.Field[Any], value: Any) -> Any:
    """Convert a raw value to the type of its field and check the field's rules.

    Args:
        config_class: The class of the field.
        field: The field.
        value: A string or YAML scalar; None for an optional field without a value.

    Raises:
        UserError: The value has another type or breaks a rule.
    """
    rules, flag = field.metadata, _shown(field)
    plain, optional = field_type(config_class, field.name)
    if value is None and optional:
        return None
    if plain == TEXTS:
        if isinstance(value, bool | int | float | dict):
            raise UserError(f"{flag} takes a list", repr(value), f"give {rules['help']}")
        return (value,) if isinstance(value, str) else tuple(map(str, value or ()))
    if value is None or value == "":
        raise UserError(f"{flag} has no value", "nothing", f"give {rules['help']}")
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[plain]
    try:
        converted = _convert(value, plain)
    except (ValueError, KeyError, TypeError, OverflowError):
        raise UserError(f"{flag} takes {wanted}", repr(value), f"give {rules['help']}") from None
    _check_rules(flag, rules, value, converted)
    return converted


def _convert(value: Any, plain: type) -> Any:
    """Convert a string or YAML scalar; raises an error of Python for another type."""
    if plain is bool:
        return {"true": True, "false": False}[str(value).lower()]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        # YAML reads an unquoted yes or no as a boolean, which is not a column's name.
        raise ValueError
    if plain is int and isinstance(value, float) and value != int(value):
        raise ValueError
    converted = plain(value)
    if plain is float and not math.isfinite(converted):
        raise ValueError
    return converted


def _check_rules(flag: str, rules: Mapping[str, Any], value: Any, converted: Any) -> None:
    """Raise UserError for a value that is not one of the choices, or out of range."""
    if "choices" in rules and converted not in rules["choices"]:
        hint = did_you_mean(str(converted), rules["choices"])
        raise UserError(
            f"{flag} has an unknown value",
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


def find_ignored(config: Any, owned: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Conflict]:
    """Yield settings that are given without one of those without which they would be ignored.

    Args:
        config: A configuration.
        owned: The names of settings, each with the names of those of which one must be given.
    """
    default = type(config)()
    for name, owners in owned:
        value = getattr(config, name)
        if value != getattr(default, name) and not any(getattr(config, one) for one in owners):
            flag, others = flag_of(name), [flag_of(owner) for owner in owners]
            yield (
                (name, *owners),
                UserError(
                    f"{flag} has no effect without {' or '.join(others)}",
                    f"{flag} {value}",
                    f"add {others[0]}, or leave out {flag}",
                ),
            )


def read_values(path: str | Path) -> dict[str, Any]:
    """Read the raw values of a YAML configuration file; raises UserError."""
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError("the configuration file is missing", str(path), "check the path") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        # ValueError: not UTF-8, or a date that does not exist.
        found = " ".join(f"{path}: {error}".split())
        raise UserError(
            "the configuration file cannot be read", found, "correct the YAML file"
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
    """Format a configuration as YAML that `--config` reads."""
    import yaml

    return yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True)
