"""Models that answer in this process: a run's fast graph, an export as TensorFlow loads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.predicting.answerer import LONGEST_INPUT, OUTPUTS, Answerer, Answers, parse_info
from tfpipe.predicting.places import SAVED_MODEL, hash_files

# While one batch is tokenised, the products of another fill the cores.
PARALLEL = 2


def open_run_model(folder: Path) -> Answerer:
    """The model of a finished run; raises UserError."""
    # transformers takes seconds to import, and an export is answered without it.
    from tfpipe.model import checkpoint
    from tfpipe.run import open_run
    from tfpipe.tasks import TASKS

    run = open_run(str(folder))
    pairs, max_length = run.data["pairs"], run.config.max_length
    classifier = replace(checkpoint.load(run.model), packed=True)
    task = TASKS[run.config.task](classifier.label_names)

    def decode(text: tf.Tensor, text_pair: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        batch = classifier.tokenizer(text, text_pair, max_length=max_length)
        return task.decode(classifier.logits(batch))

    texts = [tf.TensorSpec([None], tf.string)] * (2 if pairs else 1)
    compiled = tf.function(decode, input_signature=texts, autograph=False)

    def ask(**columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return compiled(*columns.values())

    files = (file for file in run.model.iterdir() if file.is_file())
    return Answerer(
        f"run {hash_files(files)}, {max_length} tokens",
        pairs,
        classifier.label_names,
        max_length,
        PARALLEL,
        _answer_with(ask),
    )


def open_export(folder: Path) -> Answerer:
    """A version of an export; raises UserError for one that is no text classifier."""
    try:
        module = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        # TensorFlow tells the file it misses in the midst of a page about the graph.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = next((line for line in lines if "No such file" in line), lines[0] if lines else "")
        raise UserError(
            "the export cannot be opened", f"{folder}: {told}", "export the run again"
        ) from None
    signature = module.signatures.get("serving_default")
    inputs = set(signature.structured_input_signature[1]) if signature else set()
    outputs = set(signature.structured_outputs) if signature else set()
    if inputs not in ({"text"}, {"text", "text_pair"}) or not outputs >= set(OUTPUTS):
        raise UserError(
            "the export is not a text classifier that takes raw strings",
            f"{folder}: serving_default takes {sorted(inputs)} and gives {sorted(outputs)}",
            "give an export of tfpipe.export",
        )

    def ask(**columns: tf.Tensor) -> dict[str, tf.Tensor]:
        # The signature alone would not keep the module, and with it the weights, alive.
        return module.signatures["serving_default"](**columns)

    info = _read_info(module)
    files = [folder / SAVED_MODEL, *(folder / "variables").glob("*")]
    return Answerer(
        f"export {hash_files(files)}",
        "text_pair" in inputs,
        info.get("labels"),
        info.get("max_length", LONGEST_INPUT),
        PARALLEL,
        _answer_with(ask),
    )


def _read_info(module: Any) -> dict[str, Any]:
    """What an export tells of itself; empty for one that tells nothing."""
    signature = module.signatures.get("info")
    if signature is None or signature.structured_input_signature[1]:
        return {}
    told = signature().get("info")
    return (
        {}
        if told is None or told.dtype != tf.string or told.shape.rank
        else parse_info(told.numpy())
    )


def _answer_with(ask: Callable[..., dict[str, tf.Tensor]]) -> Callable[..., Answers]:
    def answer(texts: list[str], text_pairs: list[str] | None) -> Answers:
        columns = {"text": tf.constant(texts, tf.string)}
        if text_pairs is not None:
            columns["text_pair"] = tf.constant(text_pairs, tf.string)
        answers = {name: value.numpy() for name, value in ask(**columns).items() if name in OUTPUTS}
        return answers | {"label": np.array([*map(bytes.decode, answers["label"])], object)}

    return answer
