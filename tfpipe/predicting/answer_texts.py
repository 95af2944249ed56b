"""Answers of a model to any number of texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpipe.exporting.clean_process import Answers, as_answers, join
from tfpipe.predicting.predictor import Predictor

BATCH = 64


def answer_texts(
    predictor: Predictor, texts: Sequence[str], text_pairs: Sequence[str] | None = None
) -> Answers:
    """Answer texts in batches of similar length.

    Args:
        predictor: The model.
        texts: N texts, at least one, or the first of each pair.
        text_pairs: The second of each pair; None for single texts.

    Returns:
        The outputs of serving_default, each [N, ...], in the order of the texts.
    """
    lengths = [len(text) for text in texts]
    if text_pairs is not None:
        lengths = [one + len(text) for one, text in zip(lengths, text_pairs, strict=True)]
    order = np.argsort(lengths, kind="stable")
    found = []
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH].tolist()
        pairs = None if text_pairs is None else [text_pairs[row] for row in rows]
        found.append(as_answers(predictor.outputs([texts[row] for row in rows], pairs)))
    places = np.argsort(order, kind="stable")
    return {name: values[places] for name, values in join(found).items()}


def names_of(predictor: Predictor, outputs: Answers) -> list[str]:
    """Return the answers of a model whose answers are labels, as a file of answers has them."""
    schema = predictor.spec.schema.load()
    written = schema.write(outputs, predictor.label_names)
    return [str(name) for name in written[schema.columns[0]]]
