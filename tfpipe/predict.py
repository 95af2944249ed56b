"""`python -m tfpipe.predict RUN_OR_EXPORT --data FILE --out FILE`: answers for every row."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.cli import parse, parser_for, print_metrics, run, say
from tfpipe.config import PredictConfig
from tfpipe.errors import Interrupted

if TYPE_CHECKING:
    from tfpipe.predicting.predictor import Predictor

ABOUT = """Answer every row of a file, which may be larger than memory, with a run, an export or a
served model: also the sentences of a .conll, and the questions of SQuAD's .json, which alone is
read whole. The answers stand in the order of the rows. When it is stopped or killed, the same
command goes on where it was: OUT.part has what is done."""
EXAMPLE = "python -m tfpipe.predict runs/support --data messages.csv --out answers.tsv"


@dataclass(frozen=True)
class Prediction:
    """A finished file of answers; `rows` in all, of which `rows_before` by earlier starts."""

    out: Path
    rows: int
    rows_before: int
    seconds: float
    rows_per_second: float


def predict(config: PredictConfig) -> Prediction:
    """Answer a file as configured.

    Raises UserError for what the user can mend, and Interrupted after SIGINT or SIGTERM; both
    leave what is done for the same configuration to go on with.
    """
    from tfpipe.data.read_examples import Columns
    from tfpipe.data.streaming import TextStream
    from tfpipe.errors import UserError
    from tfpipe.predicting.pipeline import answer_windows
    from tfpipe.predicting.progress import Progress
    from tfpipe.predicting.resumable_output import ResumableOutput, refuse_taken
    from tfpipe.predicting.writers import make_writer, split_name

    # ---- what can be refused before a model is loaded
    out = Path(config.out)
    split_name(out)
    refuse_taken(out)
    columns = Columns(config.text, config.text_pair)
    texts = TextStream(Path(config.data), columns, config.answer_empty)

    with _open_model(config) as answerer:
        texts.refuse_other_inputs(answerer.inputs)
        schema = answerer.spec.schema.load()
        table = make_writer(out, answerer.inputs, schema, config.scores, answerer.label_names)
        settings = {
            "model": answerer.identity,
            "scores": config.scores,
            "text column": texts.columns.text,
            "second text column": texts.columns.text_pair,
        }
        with ResumableOutput(out, settings) as part:
            try:
                # ---- what was done before
                before = part.rows
                if before:
                    say(f"going on after {before:,} rows in {part.path}")
                    texts.skip(before, part.rows_sha256)
                elif not part.size:
                    part.append(table.header(), 0, "")

                # ---- what is left
                progress = Progress(before)
                try:
                    with _interruptible():
                        windows = texts.windows(config.window)
                        answer_windows(windows, answerer, config.batch_size, table, part, progress)
                finally:
                    progress.close()
            except UserError:
                if part.rows:
                    say(f"{part.rows:,} rows are done and kept in {part.path}")
                raise
            except KeyboardInterrupt as stop:
                number = stop.args[0] if stop.args else signal.SIGINT
                raise Interrupted(
                    128 + number,
                    f"stopped: {part.rows:,} rows are done and kept in {part.path};"
                    " the same command goes on after them",
                ) from None
            part.finish()
    return Prediction(out, part.rows, before, progress.seconds, progress.rows_per_second)


@contextmanager
def _open_model(config: PredictConfig) -> Iterator[Predictor]:
    """Whoever is to answer; raises UserError."""
    if config.target is not None:
        from tfpipe.predicting.remote import open_remote

        with open_remote(config) as answerer:
            yield answerer
        return
    from tfpipe.locations import locate_model

    place = locate_model(str(config.run_or_export))
    say(f"model: the {place.kind} {place.folder}")

    from tfpipe.predicting.local import open_export, open_run_model
    from tfpipe.training.allocator import keep_freed_memory

    keep_freed_memory()
    yield (open_run_model if place.kind == "run" else open_export)(place.folder)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does, at once: what is kept is whole at any moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: Any) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(PredictConfig, "tfpipe.predict", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, PredictConfig, arguments)
        done = predict(config)
        rows, rate = done.rows - done.rows_before, done.rows_per_second
        say(f"answered {rows:,} rows in {done.seconds:.1f} s, {rate:,.0f} rows/s")
        if config.json:
            print_metrics(vars(done) | {"out": str(done.out)}, as_json=True)
        else:
            print(done.out)

    return run(command)


if __name__ == "__main__":
    sys.exit(main())
