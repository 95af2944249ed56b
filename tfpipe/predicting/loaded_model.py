"""A run or an export as a function of texts, with the answer types of serving.client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.client import answers
from tfpipe.errors import UserError
from tfpipe.predicting.open_local import open_local

if TYPE_CHECKING:
    from tfpipe.predicting.predictor import Predictor

BATCH = 64
DECODERS = {
    "classify": answers.CLASSIFY,
    "multilabel": answers.MULTILABEL,
    "regress": answers.REGRESS,
    "tag": answers.TAG,
    "answer": answers.ANSWER,
    "embed": answers.EMBED,
}


class LoadedModel:
    """A model that answers texts in this process, as the client answers them from a server.

    Args:
        predictor: The opened model.

    Attributes:
        task: Name of its task.
        inputs: Names of the one or two texts of a row.
        label_names: Labels in the order of `scores`; None where the model does not give them.
    """

    def __init__(self, predictor: Predictor):
        self._predictor = predictor
        self.task = predictor.spec.name
        self.inputs = tuple(predictor.inputs)
        self.label_names = predictor.label_names

    def __call__(self, *columns: str | Sequence[str], **named: str | Sequence[str]) -> list[Any]:
        """Answer texts, in their order.

        Args:
            *columns: The texts, and of pairs the second texts; a string is a single text.
            **named: The same by the names of `inputs`, with or without a plural s: `text_pairs`,
                `question`, `context`.

        Returns:
            An answer for each row, of the types that serving.client returns: `Classification`,
            `Labelling`, `Regression`, a list of `Entity`, `Answer`, or a vector.

        Raises:
            UserError: The texts are not those that the model reads.
        """
        from tfpipe.data.streaming import Window
        from tfpipe.predicting.pipeline import cut_batches, take

        texts = self._arrange(columns, named)
        decoder, found = DECODERS[self._predictor.spec.verb], [None] * len(texts[0])
        window = Window(texts[0], texts[1] if texts[1:] else None, len(texts[0]), "", 1.0)
        for rows in cut_batches(window, BATCH, self._predictor.longest_row):
            outputs = self._predictor.outputs(*take(window, rows))
            more = {}
            if decoder is answers.MULTILABEL:
                columns_of = range(outputs["scores"].shape[1])
                more["labels"] = tuple(self.label_names or map(str, columns_of))
            for row, one in zip(rows, decoder.decode(outputs, len(rows), **more), strict=True):
                found[row] = one
        return found

    def _arrange(
        self, columns: Sequence[str | Sequence[str]], named: dict[str, str | Sequence[str]]
    ) -> list[list[str]]:
        """Return the texts of each input, in the order of `inputs`; raises UserError."""
        given = dict(zip(self.inputs, columns, strict=False))
        names = {name if name in self.inputs else name.removesuffix("s"): name for name in named}
        taken = [*given, *names]
        if len(columns) > len(self.inputs) or sorted(taken) != sorted(self.inputs):
            shown = ", ".join([*[f"{len(columns)} without a name"][: len(columns)], *named])
            raise UserError(
                "the model reads other texts",
                shown or "no texts",
                f"give {' and '.join(self.inputs)}, each a list of strings",
            )
        given |= {name: named[written] for name, written in names.items()}
        texts = [given[name] for name in self.inputs]
        listed = [[text] if isinstance(text, str) else list(text) for text in texts]
        wrong = [text for column in listed for text in column if not isinstance(text, str)]
        if wrong:
            raise UserError("a text is not a string", repr(wrong[0])[:60], "give strings")
        if len({len(text) for text in listed}) > 1:
            found = ", ".join(f"{len(t)} of {n}" for n, t in zip(self.inputs, listed, strict=True))
            raise UserError("the texts do not form pairs", found, "give as many of each")
        return listed


def load(run_or_export: str | Path) -> LoadedModel:
    """Load the model of a run or an export; see tfpipe.load."""
    return LoadedModel(open_local(str(run_or_export)))
