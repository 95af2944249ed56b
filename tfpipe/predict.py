"""`python -m tfpipe.predict RUN_OR_EXPORT --data FILE --out FILE`: batch prediction of a file."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.cli import parse, parser_for, print_metrics, run, say
from tfpipe.config import PredictConfig
from tfpipe.errors import Interrupted, UserError
from tfpipe.process import run_as_process

if TYPE_CHECKING:
    from tfpipe.data.streaming import TextStream
    from tfpipe.predicting.predictor import Predictor
    from tfpipe.predicting.progress import Progress
    from tfpipe.predicting.resumable_output import ResumableOutput
    from tfpipe.predicting.writers import AnswerWriter

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.predict")

ABOUT = """Answer every row of a file, which may be larger than memory, with a run, an export or a
served model: also the sentences of a .conll, and the questions of SQuAD's .json, the only format
that is read as a whole. The answers are in the order of the rows. When it is stopped or killed, the
same command continues after the rows in OUT.part."""
EXAMPLE = "python -m tfpipe.predict runs/support --data messages.csv --out answers.tsv"


@dataclass(frozen=True)
class Prediction:
    """A finished file of answers.

    Attributes:
        out: The file.
        rows: Rows of the file.
        rows_before: Those of them that earlier processes answered.
        seconds: Time of this process.
        rows_per_second: Its speed.
    """

    out: Path
    rows: int
    rows_before: int
    seconds: float
    rows_per_second: float


def predict(config: PredictConfig) -> Prediction:
    """Answer a file as configured.

    When it fails, the answered rows are kept, and the same configuration continues after them.

    Raises:
        UserError: The model, the file or the output cannot be used.
        Interrupted: SIGINT or SIGTERM was received.
    """
    from tfpipe.predicting.progress import Progress
    from tfpipe.predicting.resumable_output import ResumableOutput, refuse_taken
    from tfpipe.predicting.writers import Extras, make_writer, split_name

    # ---- check what needs no model
    out = Path(config.out)
    split_name(out)
    refuse_taken(out, config.overwrite)
    _refuse_input(out, Path(config.data))
    texts = _open_texts(config)
    for decision in texts.decisions:
        say(f"data: note: {decision}")

    with _open_model(config) as predictor:
        schema = predictor.spec.schema.load()
        # Of a task that learns from pairs, but answers about one text.
        alone = predictor.spec.pairs != "never" and not any(names[1:] for names in schema.inputs)
        if texts.columns.text_pair is not None and alone:
            say(f"data: note: only the column {texts.columns.text!r} is read: a text is answered")
            texts.read_single_texts()
        texts.refuse_other_inputs(predictor.inputs)
        writer = make_writer(
            *(out, predictor.inputs, schema, config.scores),
            *(predictor.label_names, Extras(texts.kept, config.second, config.excel)),
        )
        settings = {
            "model": predictor.identity,
            "scores": config.scores,
            "second": config.second,
            "excel": config.excel,
            "text column": texts.columns.text,
            "second text column": texts.columns.text_pair,
            "kept columns": texts.kept,
        }
        with ResumableOutput(out, settings, config.overwrite) as part:
            before, progress = part.rows, Progress(part.rows)
            with _report_stops(part):
                _write_answers(config, texts, predictor, writer, part, progress)
            part.finish()
    return Prediction(out, part.rows, before, progress.seconds, progress.rows_per_second)


def _write_answers(
    config: PredictConfig,
    texts: TextStream,
    predictor: Predictor,
    writer: AnswerWriter,
    part: ResumableOutput,
    progress: Progress,
) -> None:
    """Answer the rows that the part file lacks; raises UserError and KeyboardInterrupt."""
    from tfpipe.predicting.pipeline import answer_windows

    if part.rows:
        logger.info(f"continuing after {part.rows:,} rows in {part.path}")
        texts.skip(part.rows, part.rows_sha256)
    elif not part.size:
        part.append(writer.header(), 0, "")
    try:
        with _interruptible():
            windows = texts.windows(config.window)
            answer_windows(windows, predictor, config.batch_size, writer, part, progress)
    finally:
        progress.close()


def _refuse_input(out: Path, data: Path) -> None:
    if out.exists() and data.exists() and out.samefile(data):
        raise UserError("the output file is the input file", str(out), "give another --out")


def _open_texts(config: PredictConfig) -> TextStream:
    """Open the data file; columns that are not named are those that the model was trained on."""
    from tfpipe.data.examples import Columns
    from tfpipe.data.streaming import TextStream

    columns = Columns.of(config)
    if config.run_or_export is not None:
        from tfpipe.predicting.trained_columns import prefer_trained, trained_columns

        trained = replace(trained_columns(config.run_or_export), label=None)
        columns = prefer_trained(config.data, columns, trained)
    return TextStream(Path(config.data), columns, config.answer_empty, config.keep_columns)


@contextmanager
def _report_stops(part: ResumableOutput) -> Iterator[None]:
    """Log the rows that are kept when a UserError is raised, and turn signals into Interrupted."""
    try:
        yield
    except UserError:
        if part.rows:
            logger.info(f"{part.rows:,} rows are done and kept in {part.path}")
        raise
    except KeyboardInterrupt as stop:
        number = stop.args[0] if stop.args else signal.SIGINT
        raise Interrupted(
            128 + number,
            f"stopped: {part.rows:,} rows are done and kept in {part.path};"
            " the same command continues after them",
        ) from None


@contextmanager
def _open_model(config: PredictConfig) -> Iterator[Predictor]:
    """Open the prediction backend; raises UserError."""
    if config.target is not None:
        from tfpipe.predicting.remote import open_remote

        with open_remote(config) as predictor:
            yield predictor
        return
    from tfpipe.predicting.open_local import open_local

    predictor = open_local(str(config.run_or_export))
    from tfpipe.training.allocator import keep_freed_memory

    keep_freed_memory()
    yield predictor


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM too: the output file is complete at any moment."""
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
    """Run the command line; returns the exit status."""
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
    run_as_process(main)
