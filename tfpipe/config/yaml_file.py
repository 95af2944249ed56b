"""Configurations as YAML files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError


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
