"""Local prediction backends: a run's fast graph, and an export loaded by TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.exporting.info import read_info, refuse_adapters
from tfpipe.locations import SAVED_MODEL
from tfpipe.predicting.predictor import LONGEST_INPUT, Predictor, spec_of
from tfpipe.tasks.output_schema import Outputs, OutputSchema

# While one batch is tokenised, the products of another fill the cores.
PARALLEL = 2


def open_run_model(folder: Path) -> Predictor:
    """Open the model of a finished run; raises UserError."""
    # transformers takes seconds to import, and exports do not need it.
    from tfpipe.model import pretrained
    from tfpipe.run_folder import open_run
    from tfpipe.tasks import TASKS
    from tfpipe.tasks.task import task_of

    run = open_run(str(folder))
    max_length = run.config.max_length
    model = replace(pretrained.load(run.model), packed=True)
    task = task_of(run.config.task, model)

    def decode(*columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return task.answer(columns, model.tokenizer, max_length, model.logits)

    inputs = task.inputs(run.data["pairs"])
    texts = [tf.TensorSpec([None], tf.string)] * len(inputs)
    compiled = tf.function(decode, input_signature=texts, autograph=False)

    def predict(**columns: tf.Tensor) -> dict[str, tf.Tensor]:
        return compiled(*columns.values())

    spec = TASKS[run.config.task]
    files = (file for file in run.model.iterdir() if file.is_file())
    return Predictor(
        f"run {_hash_files(files)}, {max_length} tokens",
        inputs,
        spec,
        model.label_names,
        max_length,
        PARALLEL,
        _outputs_with(predict, inputs, spec.schema.load().outputs),
    )


def open_export(folder: Path) -> Predictor:
    """Open a version of an export.

    Raises:
        UserError: It cannot be opened, or has no signature of a known task.
    """
    try:
        module = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        # TensorFlow names the missing file in the middle of a page about the graph.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        cause = next((line for line in lines if "No such file" in line), lines[0] if lines else "")
        raise UserError(
            "the export cannot be opened", f"{folder}: {cause}", "export the run again"
        ) from None
    signature = module.signatures.get("serving_default")
    inputs = set(signature.structured_input_signature[1]) if signature else set()
    outputs = set(signature.structured_outputs) if signature else set()
    info = read_info(folder) or {}
    refuse_adapters(info, str(folder))
    spec = spec_of(inputs, outputs, info.get("task"))
    if spec is None:
        raise UserError(
            "the export has no signature of a known task that takes strings",
            f"{folder}: serving_default takes {sorted(inputs)} and gives {sorted(outputs)}",
            "give an export of tfpipe.export",
        )

    def predict(**columns: tf.Tensor) -> dict[str, tf.Tensor]:
        # The signature alone would not keep the module, and with it the weights, alive.
        return module.signatures["serving_default"](**columns)

    schema: OutputSchema = spec.schema.load()
    files = [folder / SAVED_MODEL, *(folder / "variables").glob("*")]
    return Predictor(
        f"export {_hash_files(files)}",
        schema.order(inputs),
        spec,
        info.get("labels"),
        info.get("max_length", LONGEST_INPUT),
        PARALLEL,
        _outputs_with(predict, schema.order(inputs), schema.outputs),
    )


def _outputs_with(
    predict: Callable[..., dict[str, tf.Tensor]], inputs: Sequence[str], names: Sequence[str]
) -> Callable[..., Outputs]:
    """Return Predictor.outputs for a function of string tensors by input name.

    Args:
        predict: The function.
        inputs: Names of its inputs, in the order of a row's texts.
        names: Names of the outputs to return.
    """

    def outputs(texts: list[str], text_pairs: list[str] | None) -> Outputs:
        columns = [texts] if text_pairs is None else [texts, text_pairs]
        found = predict(
            **{
                name: tf.constant(column, tf.string)
                for name, column in zip(inputs, columns, strict=True)
            }
        )
        return {name: found[name].numpy() for name in names}

    return outputs


def _hash_files(files: Iterable[Path]) -> str:
    """Return the SHA-256 (hex) over the names and contents of files."""
    digest = hashlib.sha256()
    for file in sorted(files):
        inner = hashlib.sha256()
        with file.open("rb") as content:
            while block := content.read(2**20):
                inner.update(block)
        digest.update(f"{file.name}\0{inner.hexdigest()}\n".encode())
    return digest.hexdigest()
