"""`python -m tfpipe.train`: from labelled texts to a run folder."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfpipe.cli import Interrupted, parse, parser_for, print_figures, run, say
from tfpipe.config import TrainConfig

if TYPE_CHECKING:
    from tfpipe.run import Run

SAMPLE = Path(__file__).parent / "data" / "sample" / "messages.tsv"
ABOUT = """Train a text classifier: data report, training, figures, report page.
With no flag it trains on the synthetic customer-service sample that ships with the package."""
EXAMPLE = "python -m tfpipe.train --train train.tsv --dev dev.tsv --output runs/support"


def train(config: TrainConfig) -> Run:
    """Train as configured; returns the finished run (its folder, config and metrics).

    Raises UserError for what the user can mend, and Interrupted after SIGINT or SIGTERM, with the
    state saved.
    """
    # TensorFlow is imported here so that --help answers at once.
    import tensorflow as tf
    import tf_keras

    from tfpipe.data.check import report_data
    from tfpipe.data.encode import Labelled, encode
    from tfpipe.data.parts import read_parts
    from tfpipe.data.read import Columns
    from tfpipe.model import checkpoint, sources
    from tfpipe.report.board import Board
    from tfpipe.report.outcome import write_outcome
    from tfpipe.run import begin_run, find_run, resumed_config
    from tfpipe.tasks import TASKS
    from tfpipe.training.defaults import default_epochs, default_rate
    from tfpipe.training.evaluator import Evaluator
    from tfpipe.training.loop import Stopped, fit
    from tfpipe.training.observer import Observer
    from tfpipe.training.progress import ProgressLine, Throughput
    from tfpipe.training.strategy import make_strategy, use_precision

    began = time.perf_counter()

    # ---- the run, its seed and its devices
    this_run = find_run(config, f"runs/{config.task}-{time.strftime('%Y%m%d-%H%M%S')}")
    if config.resume:
        config = resumed_config(this_run, config)
    config = replace(config, train=config.train or str(SAMPLE), output=str(this_run.folder))
    tf_keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy, sentence = make_strategy(config.strategy, config.devices)
    say(f"strategy: {sentence}")

    # ---- texts and labels
    columns = Columns(config.text, config.text_pair, config.label)
    parts = read_parts(str(config.train), config.dev, config.test, columns, config.seed)
    task = TASKS[config.task].from_labels(parts.train.labels or [])
    golds = [task.gold(part) for part in parts]

    # ---- the model
    use_precision(config.precision)
    with strategy.scope():
        texts = [*parts.train.texts, *(parts.train.text_pairs or ())]
        model = sources.open_model(config.model, task.label_names, texts, config.max_length)
    rate = config.learning_rate or default_rate(model.bert.config.hidden_size)
    epochs = config.epochs or default_epochs(-(-len(parts.train) // config.batch_size))
    config = replace(config, learning_rate=rate, epochs=epochs)
    say(
        f"model: {config.model}, {model.bert.count_params():,} parameters,"
        f" {len(task.label_names)} labels"
    )

    # ---- the texts as the model reads them, and what their owner should know
    sets = [
        Labelled(part, encode(part, model.tokenizer, config.max_length), gold)
        for part, gold in zip(parts, golds, strict=True)
    ]
    data = report_data(parts.train, parts.dev, sets[0].encoded.full_lengths, config.max_length)
    for name, value in data.facts:
        say(f"data: {name}: {value}")
    for warning in data.warnings:
        say(f"data: note: {warning}")

    # ---- the folder, now that nothing stands in the way
    begin_run(this_run, config, parts)

    # ---- training
    say(
        f"training: {config.epochs} epochs, batch {config.batch_size} over"
        f" {strategy.num_replicas_in_sync} replica(s) in {config.accumulate} part(s), peak rate"
        f" {rate:.2e}, into {this_run.folder}"
    )
    throughput, board = Throughput(), Board(this_run.logs)
    observers: list[Observer] = [throughput, ProgressLine(), board]
    try:
        with board:
            history = fit(
                config, strategy, model, task, sets[0], sets[1], this_run.folder, observers
            )
    except Stopped as stop:
        command = f"python -m tfpipe.train --resume --output {shlex.quote(str(this_run.folder))}"
        raise Interrupted(
            128 + stop.signal, f"stopped after a whole step, state saved; go on with:\n  {command}"
        ) from None

    # ---- figures of the files that were saved, as others load them: not of what is in memory
    use_precision("float32")
    with strategy.scope():
        best = checkpoint.load(this_run.model)
    evaluator = Evaluator(strategy, best, task, config.batch_size)
    dev, *test = [evaluator.evaluate(labelled) for labelled in sets[1:]]
    speed = {"seconds": time.perf_counter() - began, **throughput.rates()}
    write_outcome(this_run, best, strategy, data, history, speed, dev, test[0] if test else None)
    return this_run


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(TrainConfig, "tfpipe.train", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, TrainConfig, arguments)
        done = train(config)
        if config.json:
            print_figures(done.metrics, as_json=True)
        for part in () if config.json else ("dev", "test"):
            print_figures(done.metrics.get(part, {}), prefix=f"{part}.")
        say(f"report: {done.folder / 'report.html'}\nnext:")
        for line in done.next_commands:
            say(f"  {line}")

    return run(command)


if __name__ == "__main__":
    sys.exit(main())
