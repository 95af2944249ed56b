"""`python -m tfpipe.export RUN --to FOLDER/NAME`: from a run to a SavedModel that takes strings."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.cli import parse, parser_for, print_metrics, run, say
from tfpipe.config import ExportConfig
from tfpipe.exporting.client_command import client_command

if TYPE_CHECKING:
    from tfpipe.exporting.answer_parity import Parity

ABOUT = """Write a finished run as FOLDER/NAME/N, or gs://BUCKET/FOLDER/NAME/N: a SavedModel with
tokenizer, model and decoder in core TensorFlow ops. It is reloaded in a fresh process and must
answer every dev text as training did, and keep what --require and --not-worse-than ask for, before
it takes its place."""
EXAMPLE = """python -m tfpipe.export runs/support --to models/support \\
    --require "dev.accuracy>=0.90" --not-worse-than models/support/3 --keep 3"""


@dataclass(frozen=True)
class Export:
    """A published version.

    folder: a URL where it is in a store; parity: how its answers compare with training's; gate:
    what was asked of it and found; task: the run's; inputs: names of the texts that it takes;
    removed: the numbers of the old versions that were removed.
    """

    folder: Path | str
    parity: Parity
    gate: dict[str, Any] = field(default_factory=dict)
    task: str = "classify"
    inputs: Sequence[str] = ("text",)
    removed: Sequence[int] = ()


def export(config: ExportConfig) -> Export:
    """Export as configured.

    Raises UserError for what the user can mend, a model that the gate refuses among it, and
    RuntimeError when the export is not what was trained; both leave nothing behind.
    """
    from tfpipe.exporting.gate import GATE_FILE, pass_gate, read_gate
    from tfpipe.exporting.info import describe, write_info
    from tfpipe.exporting.label_compatibility import refuse_new_labels
    from tfpipe.exporting.pinned_versions import read_named_versions
    from tfpipe.exporting.precision import choose_export_precision
    from tfpipe.exporting.remote_versions import open_target
    from tfpipe.exporting.saved_model import ExportedModel
    from tfpipe.exporting.server_flags import recommend_flags
    from tfpipe.exporting.verify_export import PARITY_FILE, verify_export, write_json_file
    from tfpipe.exporting.warmup import write_warm_up
    from tfpipe.model import pretrained
    from tfpipe.run_folder import open_run
    from tfpipe.tasks.task import task_of

    began = time.perf_counter()

    def tell(stage: str) -> None:
        say(f"{time.perf_counter() - began:5.1f} s: {stage}")

    # ---- what can be refused before any work
    finished, target = open_run(config.run), open_target(config.to)
    target.refuse_taken(config.version)
    named = (
        read_named_versions(config.model_config, target.base)
        if config.model_config
        else frozenset()
    )
    model = pretrained.load(finished.model)
    task = task_of(finished.config.task, model)
    gate = read_gate(config, finished, task)
    if not config.allow_new_labels:
        refuse_new_labels(target, task.label_names)
    dev, max_length = finished.read_dev(), finished.config.max_length

    with target.folder_for_export() as folder:
        # ---- choose the products' type, and build
        choice = choose_export_precision(config.precision, model, task, dev, max_length)
        tell(f"products in {choice.precision}: {choice.reason}")
        facts = describe(finished, task) | {"precision": vars(choice)}
        pairs = dev.text_pairs is not None
        servable = ExportedModel(model, task, max_length, pairs, facts, choice.precision)
        servable.save(str(folder))
        tell("the graph is written")

        # ---- check operations and verify_export, in a fresh process
        proof = verify_export(folder, finished, model, task, dev, tell, choice.precision)

        # ---- gate
        passed = pass_gate(gate, task, folder, proof, dev, tell)

        # ---- warm up
        requests = write_warm_up(folder, target.name, task, dev, proof.lengths)
        tell(f"{requests} requests to warm up with are written and read back")

        # ---- measure how a server is to run it
        if config.measure_serving:
            facts |= {"serving": recommend_flags(folder, task, dev, tell)}

        # ---- publish, with what was found
        write_json_file(folder, PARITY_FILE, proof.tables)
        write_json_file(folder, GATE_FILE, passed)
        write_info(folder, facts | {"parity": proof.tables, "gate": passed})
        if not config.allow_new_labels:
            # Another export may have been published meanwhile.
            refuse_new_labels(target, task.label_names)
        place = target.publish(folder, config.version)
    tell(f"published as {place}")

    # ---- old versions
    removed: Sequence[int] = ()
    if config.keep is not None:
        try:
            removed = target.remove_old(config.keep, named, int(Path(place).name))
            tell(f"removed old versions: {', '.join(map(str, removed)) or 'none'}")
        except OSError as error:
            # The new version is published all the same.
            tell(f"old versions could not be removed: {error}")
    return Export(place, proof.parity, passed, task.name, task.inputs(pairs), removed)


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(ExportConfig, "tfpipe.export", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, ExportConfig, arguments)
        done = export(config)
        place = Path(done.folder)
        if config.json:
            told = {"folder": str(done.folder), "version": int(place.name), **asdict(done.parity)}
            print_metrics(told | {"gate": done.gate, "removed": done.removed}, as_json=True)
        else:
            print(done.folder)
        name, base = shlex.quote(place.parent.name), shlex.quote(str(place.parent.resolve()))
        server = "python -m serving.server"
        if isinstance(done.folder, str):
            # Ours serves folders only.
            server, base = "tensorflow_model_server", shlex.quote(done.folder.rpartition("/")[0])
        say("next:")
        say(f"  {server} --model_name={name} --model_base_path={base}")
        say(f"  {client_command(place.parent.name, done.task, done.inputs)}")

    return run(command)


if __name__ == "__main__":
    sys.exit(main())
