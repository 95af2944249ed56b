"""A model behind a server. The one file of tfpipe that asks one: through serving.client, which
imports neither TensorFlow nor tfpipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from serving.client import Client, ClientError, InvalidRequest, ModelNotFound
from tfpipe.errors import UserError
from tfpipe.predicting.answerer import LONGEST_INPUT, OUTPUTS, Answerer, Answers

# One batch is worked on while others are on their way.
PARALLEL = 4


@contextmanager
def open_served(
    target: str, model: str, version: int | None, batch_size: int
) -> Iterator[Answerer]:
    """The text classifier that a server has, always the same version; raises UserError."""
    with Client(target, model=model, version=version) as client, telling_refusals():
        metadata = client.metadata()
    signature = metadata.signatures.get("serving_default")
    inputs = set(signature.inputs) if signature else set()
    outputs = set(signature.outputs) if signature else set()
    if inputs not in ({"text"}, {"text", "text_pair"}) or not outputs >= set(OUTPUTS):
        raise UserError(
            "the served model is not a text classifier that takes raw strings",
            f"{model} at {target}: takes {sorted(inputs)} and gives {sorted(outputs)}",
            "name another model with --model",
        )
    number = metadata.version
    with Client(target, model=model, version=number, texts_per_request=batch_size) as pinned:
        with telling_refusals():
            info = _read_info(pinned)

        def answer(texts: list[str], text_pairs: list[str] | None) -> Answers:
            with telling_refusals():
                found = pinned.classify(texts, text_pairs)
            return {
                "label": np.array([one.label for one in found], object),
                "score": np.array([one.score for one in found], np.float32),
                "scores": np.stack([one.scores for one in found]),
            }

        yield Answerer(
            f"{model} version {number} at {target}",
            "text_pair" in inputs,
            info.get("labels"),
            info.get("max_length", LONGEST_INPUT),
            PARALLEL,
            answer,
        )


def _read_info(client: Client) -> dict:
    """What the model tells of itself; empty for one that tells nothing."""
    try:
        return json.loads(client.predict({}, "info")["info"].item())
    except (InvalidRequest, KeyError, ValueError):
        return {}


@contextmanager
def telling_refusals() -> Iterator[None]:
    """Raise UserError in place of what the client raises."""
    try:
        yield
    except ClientError as error:
        gone = isinstance(error, ModelNotFound)
        raise UserError(
            "the server does not have this model" if gone else "the server did not answer",
            str(error),
            "check --model and --version" if gone else "check the server and try again",
        ) from None
