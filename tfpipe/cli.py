"""The command line: flags from a configuration class, exit statuses, and `tfpipe VERB`."""

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

import tfpipe
from serving.standard_output import replace_unencodable
from tfpipe.config import TEXTS, Config, build, field_type, read_values
from tfpipe.config.settings import aliases_of, field_name, flag_of
from tfpipe.errors import Interrupted, UserError, did_you_mean
from tfpipe.process import run_as_process

VERBS = {
    "train": ("tfpipe.train", "train a model and write a run folder"),
    "launch": ("tfpipe.launch", "train in several processes on this machine"),
    "tune": ("tuning.search", "search for the settings that train best"),
    "evaluate": ("tfpipe.evaluate", "evaluate a run on a labelled file"),
    "runs": ("tfpipe.runs", "list runs with their metrics and differing settings"),
    "report": ("tfpipe.rewrite_report", "write a run's report again, or for another file"),
    "compare": ("tfpipe.compare", "test whether one of two runs is better"),
    "probe": ("tfpipe.probe", "test a model on changed texts"),
    "soup": ("tfpipe.soup", "average the weights of runs into one run"),
    "compress": ("tfpipe.compress", "make a smaller run of a run"),
    "predict": ("tfpipe.predict", "predict every row of a file"),
    "pretrain": ("tfpipe.pretrain", "train a model further on texts without labels"),
    "pseudo": ("tfpipe.pseudo", "label texts with a run, to train on"),
    "ask": ("tfpipe.ask", "ask a run or an export about texts"),
    "export": ("tfpipe.export", "write a run as a SavedModel that takes raw strings"),
    "index": ("tfpipe.index", "write a table of answers as a SavedModel that searches it"),
    "doctor": ("tfpipe.doctor", "check the environment, a data file, a run or an export"),
    "clean": ("tfpipe.clean", "write a data file again with its labels put in order"),
    "support": ("tfpipe.apps.support.command", "answer customers on a web page"),
    "serve": ("serving.server.cli", "serve an export over gRPC"),
    "client": ("serving.client.cli.main", "send requests to a served model"),
}


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises UserError."""

    def error(self, message: str) -> NoReturn:
        raise UserError("the command line cannot be read", message, "see --help")


class _Joined(argparse.Action):
    """The action of a flag that may be given several times: its values are joined by commas."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, value: Any, flag: str | None = None
    ) -> None:
        before = getattr(namespace, self.dest, None)
        setattr(namespace, self.dest, value if before is None else f"{before},{value}")


class _Listed(argparse.Action):
    """The action of a flag with any number of values, which comes once for each of them."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, value: Any, flag: str | None = None
    ) -> None:
        before = getattr(namespace, self.dest, [])
        setattr(namespace, self.dest, [*before, value] if value else before)


def parser_for(
    config_class: type,
    module: str,
    about: str,
    example: str,
    more: Sequence[tuple[type, dataclasses.Field]] = (),
) -> argparse.ArgumentParser:
    """Make a parser with one flag a field; values stay strings, which `build` checks together.

    Args:
        config_class: The configuration class.
        module: The module that is run, for the usage line.
        about: The description.
        example: An example command.
        more: Fields of other classes to add, each with its class.
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
    fields = [*owned_fields(config_class), *more]
    names = [field.name for _, field in fields]
    for owner, field in fields:
        rules = field.metadata
        if rules.get("positional"):
            several = field_type(owner, field.name)[0] == TEXTS
            parser.add_argument(
                field.name,
                nargs="*" if several else "?",
                metavar=field.name.upper(),
                help=rules["help"].replace("%", "%%"),
            )
            continue
        name = rules.get("group", "options")
        if name not in groups:
            groups[name] = parser.add_argument_group(name)
        _add_flag(groups[name], owner, field, [field.name, *aliases_of(field.name, names)])
    parser.add_argument("--config", metavar="FILE.yaml", help="values by field name; flags win")
    return parser


def _add_flag(group: Any, owner: type, field: dataclasses.Field, names: Sequence[str]) -> None:
    """Add the flag of a field under each of its names; the help has its choices and default."""
    rules, flags = field.metadata, map(flag_of, names)
    plain, optional = field_type(owner, field.name)
    help_text = rules["help"].replace("%", "%%")
    if plain is bool:
        if "(default" not in help_text:
            help_text += f" (default: {'on' if field.default else 'off'})"
        group.add_argument(*flags, action=argparse.BooleanOptionalAction, help=help_text)
        return
    if "choices" in rules:
        help_text += f" [{', '.join(rules['choices'])}]"
    if not rules.get("required") and "(default" not in help_text:
        help_text += f" (default: {'none' if optional else field.default})"
    action: Any = _Joined if rules.get("repeated") else "store"
    metavar = plain.__name__.upper()
    if plain == TEXTS:
        action, metavar = _Listed, "FILE..."
    group.add_argument(*flags, dest=field.name, metavar=metavar, help=help_text, action=action)


def owned_fields(config_class: type) -> list[tuple[type, dataclasses.Field]]:
    """List the fields of a configuration, each with its class, which defines their types."""
    return [(config_class, field) for field in dataclasses.fields(config_class)]


def parse(parser: argparse.ArgumentParser, config_class: type[Config], arguments: Sequence[str]):
    """Build the configuration from flags and `--config`; raises UserError."""
    values, errors = given_values(parser, owned_fields(config_class), arguments)
    return build(config_class, values, errors)


def given_values(
    parser: argparse.ArgumentParser,
    fields: Sequence[tuple[type, dataclasses.Field]],
    arguments: Sequence[str],
) -> tuple[dict[str, Any], list[UserError]]:
    """Read raw values from flags and `--config`.

    Args:
        parser: The parser of `parser_for`.
        fields: The fields that have a flag, each with its class.
        arguments: The command line.

    Returns:
        Values by field name, also those of unknown names, which `build` reports; and errors.
    """
    # Intermixed: positional arguments may stand before and after flags.
    namespace, unknown = parser.parse_known_intermixed_args(_join_values(fields, arguments))
    given = vars(namespace)
    values: dict[str, Any] = {}
    errors: list[UserError] = []
    if "config" in given:
        try:
            values = read_values(given.pop("config"))
        except UserError as error:
            errors.append(error)
    names = [field.name for _, field in fields]
    values = {field_name(name, names): value for name, value in values.items()} | given
    while unknown:
        extra = unknown.pop(0)
        if not extra.startswith("--"):
            errors.append(UserError("unexpected argument", extra, "see --help"))
            continue
        # An unknown flag becomes an unknown name, which `build` reports with all other errors.
        name, _, value = extra.partition("=")
        takes_next = not value and unknown and not unknown[0].startswith("--")
        values[name] = unknown.pop(0) if takes_next else value
    return values, errors


def _join_values(
    fields: Sequence[tuple[type, dataclasses.Field]], arguments: Sequence[str]
) -> list[str]:
    """Rewrite `--flag value` as `--flag=value`, and as `--flag=` where the value is missing.

    Then argparse does not stop at a missing value, which `build` reports with all other errors,
    and accepts -1e-4 as a number. A flag with any number of values becomes `--flag=`, and
    `--flag=value` for each value.
    """
    names = [field.name for _, field in fields]
    listed = {
        flag_of(field.name)
        for owner, field in fields
        if not field.metadata.get("positional") and field_type(owner, field.name)[0] == TEXTS
    }
    flags = {
        flag_of(name): field.metadata.get("alone", "")
        for owner, field in fields
        if not field.metadata.get("positional") and field_type(owner, field.name)[0] is not bool
        for name in (field.name, *aliases_of(field.name, names))
    } | {"--config": ""}
    joined, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument in listed:
            joined.append(f"{argument}=")
            while rest and not rest[0].startswith("--"):
                joined.append(f"{argument}={rest.pop(0)}")
            continue
        if argument in flags:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else flags[argument]
            argument = f"{argument}={value}"
        joined.append(argument)
    return joined


def say(line: str) -> None:
    """Print progress or advice to standard error; only results go to standard output."""
    print(line, file=sys.stderr, flush=True)


def print_metrics(metrics: Mapping[str, Any], prefix: str = "", as_json: bool = False) -> None:
    """Print results to standard output: one JSON object, or one `name<TAB>value` a line."""
    if as_json:
        print(json.dumps(metrics))
        return
    for name, value in metrics.items():
        shown = f"{value:.4f}" if isinstance(value, float) else str(value)
        print(f"{prefix}{name}\t{shown}")


class _StandardError(logging.StreamHandler):
    """A handler that writes to the current sys.stderr."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr


def log_to_stderr() -> None:
    """Print log records of tfpipe, from INFO on, as plain lines to standard error."""
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
    """Run a command, print the errors that it raises, and return its exit status."""
    replace_unencodable()
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
        # The reader of standard output has closed it; the flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # Python, TensorFlow and safetensors raise different errors for it.
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        full = UserError(
            "the disk is full", str(error).splitlines()[0], "free disk space and try again"
        )
        say(f"error: {full}")
        return 2
    return 0


def refuse_verb(verb: str) -> None:
    """Raise the UserError for an unknown verb."""
    hint = did_you_mean(verb, VERBS)
    raise UserError("unknown verb", verb, f"{hint}see tfpipe --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console script `tfpipe VERB ...`; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: tfpipe VERB ...\n\nverbs (each with --help):")
        print("\n".join(f"  {verb:<10}{about}" for verb, (_, about) in VERBS.items()))
        return 0
    if arguments[0] == "--version":
        print(f"tfpipe {tfpipe.__version__}")
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        return run(lambda: refuse_verb(verb))
    return importlib.import_module(VERBS[verb][0]).main(rest)


def run_console_script() -> NoReturn:
    """Run `tfpipe VERB ...` as the whole of this process."""
    run_as_process(main)
