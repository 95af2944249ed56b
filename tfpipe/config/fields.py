"""The fields of a configuration: what they carry, what they are called, their types."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any


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
