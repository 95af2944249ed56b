"""The encoder of an index: the graph of an export, which gives vectors and token ids of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.exporting.info import read_info

# Outputs of serving_default and of the signature `embed` that are vectors of a text.
EMBEDDING, MEAN = "embedding", "mean"


@dataclass(frozen=True)
class TextEncoder:
    """The encoder of an export.

    Attributes:
        folder: Folder of the export.
        module: Its SavedModel, opened; a graph that calls the functions below must track it.
        signature: The function that makes vectors of texts.
        output: Name of its output, the vectors.
        info: The export's metadata.
    """

    folder: Path
    module: Any
    signature: Callable[..., dict[str, tf.Tensor]]
    output: str
    info: Mapping[str, Any]

    @property
    def max_length(self) -> int:
        """Tokens of a text that the vectors are of; the rest is not read."""
        return int(self.info["max_length"])

    def embed(self, texts: tf.Tensor) -> tf.Tensor:
        """Return the vectors of texts, string [B]: float32 [B, H], of length 1."""
        return tf.math.l2_normalize(self.signature(text=texts)[self.output], axis=1)

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Return the token ids of whole texts, string [B]: ragged int32 [B, tokens]."""
        return self.module.tokens(texts)

    def embed_all(
        self,
        texts: Sequence[str | bytes],
        batch_size: int,
        report: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """Return the vectors of N texts, float32 [N, H]; texts of like length share a batch.

        Args:
            texts: The texts.
            batch_size: Texts in a forward pass.
            report: Called with the number of texts that are done.
        """
        order = np.argsort([len(text) for text in texts], kind="stable")
        vectors: list[np.ndarray] = []
        for start in range(0, len(order), batch_size):
            part = [texts[row] for row in order[start : start + batch_size]]
            vectors.append(self.embed(tf.constant(part, tf.string)).numpy())
            report(min(start + batch_size, len(order)))
        return np.concatenate(vectors)[np.argsort(order)]

    def tokenize_all(
        self, texts: Sequence[str | bytes], batch_size: int = 1024
    ) -> list[np.ndarray]:
        """Return the token ids of each of N texts."""
        rows: list[np.ndarray] = []
        for start in range(0, len(texts), batch_size):
            found = self.tokenize(tf.constant(texts[start : start + batch_size], tf.string))
            rows += np.split(found.values.numpy(), found.row_splits.numpy()[1:-1])
        return rows


def open_encoder(folder: Path, lexical: bool) -> TextEncoder:
    """Open the encoder of an export.

    Args:
        folder: The SavedModel's folder.
        lexical: Whether token ids are needed.

    Raises:
        UserError: The export cannot be opened, or does not give a vector of one text, or no token
            ids.
    """
    try:
        module = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        first = next(iter(str(error).strip().splitlines()), "")
        raise UserError(
            "the export cannot be opened", f"{folder}: {first}", "export the run again"
        ) from None
    info = read_info(folder)
    for name, output in (("serving_default", EMBEDDING), ("embed", MEAN)):
        signature = module.signatures.get(name)
        if signature is not None and output in signature.structured_outputs:
            break
    else:
        raise UserError(
            "the model gives no embedding of a text",
            f"{folder}: signatures {', '.join(sorted(module.signatures))}",
            "give a run or an export of `tfpipe.train --task embed`, or any other whose export has"
            " the signature `embed`",
        )
    taken = sorted(signature.structured_input_signature[1])
    if taken != ["text"]:
        raise UserError(
            "the model does not read one text",
            f"{folder}: its signature {name} takes {' and '.join(taken)}",
            "give a model that was trained on single texts, or one of --task embed",
        )
    if lexical and not hasattr(module, "tokens") or "max_length" not in info:
        raise UserError(
            "the export does not give the tokens of a text",
            f"{folder}: it was written by another version of tfpipe",
            "export its run again, or add --dense-only",
        )
    return TextEncoder(folder, module, signature, output, info)
