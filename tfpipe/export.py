"""`python -m tfpipe.export RUN --to FOLDER/NAME`: export a run as a SavedModel."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe import fork_server
from tfpipe.cli import parse, parser_for, print_metrics, run, say, stderr_format
from tfpipe.config import ExportConfig
from tfpipe.doctoring.serving_lines import read_flags
from tfpipe.exporting.client_command import client_command
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.exporting.answer_parity import Parity

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.export")

ABOUT = """Write a finished run as FOLDER/NAME/N, or gs://BUCKET/FOLDER/NAME/N: a SavedModel with
tokenizer, model and decoder in core TensorFlow ops. It is reloaded in a fresh process and must
answer every dev text as training did, and meet --require and --not-worse-than, before it is
published."""
EXAMPLE = """python -m tfpipe.export runs/support --to models/support \\
    --require "dev.accuracy>=0.90" --not-worse-than models/support/3 --keep 3"""
# Beginnings of the names of modules whose messages have a time.
TIMED = ("tfpipe.export", "tfpipe.index", "tfpipe.retrieval")


@dataclass(frozen=True)
class Export:
    """A published version.

    Attributes:
        folder: Its folder, or its URL in an object store.
        parity: Comparison of its answers with those of training.
        gate: Requirements that it met, and the measured values.
        task: Task of the run.
        inputs: Names of the texts that it takes.
        removed: Numbers of the old versions that were removed.
    """

    folder: Path | str
    parity: Parity
    gate: dict[str, Any] = field(default_factory=dict)
    task: str = "classify"
    inputs: Sequence[str] = ("text",)
    removed: Sequence[int] = ()


class ElapsedTime(logging.Formatter):
    """Formatter that puts the seconds since it was made before messages of an export or index."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.time()

    def format(self, record: logging.LogRecord) -> str:
        """Return the message; with seconds where it is from a module of TIMED."""
        message = super().format(record)
        if not record.name.startswith(TIMED):
            return message
        return f"{record.created - self._began:5.1f} s: {message}"


def export(config: ExportConfig) -> Export:
    """Export a run as configured.

    Raises:
        UserError: The configuration or the run cannot be used, or the gate refuses the model.
        RuntimeError: The export does not answer as training did. Nothing is published either way.
    """
    # TensorFlow is imported for the processes of the verification while the model is opened here.
    fork_server.prepare(fork_server.TENSORFLOW)
    with quick_imports():
        from tfpipe.exporting.ensemble_export import EnsembleExport
        from tfpipe.exporting.published_versions import read_named_versions, remove_old
        from tfpipe.exporting.remote_versions import open_target
        from tfpipe.exporting.run_export import RunExport, Source
        from tfpipe.exporting.server_flags import copy_beside_versions
        from tfpipe.exporting.shared_export import SharedExport

    target = open_target(config.to)
    target.refuse_taken(config.version)
    named = (
        read_named_versions(config.model_config, target.base)
        if config.model_config
        else frozenset()
    )
    kind = EnsembleExport if config.ensemble else SharedExport if config.shared else RunExport
    source: Source = kind(config)
    if not config.allow_new_labels:
        source.refuse_new_labels(target)

    with target.folder_for_export() as folder:
        parity, passed = source.build(folder, target.name)
        if not config.allow_new_labels:
            # Another export may have been published meanwhile.
            source.refuse_new_labels(target)
        place = target.publish(folder, config.version)
    logger.info(f"published as {place}")
    if isinstance(place, Path):
        copy_beside_versions(place)
    removed = remove_old(target, config.keep, named, place)
    return Export(place, parity, passed, source.task, source.inputs, removed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(ExportConfig, "tfpipe.export", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, ExportConfig, arguments)
        with stderr_format(ElapsedTime()):
            done = export(config)
        place = Path(done.folder)
        if config.json:
            found = {"folder": str(done.folder), "version": int(place.name), **asdict(done.parity)}
            print_metrics(found | {"gate": done.gate, "removed": done.removed}, as_json=True)
        else:
            print(done.folder)
        options = ("--adapter", Path(config.run).resolve().name) if config.shared else ()
        say_next(done.folder, done.task, done.inputs, options)

    return run(command)


def say_next(
    folder: Path | str, task: str, inputs: Sequence[str], options: Sequence[str] = ()
) -> None:
    """Print the commands that serve a published version and ask it.

    Args:
        folder: The version's folder, or its URL.
        task: Its task.
        inputs: Names of the texts that it takes.
        options: Further options of the client.
    """
    place = Path(folder)
    name, base = shlex.quote(place.parent.name), shlex.quote(str(place.parent.resolve()))
    server = "python -m serving.server"
    if isinstance(folder, str):
        # Our own server serves folders only.
        server, base = "tensorflow_model_server", shlex.quote(folder.rpartition("/")[0])
        flags = []
    else:
        flags = read_flags(place, str(place.resolve()))
    say("next:")
    say(f"  {server} --model_name={name} --model_base_path={base} {shlex.join(flags)}".rstrip())
    say(f"  {client_command(place.parent.name, task, inputs, options)}")


if __name__ == "__main__":
    run_as_process(main)
