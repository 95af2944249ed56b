"""`python -m tfpipe.pseudo RUN`: label texts with a run, where its score is high enough."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.cli import parse, parser_for, print_metrics, run
from tfpipe.config import PseudoConfig
from tfpipe.errors import UserError
from tfpipe.process import quick_imports, run_as_process

if TYPE_CHECKING:
    from tfpipe.data.examples import Examples
    from tfpipe.data.streaming import TextStream
    from tfpipe.predicting.predictor import Predictor
    from tfpipe.run_folder import Run

# By name: `python -m` runs this module as `__main__`.
logger = logging.getLogger("tfpipe.pseudo")

ABOUT = """Label the texts of a file with a finished run (pseudo-labels, Lee 2013), those alone
whose calibrated score is high enough, and write them as a file to train on. The column `source`
says where a row's label is from. Texts of the run's dev examples are left out."""
EXAMPLE = """python -m tfpipe.pseudo runs/small --data unlabelled.jsonl --out more.tsv --with-train
  python -m tfpipe.train --train more.tsv --dev dev.tsv"""
# The `source` of training rows; that of others begins with PSEUDO.
GIVEN, PSEUDO = "train", "pseudo"
ROWS = 4096


@dataclass(frozen=True)
class PseudoLabels:
    """What was labelled.

    Attributes:
        out: The file.
        read: Rows of the data file.
        labelled: Rows that were labelled.
        repeated: Rows that were left out as texts of dev, of train, or of an earlier row.
        given: Training rows that were written before.
        threshold: The least score.
        labels: Labelled rows of each label.
    """

    out: str
    read: int
    labelled: int
    repeated: int
    given: int
    threshold: float
    labels: dict[str, int]


def pseudo(config: PseudoConfig) -> PseudoLabels:
    """Label a file as configured.

    Raises:
        UserError: The run, the file or the output cannot be used, or no score is high enough.
    """
    from tfpipe.io.tables import check_target, write_table

    out = Path(config.out)
    check_target(out, "--out", config.overwrite)
    with quick_imports():
        from tfpipe.predicting.open_local import open_local
        from tfpipe.run_folder import open_run

    finished = open_run(config.run)
    if finished.config.task != "classify":
        raise UserError(
            "tfpipe.pseudo labels with runs of --task classify",
            f"{config.run}: --task {finished.config.task}",
            "give a run that classifies",
        )
    train, dev, threshold = _read_train(finished), finished.read_dev(), config.score
    predictor = open_local(config.run)
    if threshold is None:
        threshold = _choose_threshold(config, predictor, dev)
    logger.info(f"texts with a score of at least {threshold:.3f} are labelled")
    known = {*train.joined(), *dev.joined()}
    labelling = _Labelling(config, predictor, threshold, known)
    header = ["text_a", "text_b"] if finished.data["pairs"] else ["text"]
    given = _rows_of(train) if config.with_train else []
    rows = [*given, *labelling.rows(f"{PSEUDO}:{finished.folder.name}")]
    if len(rows) == len(given):
        raise UserError(
            "no text has a score that is high enough",
            f"{labelling.read:,} rows of {config.data}, least score {threshold:.3f}",
            "allow a higher --risk, or train the run on more examples",
        )
    write_table(out, [*header, "label", "score", "source"], rows)
    return PseudoLabels(
        out=config.out,
        read=labelling.read,
        labelled=len(rows) - len(given),
        repeated=labelling.repeated,
        given=len(given),
        threshold=threshold,
        labels=dict(labelling.labels.most_common()),
    )


def _read_train(finished: Run) -> Examples:
    """Read the examples that the run was trained on; raises UserError where they are gone."""
    from tfpipe.training.preparation import read_parts

    return read_parts(finished.config).train


def _rows_of(train: Examples) -> list[Sequence[Any]]:
    """Return the training rows, with no score."""
    columns = [train.texts, *([train.text_pairs] if train.text_pairs else []), train.labels or ()]
    return [[*values, None, GIVEN] for values in zip(*columns, strict=True)]


def _choose_threshold(config: PseudoConfig, predictor: Predictor, dev: Examples) -> float:
    """Choose the least score on the run's dev examples; raises UserError where none is enough."""
    from tfpipe.comparing.models import open_model_folder
    from tfpipe.predicting.answer_texts import answer_texts
    from tfpipe.tasks.calibration.abstention_target import AbstentionTarget
    from tfpipe.tasks.calibration.selective import choose_threshold

    answers = answer_texts(predictor, dev.texts, dev.text_pairs)
    evaluation: Any = open_model_folder(config.run).task.judge(dev, answers)
    return choose_threshold(evaluation.answered, AbstentionTarget(None, config.risk))


def open_texts(config: PseudoConfig, inputs: Sequence[str]) -> TextStream:
    """Open the file to label.

    Args:
        config: Its name and columns.
        inputs: Names of the texts that the model takes.

    Raises:
        UserError: It cannot be read, or has other texts than these.
    """
    from tfpipe.data.examples import Columns
    from tfpipe.data.streaming import TextStream

    stream = TextStream(Path(config.data), Columns.of(config), answer_empty=True)
    stream.refuse_other_inputs(inputs)
    return stream


class _Labelling:
    """Reads the file in windows and labels it.

    Attributes:
        read: Rows that were read.
        repeated: Rows that were left out.
        labels: Labelled rows of each label.
    """

    def __init__(
        self, config: PseudoConfig, predictor: Predictor, threshold: float, known: set[str]
    ):
        self._predictor, self._threshold, self._known = predictor, threshold, known
        self._stream = open_texts(config, predictor.inputs)
        self.read = self.repeated = 0
        self.labels: Counter[str] = Counter()

    def rows(self, source: str) -> Iterator[Sequence[Any]]:
        """Yield the labelled rows: texts, label, score, source."""
        from tfpipe.predicting.answer_texts import answer_texts

        for window in self._stream.windows(ROWS):
            columns = [window.texts, *([window.text_pairs] if window.text_pairs else [])]
            fresh = [texts for texts in zip(*columns, strict=True) if self._is_new(texts)]
            self.read += len(window)
            if not fresh:
                continue
            first, *second = zip(*fresh, strict=True)
            found = answer_texts(self._predictor, first, second[0] if second else None)
            for texts, label, score in zip(fresh, found["label"], found["score"], strict=True):
                if score >= self._threshold:
                    self.labels[str(label)] += 1
                    yield [*texts, str(label), round(float(score), 6), source]

    def _is_new(self, texts: Sequence[str]) -> bool:
        """Return whether a row has text that is neither of dev or train nor of an earlier row."""
        key = " | ".join(texts)
        new = key not in self._known and any(text.strip() for text in texts)
        self._known.add(key)
        self.repeated += not new
        return new


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(PseudoConfig, "tfpipe.pseudo", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, PseudoConfig, arguments)
        done = pseudo(config)
        if config.json:
            print_metrics(vars(done), as_json=True)
            return
        print(
            f"labelled {done.labelled:,} of {done.read:,} rows, with {len(done.labels)} labels;"
            f" left out {done.repeated:,} known or empty ones"
        )
        print(f"wrote {done.out}" + f", after {done.given:,} training rows" * bool(done.given))

    return run(command)


if __name__ == "__main__":
    run_as_process(main)
