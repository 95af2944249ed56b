"""The content of a run's report as JSON, from which the page can be written again."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.report.run_report import Report

# In the folder of a run.
FILE = "report.json"


def encode(value: Any) -> Any:
    """Return dataclasses, sequences and arrays as what JSON has."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: encode(getattr(value, field.name)) for field in fields}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, collections.abc.Mapping):
        return {str(key): encode(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [encode(one) for one in value]
    return value


def decode(hint: Any, value: Any) -> Any:
    """Return an encoded value as the type that a field's annotation names."""
    if value is None:
        return None
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return decode(next(one for one in inner if one is not type(None)), value)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        # Of another version, fields may be missing or unknown.
        known = {name: decode(hints[name], one) for name, one in value.items() if name in hints}
        return typing.cast(type, hint)(**known)
    if hint is np.ndarray:
        return np.array(value)
    if origin is tuple:
        return tuple(decode(one, part) for one, part in zip(inner, value, strict=True))
    if origin is collections.abc.Sequence:
        return [decode(inner[0], one) for one in value]
    if origin is collections.abc.Mapping:
        return {key: decode(inner[1], one) for key, one in value.items()}
    return value


def read_report(folder: Path) -> Report | None:
    """Read the content of a run's report; None where it has none, or one of another version."""
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return typing.cast(Report, decode(Report, stored))
    except (OSError, ValueError, TypeError, AttributeError):
        return None
