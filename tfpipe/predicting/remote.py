"""Remote prediction backend: a served model, asked through serving.client.

Only this package of tfpipe imports serving: its client, which imports neither TensorFlow nor
tfpipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from serving.client import Client, ClientError, Entity, InvalidRequest, ModelNotFound
from serving.client.cli.connection_args import read_token
from tfpipe.config import PredictConfig
from tfpipe.config.commands import CONNECTION
from tfpipe.errors import UserError
from tfpipe.exporting.info import parse_info, refuse_adapters
from tfpipe.predicting.predictor import LONGEST_INPUT, Predictor, spec_of
from tfpipe.tasks.output_schema import Outputs, OutputSchema

# One batch is computed while others are in transit.
PARALLEL = 4
# Seconds: a batch job may wait longer for a busy server, and for long contexts, than a person.
TIMEOUT = 300.0
# Types of the outputs that are not float32.
TYPES = {"label": object, "entity": object, "answer": object}
TYPES |= {"active": bool, "start": np.int32, "end": np.int32}
UNUSED = Entity("", -1, -1, 0.0)


@contextmanager
def open_remote(config: PredictConfig) -> Iterator[Predictor]:
    """Connect to a served model, pinned to one version; raises UserError."""
    target, model = str(config.target), str(config.model)
    with client_errors_as_user_errors(), _connect(config, config.version) as client:
        metadata = client.metadata()
        info = _read_info(client)
    refuse_adapters(info, f"{model} at {target}")
    signature = metadata.signatures.get("serving_default")
    inputs = set(signature.inputs) if signature else set()
    given = set(signature.outputs) if signature else set()
    spec = spec_of(inputs, given, info.get("task"))
    if spec is None:
        raise UserError(
            "the served model has no signature of a known task that takes strings",
            f"{model} at {target}: takes {sorted(inputs)} and gives {sorted(given)}",
            "name another model with --model",
        )
    schema: OutputSchema = spec.schema.load()
    number = metadata.version
    with _connect(config, number) as pinned:

        def outputs(texts: list[str], text_pairs: list[str] | None) -> Outputs:
            columns = [texts] if text_pairs is None else [texts, text_pairs]
            with client_errors_as_user_errors():
                rows = getattr(pinned, spec.verb)(*columns)
            return _as_outputs(rows, schema.outputs)

        yield Predictor(
            f"{model} version {number} at {target}",
            schema.order(inputs),
            spec,
            info.get("labels"),
            info.get("max_length", LONGEST_INPUT),
            PARALLEL,
            outputs,
        )


def _as_outputs(rows: Sequence[Any], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return arrays by output name from the client's answers, or from its lists of entities."""
    if rows and isinstance(rows[0], list):
        most = max(map(len, rows))
        rows = [[*row, *[UNUSED] * (most - len(row))] for row in rows]
        found = {name: [[getattr(one, name) for one in row] for row in rows] for name in names}
    else:
        found = {name: [getattr(row, name) for row in rows] for name in names}
    return {name: np.array(values, TYPES.get(name, np.float32)) for name, values in found.items()}


def _connect(config: PredictConfig, version: int | None) -> Client:
    """Open a client of this version of the model; raises InvalidRequest."""
    settings = {name: getattr(config, name) for name in CONNECTION}
    return Client(
        str(config.target),
        model=str(config.model),
        version=version,
        timeout=TIMEOUT,
        texts_per_request=config.batch_size,
        **settings | {"token": config.token and read_token(config.token)},
    )


def _read_info(client: Client) -> dict:
    """Return the model's `info`; empty for one without."""
    try:
        return parse_info(client.predict({}, "info")["info"].item())
    except (InvalidRequest, KeyError, TypeError, ValueError):
        return {}


@contextmanager
def client_errors_as_user_errors() -> Iterator[None]:
    """Raise UserError in place of the client's errors."""
    try:
        yield
    except InvalidRequest as error:
        wrong, fix = "the request to the server is not valid", "correct the named value"
        raise UserError(wrong, str(error), fix) from None
    except ModelNotFound as error:
        wrong, fix = "the server does not have this model", "check --model and --version"
        raise UserError(wrong, str(error), fix) from None
    except ClientError as error:
        fix = "check the server, then run the same command to continue"
        raise UserError("the server did not answer", str(error), fix) from None
