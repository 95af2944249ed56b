"""A model behind a server. The one file of tfpipe that asks one: through serving.client, which
imports neither TensorFlow nor tfpipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from serving.client import Client, ClientError, InvalidRequest, ModelNotFound
from serving.client.command.connection import read_token
from tfpipe.config import PredictConfig
from tfpipe.config.predict import CONNECTION
from tfpipe.errors import UserError
from tfpipe.predicting.answerer import LONGEST_INPUT, OUTPUTS, Answerer, Answers, parse_info

# One batch is worked on while others are on their way.
PARALLEL = 4


@contextmanager
def open_served(config: PredictConfig) -> Iterator[Answerer]:
    """The text classifier that a server has, always the same version; raises UserError."""
    target, model = str(config.target), str(config.model)
    with telling_refusals(), _connect(config, config.version) as client:
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
    with _connect(config, number) as pinned:
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


def _connect(config: PredictConfig, version: int | None) -> Client:
    """A client of this version of the model; raises InvalidRequest."""
    settings = {name: getattr(config, name) for name in CONNECTION}
    return Client(
        str(config.target),
        model=str(config.model),
        version=version,
        texts_per_request=config.batch_size,
        **settings | {"token": config.token and read_token(config.token)},
    )


def _read_info(client: Client) -> dict:
    """What the model tells of itself; empty for one that tells nothing."""
    try:
        return parse_info(client.predict({}, "info")["info"].item())
    except (InvalidRequest, KeyError, TypeError, ValueError):
        return {}


@contextmanager
def telling_refusals() -> Iterator[None]:
    """Raise UserError in place of what the client raises, whose sentences say what to do, too."""
    try:
        yield
    except InvalidRequest as error:
        wrong, fix = "the server cannot be asked for this", "mend what is named"
        raise UserError(wrong, str(error), fix) from None
    except ModelNotFound as error:
        wrong, fix = "the server does not have this model", "check --model and --version"
        raise UserError(wrong, str(error), fix) from None
    except ClientError as error:
        fix = "check the server, then the same command goes on"
        raise UserError("the server did not answer", str(error), fix) from None
