"""The configuration of every command: one frozen dataclass is the API, the flags and the file."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tfpipe.errors import UserError, did_you_mean, raise_all

STRATEGIES = ("auto", "one_device", "mirrored")
PRECISIONS = ("auto", "float32", "bfloat16")
CLASS_WEIGHTS = ("none", "balanced")


def _field(default: Any, help: str, **rules: Any) -> Any:
    """A field with its help text and rules: choices, minimum, maximum, above, group."""
    return dataclasses.field(default=default, metadata={"help": help, **rules})


@dataclass(frozen=True)
class TrainConfig:
    """Everything `tfpipe.train` needs; field names are flag names and keys of the YAML file."""

    task: str = _field("classify", "what is learnt", choices=("classify",), group="data")
    train: str | None = _field(
        None,
        "training file: .csv .tsv .jsonl .parquet, or .gz of these (default: the shipped sample)",
        group="data",
    )
    dev: str = _field(
        "0.1", "dev file, or the share of train to cut off as dev, between 0 and 1", group="data"
    )
    test: str | None = _field(None, "test file, evaluated once at the end", group="data")
    text: str | None = _field(None, "name of the text column (default: found)", group="data")
    text_pair: str | None = _field(
        None, "name of the second text's column (default: found)", group="data"
    )
    label: str | None = _field(None, "name of the label column (default: found)", group="data")
    model: str = _field(
        "starter",
        "`starter` (pip-installed MiniLM), `tiny` (small, random), a folder, or a hub id",
        group="model",
    )
    max_length: int = _field(
        128, "longest input in tokens, specials included", minimum=4, maximum=512, group="model"
    )
    strategy: str = _field(
        "auto", "how devices share the work", choices=STRATEGIES, group="devices"
    )
    devices: int = _field(
        0,
        "devices to use, 0 for all; without a GPU, logical CPU devices",
        minimum=0,
        group="devices",
    )
    precision: str = _field(
        "auto", "type of the matrix products; auto is float32", choices=PRECISIONS, group="devices"
    )
    epochs: int | None = _field(
        None,
        "passes over the training file (default: 4, up to 10 for small files)",
        minimum=1,
        group="training",
    )
    batch_size: int = _field(
        32, "examples in a step, over all devices", minimum=1, group="training"
    )
    accumulate: int = _field(
        1, "parts a batch is computed in, to save memory", minimum=1, group="training"
    )
    learning_rate: float | None = _field(
        None, "peak rate (default: by model width; 1.5e-4 for starter)", above=0, group="training"
    )
    warmup: float = _field(
        0.1, "share of the steps with a rising rate", minimum=0, maximum=1, group="training"
    )
    weight_decay: float = _field(
        0.01, "decoupled decay; none on biases and norms", minimum=0, group="training"
    )
    clip_norm: float = _field(1.0, "global gradient norm is cut to this", above=0, group="training")
    class_weights: str = _field(
        "none",
        "`balanced` weighs labels by inverse frequency",
        choices=CLASS_WEIGHTS,
        group="training",
    )
    early_stopping: int = _field(
        3,
        "epochs without a better dev accuracy before stopping, 0 for never",
        minimum=0,
        group="training",
    )
    seed: int = _field(
        1, "seeds the dev cut, the order and fresh weights", minimum=0, group="training"
    )
    deterministic: bool = _field(
        False, "bit-equal repeats on the same machine, slower", group="training"
    )
    output: str | None = _field(
        None, "the run's folder (default: runs/<task>-<date>-<time>)", group="run"
    )
    resume: bool = _field(False, "go on with the run in --output", group="run")
    json: bool = _field(False, "print metrics.json instead of a table", group="run")


@dataclass(frozen=True)
class EvaluateConfig:
    """What `tfpipe.evaluate` needs."""

    run: str = _field("", "folder of a finished run", positional=True)
    data: str | None = _field(None, "labelled file (default: the run's dev examples)")
    text: str | None = _field(None, "name of the text column (default: found)")
    text_pair: str | None = _field(None, "name of the second text's column (default: found)")
    label: str | None = _field(None, "name of the label column (default: found)")
    batch_size: int = _field(64, "examples in a forward pass", minimum=1)
    json: bool = _field(False, "print the figures as one JSON object")


@dataclass(frozen=True)
class ExportConfig:
    """What `tfpipe.export` needs."""

    run: str = _field("", "folder of a finished run", positional=True)
    to: str = _field("", "FOLDER/NAME: written as FOLDER/NAME/N", required=True)
    version: int | None = _field(None, "version number (default: the next)", minimum=0)
    precision: str = _field(
        "auto", "type of the served weights; auto is float32", choices=("auto", "float32")
    )
    json: bool = _field(False, "print folder, version and parity as one JSON object")


Config = TypeVar("Config")


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
            checked[name] = _checked(config_class, fields[name], value)
        except UserError as error:
            errors.append(error)
    for name, field in fields.items():
        rules = field.metadata
        if name not in given and (rules.get("required") or rules.get("positional")):
            errors.append(
                UserError(f"{_flag(field)} is missing", "nothing", f"give {rules['help']}")
            )
    raise_all(errors)
    return config_class(**checked)


def _flag(field: dataclasses.Field) -> str:
    """What a user types for the field."""
    if field.metadata.get("positional"):
        return field.name.upper()
    return "--" + field.name.replace("_", "-")


def _checked(config_class: type, field: dataclasses.Field, value: Any) -> Any:
    """`value` in the field's type and within its rules; raises UserError."""
    rules, flag = field.metadata, _flag(field)
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
    low, high, above = rules.get("minimum"), rules.get("maximum"), rules.get("above")
    for broken, rule in (
        (low is not None and converted < low, f"at least {low}"),
        (high is not None and converted > high, f"at most {high}"),
        (above is not None and converted <= above, f"above {above}"),
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
