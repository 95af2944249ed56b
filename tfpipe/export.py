"""`python -m tfpipe.export RUN --to FOLDER/NAME`: from a run to a SavedModel that takes strings."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfpipe.cli import parse, parser_for, print_figures, run, say
from tfpipe.config import ExportConfig

if TYPE_CHECKING:
    from tfpipe.exporting.verify import Parity

ABOUT = """Write a finished run as FOLDER/NAME/N: a SavedModel with tokenizer, model and decoder in
core TensorFlow ops. It is reloaded in a fresh process and must answer every dev text as training
did, before it takes its place."""
EXAMPLE = "python -m tfpipe.export runs/support --to models/support"


@dataclass(frozen=True)
class Export:
    """A published version: its folder, and how its answers compare with training's."""

    folder: Path
    parity: Parity


def export(config: ExportConfig) -> Export:
    """Export as configured; raises UserError, and RuntimeError when the answers would differ."""
    import tensorflow as tf

    from tfpipe.data.encode import Labelled, encode
    from tfpipe.exporting.graph import Servable
    from tfpipe.exporting.publish import next_version
    from tfpipe.exporting.verify import TOLERANCE, compare
    from tfpipe.files import folder_aside
    from tfpipe.model import checkpoint
    from tfpipe.run import open_run
    from tfpipe.tasks import TASKS
    from tfpipe.training.evaluator import Evaluator

    began = time.perf_counter()
    finished = open_run(config.run)
    target = next_version(Path(config.to), config.version)
    model = checkpoint.load(finished.model)
    task = TASKS[finished.config.task](model.label_names)
    dev = finished.read_dev()
    max_length = finished.config.max_length
    info = {
        "task": task.name,
        "labels": task.label_names,
        "max_length": max_length,
        "vocabulary_sha256": hashlib.sha256(
            (finished.model / "vocab.txt").read_bytes()
        ).hexdigest(),
        "train_sha256": finished.data["train_sha256"],
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("tfpipe", "tensorflow", "transformers")
        },
        "metrics": {part: finished.metrics.get(part) for part in ("dev", "test")},
    }
    encoded = encode(dev, model.tokenizer, max_length)
    evaluator = Evaluator(tf.distribute.get_strategy(), model, task, finished.config.batch_size)
    expected = evaluator.evaluate(Labelled(dev, encoded, task.gold(dev)))
    with folder_aside(target) as aside:
        pairs = dev.text_pairs is not None
        Servable(model, task, max_length, pairs, info).save(str(aside))
        parity = compare(aside, dev, expected)
        say(
            f"reloaded in a fresh process: {parity.texts} dev texts, {parity.other_labels} with"
            f" another label, largest score difference {parity.largest_difference:.1e}"
        )
        if not parity.holds:
            raise RuntimeError(
                f"the export does not answer as training did (labels must be equal, scores within"
                f" {TOLERANCE}); nothing was published"
            )
    say(f"exported in {time.perf_counter() - began:.1f} s")
    return Export(target, parity)


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(ExportConfig, "tfpipe.export", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, ExportConfig, arguments)
        done = export(config)
        target = done.folder
        if config.json:
            told = {"folder": str(target), "version": int(target.name), **vars(done.parity)}
            print_figures(told, as_json=True)
        else:
            print(target)
        name, base = shlex.quote(target.parent.name), shlex.quote(str(target.parent.resolve()))
        say("next:")
        say(f"  python -m serving.server --model_name={name} --model_base_path={base}")
        say(f'  python -m serving.client classify --model {name} "a text"')

    return run(command)


if __name__ == "__main__":
    sys.exit(main())
