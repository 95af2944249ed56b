"""`python -m tfpipe.train`: from labelled texts to a run folder."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfpipe.cli import Interrupted, parse, parser_for, print_figures, run, say
from tfpipe.config import TrainConfig
from tfpipe.errors import UserError
from tfpipe.training.ending import Ending

if TYPE_CHECKING:
    from tfpipe.run import Run

SAMPLE = Path(__file__).parent / "data" / "sample" / "messages.tsv"
ABOUT = """Train a model on labelled texts: data report, training, figures, report page.
With no flag it trains on the synthetic customer-service sample that ships with the package."""
EXAMPLE = "python -m tfpipe.train --train train.tsv --dev dev.tsv --output runs/support"


def train(config: TrainConfig) -> Run:
    """Train as configured; returns the finished run (its folder, config and metrics).

    Raises UserError for what the user can mend, and Interrupted, with the state saved, after
    SIGINT or SIGTERM and at the end of epoch `stop_after` (with the exit status 0). A dry run
    trains one step, on the longest inputs.
    """
    # TensorFlow is imported here so that --help answers at once.
    import tensorflow as tf
    import tf_keras

    from tfpipe.data.check import report_data
    from tfpipe.data.encode import hash_texts
    from tfpipe.data.parts import read_parts
    from tfpipe.data.read import Columns
    from tfpipe.model import checkpoint, sources
    from tfpipe.report.board import Board
    from tfpipe.report.outcome import write_outcome
    from tfpipe.run import FREE, Run, begin_run, find_run, resumed_config
    from tfpipe.tasks import TASKS
    from tfpipe.training.allocator import keep_freed_memory
    from tfpipe.training.defaults import default_epochs, default_rate
    from tfpipe.training.disk import held_alone
    from tfpipe.training.dry import take_longest
    from tfpipe.training.evaluator import Evaluator
    from tfpipe.training.loop import fit
    from tfpipe.training.observer import Observer
    from tfpipe.training.precision import choose_precision
    from tfpipe.training.profile import Profile, parse_steps
    from tfpipe.training.progress import ProgressLine, Throughput
    from tfpipe.training.stop import Stopped
    from tfpipe.training.strategy import describe_batch, find_cluster, make_strategy, serve
    from tfpipe.training.together import check_agreement, telling_losses
    from tfpipe.training.weights import prepare_weights

    began = time.perf_counter()
    profiled = parse_steps(config.profile_steps) if config.profile_steps else None

    # ---- the run, its seed and its devices
    cluster = find_cluster(config)
    if cluster and cluster.serves:
        serve(cluster, say)
    # All workers compute the same; one of them writes the run and speaks.
    chief = cluster is None or cluster.is_chief
    tell = say if chief else lambda line: None
    default_folder = f"runs/{config.task}-{time.strftime('%Y%m%d-%H%M%S')}"
    if chief or config.resume:
        this_run = find_run(config, default_folder)
    else:
        this_run = Run(Path(config.output or default_folder), written_here=False)
    if config.resume:
        config = resumed_config(this_run, config)
    config = replace(config, train=config.train or str(SAMPLE), output=str(this_run.folder))
    tf_keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy, sentence = make_strategy(
        config.strategy, config.devices, cluster, config.worker_timeout, config.tpu, say
    )
    say(f"strategy: {sentence}")

    # ---- texts and labels
    columns = Columns(config.text, config.text_pair, config.label)
    rules = TASKS[config.task]
    parts = read_parts(str(config.train), config.dev, config.test, columns, config.seed, rules)
    task = rules.from_labels(parts.train.labels or [], config)
    for part in parts:
        task.refuse_unknown(part)

    # ---- the model
    with strategy.scope():
        texts = [*parts.train.texts, *(parts.train.text_pairs or ())]
        model = sources.open_model(
            config.model, task.label_names, texts, config.max_length, task.head
        )
        prepare_weights(model.bert, config)
    rate = config.learning_rate or default_rate(model.bert.config.hidden_size)
    epochs = config.epochs or default_epochs(-(-len(parts.train) // config.batch_size))
    config = replace(
        config,
        learning_rate=rate,
        epochs=1 if config.dry_run else epochs,
        precision=choose_precision(config.precision, model),
    )
    tell(
        f"model: {config.model}, {model.bert.count_params():,} parameters,"
        f" {len(task.label_names)} labels, products in {config.precision}"
    )

    # ---- the texts as the model reads them, and what their owner should know
    sets = [task.label(part, model.tokenizer, config.max_length) for part in parts]
    lengths = sets[0].full_lengths
    in_windows = len(sets[0].encoded) > len(parts.train)
    data = report_data(
        parts.train, parts.dev, lengths, config.max_length, rules.names_in, in_windows
    )
    for name, value in data.facts:
        tell(f"data: {name}: {value}")
    for warning in (*data.warnings, *task.notes(sets[0])):
        tell(f"data: note: {warning}")

    if config.dry_run:
        longest = [take_longest(labelled, config.batch_size) for labelled in sets]
        sets = [task.label(part, model.tokenizer, config.max_length) for part in longest]

    # ---- the folder, now that nothing stands in the way
    hashes = [hash_texts(part.joined(), part.labels or ()) for part in parts]
    settings = {name: value for name, value in vars(config).items() if name not in FREE}
    # A resumed run may stop elsewhere, but then all of its workers must.
    check_agreement(strategy, data=hashes, configuration=settings, stop_after=config.stop_after)
    if chief:
        begin_run(this_run, config, parts, model)

    # ---- training
    tell(describe_batch(strategy, config.batch_size, config.accumulate, rate))
    tell(f"training: {config.epochs} epochs, into {this_run.folder}")
    keep_freed_memory()
    throughput, board = Throughput(), Board(this_run.logs)
    profile = Profile(this_run.logs, *(profiled or (0, 0)), tell)
    observers: list[Observer] = [throughput, ProgressLine(), board, profile] if chief else []
    folder = this_run.folder
    alone = held_alone(folder / "checkpoints") if chief else nullcontext()
    try:
        with alone, board, profile, telling_losses(strategy):
            history = fit(
                config,
                strategy,
                model,
                task,
                sets[0],
                sets[1],
                folder,
                observers,
                tell,
                chief,
            )
    except Stopped as stop:
        start = cluster.launched_with if cluster else "python -m tfpipe.train"
        command = f"{start} --resume --output {shlex.quote(str(this_run.folder))}"
        raise Interrupted(
            128 + stop.signal if stop.signal else 0,
            f"stopped {stop}, state saved; go on with:\n  {command}",
        ) from None

    if not chief:
        return replace(this_run, written_here=False)
    assert config.epochs is not None
    tell(f"training: {Ending.of(history, config.epochs)}")

    # ---- figures of the files that were saved, as others load them: not of what is in memory
    # The chief alone looks at them: the others may be gone, and need not see the folder.
    one = strategy if cluster is None else tf.distribute.get_strategy()
    with one.scope():
        best = checkpoint.load(this_run.model)
    task, dev = Evaluator(one, best, task, config.batch_size).tune(sets[1])
    checkpoint.store_settings(this_run.model, task.head.settings)
    for choice in task.choices:
        tell(f"chosen on dev: {choice}")
    test = None
    if sets[2:]:
        test = Evaluator(one, best, task, config.batch_size).evaluate(sets[2])
    speed = {"seconds": time.perf_counter() - began, **throughput.rates()}
    write_outcome(this_run, best, strategy, data, history, speed, dev, test, sets)
    return this_run


def dry_run(config: TrainConfig) -> None:
    """One batch, the longest, through every stage, in a folder that is thrown away afterwards.

    Raises UserError as train does, and RuntimeError when the export answers otherwise.
    """
    import tensorflow as tf

    from tfpipe.exporting.graph import Servable
    from tfpipe.exporting.verify import compare
    from tfpipe.model import checkpoint
    from tfpipe.run import find_run
    from tfpipe.tasks import task_of
    from tfpipe.training.dry import read_back, take_longest
    from tfpipe.training.evaluator import Evaluator

    if config.resume:
        raise UserError("a dry run resumes nothing", "--dry-run --resume", "leave out one of them")
    find_run(config, "runs/dry-run")
    began = time.perf_counter()

    def tell(stage: str) -> None:
        say(f"dry run: {time.perf_counter() - began:5.1f} s: {stage}")

    with tempfile.TemporaryDirectory(prefix="tfpipe-dry-run-") as folder:
        done = train(replace(config, output=str(Path(folder, "run"))))
        tell("one batch trained, evaluated and reported")
        steps = done.metrics["train"]["steps"]
        (newest,) = (done.folder / "checkpoints").glob(f"step-{steps}")
        tell(f"checkpoint read back, {read_back(newest) / 1e6:,.1f} MB")
        model = checkpoint.load(done.model)
        task, dev = task_of(config.task, model), done.read_dev()
        labelled = task.label(dev, model.tokenizer, config.max_length)
        longest = take_longest(labelled, config.batch_size)
        batch = task.label(longest, model.tokenizer, config.max_length)
        strategy = tf.distribute.get_strategy()
        expected = Evaluator(strategy, model, task, config.batch_size).evaluate(batch)
        export = Path(folder, "export")
        pairs = dev.text_pairs is not None
        Servable(model, task, config.max_length, pairs, {"task": task.name}).save(str(export))
        tell("exported")
        parity = compare(export, task, longest, expected)
        if not parity.holds:
            raise RuntimeError(f"the export does not answer as training did: {parity}")
        tell(f"reloaded in a fresh process, {parity.texts} texts predicted as in training")
    say("dry run: every stage works; nothing was kept")


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(TrainConfig, "tfpipe.train", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, TrainConfig, arguments)
        if config.dry_run:
            dry_run(config)
            return
        done = train(config)
        if not done.written_here:
            return
        if config.json:
            print_figures(done.metrics, as_json=True)
        for part in () if config.json else ("dev", "test"):
            print_figures(done.metrics.get(part, {}), prefix=f"{part}.")
        assert done.config.epochs is not None
        trained = done.metrics["train"]
        say(f"training {Ending(trained['epochs'], done.config.epochs, trained['best_epoch'])}")
        say(f"report: {done.folder / 'report.html'}\nnext:")
        for line in done.next_commands:
            say(f"  {line}")

    return run(command)


if __name__ == "__main__":
    sys.exit(main())
