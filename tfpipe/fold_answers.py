"""The folds of a cross-validation, and the answers of the models that have not seen them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.config import TrainConfig
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.folds import cut_folds
from tfpipe.data.rare_labels import fit_train
from tfpipe.data.splits import SAMPLE, read_labelled
from tfpipe.evaluate import evaluate_on
from tfpipe.io.atomic import write_text
from tfpipe.run_folder import Run, as_json_lines
from tfpipe.tasks import TASKS

logger = logging.getLogger(__name__)
SPACES = str.maketrans("\t\n\r", "   ")
HEADER = "row\tline\tfold\ttext\tgold\tpredicted\tscore"
SUSPECTS = "row\tline\ttext\tlabel\tpredicted\tscore\tlabel_score"


@dataclass(frozen=True)
class Folds:
    """Labelled examples and the fold of each.

    Attributes:
        examples: The N examples of the training file.
        fold_of: int [N], from 0.
        count: Number of folds.
    """

    examples: Examples
    fold_of: np.ndarray
    count: int

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the examples and their folds."""
        content = as_json_lines(self.examples).encode() + bytes(str(self.fold_of.tolist()), "ascii")
        return hashlib.sha256(content).hexdigest()

    def rows(self, number: int, inside: bool = True) -> list[int]:
        """Return the rows of a fold, or of all others."""
        return np.flatnonzero((self.fold_of == number) == inside).tolist()

    def write(self, folder: Path) -> None:
        """Write the files that the trainings read."""
        (folder / "data").mkdir(exist_ok=True)
        for number in range(self.count):
            for path, inside in zip(self._files(folder, number), (False, True), strict=True):
                write_text(path, as_json_lines(self.examples.take(self.rows(number, inside))))

    def configuration(self, config: TrainConfig, number: int, folder: Path) -> TrainConfig:
        """Return the configuration whose test is a fold, and whose train are the others."""
        train, test = map(str, self._files(folder, number))
        files = replace(config, train=train, test=test, output=str(folder / f"fold-{number + 1}"))
        # The files have the usual columns.
        plain = TrainConfig()
        return replace(
            files, text=None, text_pair=None, label=None, header=None, offsets=plain.offsets
        )

    def _files(self, folder: Path, number: int) -> tuple[Path, Path]:
        name = f"fold-{number + 1}"
        return folder / "data" / f"{name}-train.jsonl", folder / "data" / f"{name}.jsonl"


def cut(config: TrainConfig, count: int) -> Folds:
    """Read the training file and cut it into folds; raises UserError."""
    rules = TASKS[config.task].rules
    path, columns = str(config.train or SAMPLE), Columns.of(config)
    examples = fit_train(read_labelled(path, columns, rules), config.rare_labels, False, rules)
    rules.check(examples, to_learn=True)
    return Folds(examples, cut_folds(examples, count, config.dev_seed, rules), count)


def write_answers(folder: Path, runs: Sequence[Run], folds: Folds, suspects: bool) -> None:
    """Evaluate each model on its fold, and write the answers in the order of the file.

    Args:
        folder: Where to write predictions.tsv and suspects.tsv.
        runs: The finished run of each fold.
        folds: The folds.
        suspects: Whether to write suspects.tsv.
    """
    answers: dict[int, Sequence[Any]] = {}
    scores: np.ndarray | None = None
    for number, run in enumerate(runs):
        rows = folds.rows(number)
        found = evaluate_on(run, folds.examples.take(rows), run.config.batch_size)
        answers |= dict(zip(rows, ((number + 1, *row) for row in found.rows()), strict=True))
        if suspects:
            given = found.outputs["scores"]
            scores = np.zeros((len(folds.examples), given.shape[1])) if scores is None else scores
            # All folds have the same labels, and columns in sorted order.
            scores[rows] = given
    lines = [HEADER]
    for row in range(len(folds.examples)):
        fold, text, gold, predicted, score = answers[row]
        cells = [*_place(folds.examples, row), str(fold), *map(_plain, (text, gold, predicted))]
        lines.append("\t".join([*cells, f"{score:.6f}"]))
    write_text(folder / "predictions.tsv", "\n".join(lines) + "\n")
    logger.info(f"predictions of all {len(folds.examples):,} rows: {folder / 'predictions.tsv'}")
    if scores is not None:
        names = Run(runs[0].folder).data["model"]["labels"]
        lines = [SUSPECTS, *_suspects(folds.examples, names, scores)]
        write_text(folder / "suspects.tsv", "\n".join(lines) + "\n")
        logger.info(f"labels that may be wrong: {len(lines) - 1:,}, in {folder / 'suspects.tsv'}")


def _suspects(examples: Examples, names: Sequence[str], scores: np.ndarray) -> Iterator[str]:
    """Yield the lines of suspects.tsv, the most suspicious first."""
    from tfpipe.tasks.classify.label_errors import BELOW_BASELINE, find_suspects

    gold = np.array([names.index(label) for label in examples.parsed or ()])
    # Rows take the place of texts, to find the way back.
    rows = [str(row) for row in range(len(examples))]
    found = find_suspects(rows, names, gold, scores, len(rows))
    if found.method == BELOW_BASELINE:
        logger.warning(
            "warning: the models are not better than always answering the most frequent label, so"
            " their doubts are no evidence about the labels"
        )
    texts = examples.joined()
    for one in found.rows:
        row = int(one.text)
        cells = [*_place(examples, row), *map(_plain, (texts[row], one.gold, one.proposed))]
        yield "\t".join([*cells, f"{one.score:.6f}", f"{one.gold_score:.6f}"])


def _place(examples: Examples, row: int) -> list[str]:
    """Return the row's number from 1, and its line where the file has lines."""
    return [str(row + 1), "" if examples.lines is None else str(examples.lines[row])]


def _plain(text: str) -> str:
    return text.translate(SPACES)
