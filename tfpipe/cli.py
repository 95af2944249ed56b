"""The command line: flags made from a configuration class, exit statuses, and `tfpipe VERB`."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

from tfpipe.config import Config, build, field_type, read_values
from tfpipe.errors import Interrupted, UserError, did_you_mean

VERBS = {
    "train": ("tfpipe.train", "train a model and write a run folder"),
    "launch": ("tfpipe.launch", "train in several processes on this machine"),
    "tune": ("tuning.search", "search for the settings that train best"),
    "evaluate": ("tfpipe.evaluate", "figures of a run on a labelled file"),
    "compare": ("tfpipe.compare", "whether one of two runs is really better"),
    "predict": ("tfpipe.predict", "answers for every row of a file"),
    "export": ("tfpipe.export", "write a run as a SavedModel that takes raw strings"),
    "doctor": ("tfpipe.doctor", "look at the environment, a data file, a run or an export"),
    "serve": ("serving.server.cli", "serve an export over gRPC"),
    "ask": ("serving.client.cli.main", "ask a served model"),
}


class _Parser(argparse.ArgumentParser):
    """Tells its errors as all others are told."""

    def error(self, message: str) -> NoReturn:
        raise UserError("the command line cannot be read", message, "see --help")


class _Joined(argparse.Action):
    """A flag that may be given several times: none of its values may be lost."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, value: Any, flag: str | None = None
    ) -> None:
        before = getattr(namespace, self.dest, None)
        setattr(namespace, self.dest, value if before is None else f"{before},{value}")


def parser_for(
    config_class: type,
    module: str,
    about: str,
    example: str,
    more: Sequence[tuple[type, dataclasses.Field]] = (),
) -> argparse.ArgumentParser:
    """A parser with one flag a field; values stay strings, `build` checks them all together.

    more: fields of other classes whose flags are taken, too.
    """
    parser = _Parser(
        prog=f"python -m {module}",
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    groups: dict[str, Any] = {}
    for owner, field in [*owned_fields(config_class), *more]:
        rules = field.metadata
        plain, optional = field_type(owner, field.name)
        help_text = rules["help"].replace("%", "%%")
        if rules.get("positional"):
            parser.add_argument(field.name, nargs="?", metavar=field.name.upper(), help=help_text)
            continue
        name = rules.get("group", "options")
        group = groups.setdefault(name, None) or parser.add_argument_group(name)
        groups[name] = group
        flag = "--" + field.name.replace("_", "-")
        if plain is bool:
            help_text += f" (default: {'on' if field.default else 'off'})"
            group.add_argument(flag, action=argparse.BooleanOptionalAction, help=help_text)
            continue
        if "choices" in rules:
            help_text += f" [{', '.join(rules['choices'])}]"
        if not rules.get("required") and "(default" not in help_text:
            help_text += f" (default: {'none' if optional else field.default})"
        action = _Joined if rules.get("repeated") else "store"
        group.add_argument(flag, metavar=plain.__name__.upper(), help=help_text, action=action)
    parser.add_argument("--config", metavar="FILE.yaml", help="values by field name; flags win")
    return parser


def owned_fields(config_class: type) -> list[tuple[type, dataclasses.Field]]:
    """The fields of a configuration, each with its class, which knows their types."""
    return [(config_class, field) for field in dataclasses.fields(config_class)]


def parse(parser: argparse.ArgumentParser, config_class: type[Config], arguments: Sequence[str]):
    """The checked configuration from flags and `--config`; raises UserError."""
    values, errors = given_values(parser, owned_fields(config_class), arguments)
    return build(config_class, values, errors)


def given_values(
    parser: argparse.ArgumentParser,
    fields: Sequence[tuple[type, dataclasses.Field]],
    arguments: Sequence[str],
) -> tuple[dict[str, Any], list[UserError]]:
    """Raw values by field name from flags and `--config`, and what could not be read.

    Unknown names are among the values, for the configuration's check to tell with all else.
    """
    namespace, unknown = parser.parse_known_args(_join_values(fields, arguments))
    given = vars(namespace)
    values: dict[str, Any] = {}
    errors: list[UserError] = []
    if "config" in given:
        try:
            values = read_values(given.pop("config"))
        except UserError as error:
            errors.append(error)
    values = {name.replace("-", "_"): value for name, value in values.items()} | given
    while unknown:
        extra = unknown.pop(0)
        if not extra.startswith("--"):
            errors.append(UserError("there is an argument too many", extra, "see --help"))
            continue
        # An unknown flag becomes an unknown name, so that it is told with all other errors.
        name, _, value = extra[2:].partition("=")
        takes_next = not value and unknown and not unknown[0].startswith("--")
        values[name] = unknown.pop(0) if takes_next else value
    return values, errors


def _join_values(
    fields: Sequence[tuple[type, dataclasses.Field]], arguments: Sequence[str]
) -> list[str]:
    """`--flag value` as `--flag=value`, and `--flag=` where the value is forgotten.

    So argparse stops at no forgotten value, which `build` tells with all other errors, and takes
    -1e-4 for a number.
    """
    flags = {
        "--" + field.name.replace("_", "-"): field.metadata.get("alone", "")
        for owner, field in fields
        if not field.metadata.get("positional") and field_type(owner, field.name)[0] is not bool
    } | {"--config": ""}
    joined, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in flags:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else flags[argument]
            argument = f"{argument}={value}"
        joined.append(argument)
    return joined


def say(line: str) -> None:
    """Progress and advice, on standard error: results alone go to standard output."""
    print(line, file=sys.stderr, flush=True)


def print_metrics(figures: Mapping[str, Any], prefix: str = "", as_json: bool = False) -> None:
    """Results on standard output: one JSON object, or one `name<TAB>value` a line."""
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        shown = f"{value:.4f}" if isinstance(value, float) else str(value)
        print(f"{prefix}{name}\t{shown}")


class _StandardError(logging.StreamHandler):
    """Writes to whatever sys.stderr is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


def log_to_stderr() -> None:
    """Print what tfpipe logs, from INFO on, as plain lines on standard error."""
    logger = logging.getLogger("tfpipe")
    if not any(isinstance(handler, _StandardError) for handler in logger.handlers):
        logger.addHandler(_StandardError())
        logger.setLevel(logging.INFO)
        logger.propagate = False


@contextmanager
def stderr_format(formatter: logging.Formatter) -> Iterator[None]:
    """Have the handler of `log_to_stderr` use a formatter while the block runs."""
    handlers = [h for h in logging.getLogger("tfpipe").handlers if isinstance(h, _StandardError)]
    before = [handler.formatter for handler in handlers]
    for handler in handlers:
        handler.setFormatter(formatter)
    try:
        yield
    finally:
        for handler, old in zip(handlers, before, strict=True):
            handler.setFormatter(old)


def run(command: Callable[[], Any]) -> int:
    """Run a command and turn what it raises into sentences and an exit status."""
    log_to_stderr()
    try:
        command()
    except UserError as error:
        for one in getattr(error, "errors", [error]):
            say(f"error: {one}")
        return 2
    except Interrupted as stop:
        say(f"\n{stop}")
        return stop.status
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 130
    except BrokenPipeError:
        # The reader of our output went away; a second write at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # Python, TensorFlow and safetensors each have an error of their own for it.
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        full = UserError("the disk is full", str(error).splitlines()[0], "make room and try again")
        say(f"error: {full}")
        return 2
    return 0


def refuse_verb(verb: str) -> None:
    """Raise the UserError for a verb that does not exist."""
    hint = did_you_mean(verb, VERBS)
    raise UserError("there is no such verb", verb, f"{hint}see tfpipe --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """`tfpipe VERB ...`: the console script."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: tfpipe VERB ...\n\nverbs (each with --help):")
        print("\n".join(f"  {verb:<10}{about}" for verb, (_, about) in VERBS.items()))
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        return run(lambda: refuse_verb(verb))
    return importlib.import_module(VERBS[verb][0]).main(rest)
