"""The verbs as exchanges: what is asked, in how many requests, and how the answers are read."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import DecodeError

from serving.client import answers, requests
from serving.client.answers import Task
from serving.client.connection import Headers, Options, Settings
from serving.client.errors import (
    CODE,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    RequestCancelled,
    ServerFault,
    ServerUnavailable,
    name_refusal,
)
from serving.client.exchange import Asker, Exchange, Pause, Together
from serving.client.models import ModelMetadata, Version, read_metadata, read_versions
from serving.client.requests import METADATA, PREDICT, STATUS, Choice
from serving.client.rows import read_rows, read_strings

T = TypeVar("T")
TEXTS_PER_REQUEST = 64
# Servers and proxies that keep gRPC's own limit take messages up to 4 MiB.
BYTES_PER_REQUEST = 4_000_000
POLL_SECONDS = 0.1
# After so long without an answer to a look at the model's status, on_wait is called.
LONGEST_LOOK_SECONDS = 5.0
Texts = Iterable[str | bytes]


@dataclasses.dataclass(frozen=True)
class Obstacle:
    """Why a model cannot answer yet: its name, a few words, and the reason, whole sentences."""

    name: str
    reason: str


class Verbs:
    """What Client and AsyncClient share: the arguments, and each verb as an exchange.

    `target` is "host:port", several of them in a list or with commas between (requests go round,
    an address that is down is left out), or a target of gRPC's own ("dns:///name:port"; goes
    round too). `version` asks for one version, `label` for the version that carries this label;
    neither means the newest one that the server has ready.

    `timeout` is in seconds and holds for each request that is sent, its retries and the pauses
    before them included. A request is sent again up to `retries` times, and only when the server
    was not there or had no room for it. Long lists of texts are cut into requests of at most
    `texts_per_request` texts and `bytes_per_request` bytes, of which `parallel` run at once.

    `ca`, `certificate` and `key` are PEM files, any of which means TLS, as does `tls`;
    `server_name` is the name on the server's certificate where the address has another. `token`,
    a string or a function that gives one, is sent as a bearer token, over plaintext only with
    `token_over_plaintext`. `metadata` goes with every request, `compression` can be "gzip",
    `keepalive` is the seconds between pings on a connection that is waited for, and `options` are
    more channel options of gRPC. Every verb raises a ClientError (see serving.client.errors).
    """

    def __init__(
        self,
        target: str | Sequence[str],
        model: str = "default",
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        texts_per_request: int = TEXTS_PER_REQUEST,
        *,
        bytes_per_request: int = BYTES_PER_REQUEST,
        parallel: int = 4,
        retries: int = 3,
        tls: bool = False,
        ca: str | Path | bytes | None = None,
        certificate: str | Path | bytes | None = None,
        key: str | Path | bytes | None = None,
        server_name: str | None = None,
        token: str | Callable[[], str] | None = None,
        token_over_plaintext: bool = False,
        metadata: Headers = (),
        compression: str | None = None,
        keepalive: float = 300.0,
        options: Options = (),
    ):
        self._choice = Choice(model, version, label)
        self.settings = Settings(
            target,
            tls=tls,
            ca=ca,
            certificate=certificate,
            key=key,
            server_name=server_name,
            token=token,
            token_over_plaintext=token_over_plaintext,
            metadata=metadata,
            compression=compression,
            keepalive=keepalive,
            options=options,
        )
        self.target = ",".join(self.settings.addresses)
        self.model, self.version, self.label = model, version, label
        self.timeout = _check_timeout(timeout)
        self.texts_per_request = _check_count("texts_per_request", texts_per_request, 1)
        self.bytes_per_request = _check_count("bytes_per_request", bytes_per_request, 1)
        self.parallel = _check_count("parallel", parallel, 1)
        self.retries = _check_count("retries", retries, 0)
        self._asker = Asker(self.target, self._choice, self.retries)
        self._labels: dict[int, tuple[str, ...]] = {}
        self._closed = False
        self._open()

    def __str__(self) -> str:
        return str(self._choice)

    def _open(self) -> None:
        """Open the channel, as the last step of making a client."""
        raise TypeError(f"{type(self).__name__} is what clients share; use Client or AsyncClient")

    def _ask_task(
        self, task: Task, timeout: float | None, **columns: Texts | None
    ) -> Exchange[list[Any]]:
        """The answers of `task` to each row asked, in order, in as many requests as it takes."""
        rows = read_rows(**columns)
        seconds = self._choose_timeout(timeout)
        parts = rows.cut(self.texts_per_request, self.bytes_per_request)
        exchanges = [self._ask_part(task, rows.build_inputs(part), seconds) for part in parts]
        if len(exchanges) == 1:
            return rows.spread((yield from exchanges[0]))
        answered: list[list[Any]] = (yield Together(exchanges)) if exchanges else []
        return rows.spread(list(itertools.chain.from_iterable(answered)))

    def _ask_part(
        self, task: Task, inputs: dict[str, list[bytes]], seconds: float
    ) -> Exchange[list[Any]]:
        request = requests.build_predict(self._choice, inputs)
        response = yield from self._asker.ask(PREDICT, request, seconds)
        more = {}
        if task is answers.MULTILABEL:
            try:
                more["labels"] = yield from self._ask_labels(response.model_spec, seconds)
            except ModelNotFound:
                # The version that answered has left since, and its labels with it.
                response = yield from self._asker.ask(PREDICT, request, seconds)
                more["labels"] = yield from self._ask_labels(response.model_spec, seconds)
        outputs = self._read(answers.read_outputs, response)
        try:
            return task.read(outputs, len(next(iter(inputs.values()))), **more)
        except ValueError as error:
            raise InvalidRequest(
                f"At {self.target} {self} does not answer as {task.name}: {error}. It needs "
                f"{' and '.join(task.outputs)}; use `predict` for other models."
            ) from None

    def _ask_labels(self, spec: Any, seconds: float) -> Exchange[tuple[str, ...]]:
        """The label names of the version that answered, in column order; asked for once."""
        version = spec.version.value if spec.HasField("version") else None
        if version not in self._labels:
            # Asked by its number: a newer version may have come since, with other labels.
            choice = self._choice if version is None else Choice(self.model, version)
            request = requests.build_predict(choice, {}, "info")
            response = yield from self._asker.ask(PREDICT, request, seconds, choice)
            outputs = self._read(answers.read_outputs, response)
            try:
                labels = tuple(map(str, json.loads(outputs["info"].item())["labels"]))
            except (ValueError, KeyError, TypeError):
                raise InvalidRequest(
                    f"At {self.target} the signature 'info' of {choice} names no labels. Use "
                    "`predict` for models that do not tell their labels."
                ) from None
            if version is None:
                return labels
            self._labels[version] = labels
        return self._labels[version]

    def _predict(
        self,
        inputs: Mapping[str, Any],
        signature: str,
        outputs: Iterable[str] | None,
        timeout: float | None,
    ) -> Exchange[dict[str, np.ndarray]]:
        names = read_strings("outputs", outputs or ())
        request = requests.build_predict(self._choice, inputs, signature, names)
        seconds = self._choose_timeout(timeout)
        response = yield from self._asker.ask(PREDICT, request, seconds)
        return self._read(answers.read_outputs, response)

    def _metadata(self, timeout: float | None) -> Exchange[ModelMetadata]:
        request = requests.build_metadata(self._choice)
        seconds = self._choose_timeout(timeout)
        return self._read(read_metadata, (yield from self._asker.ask(METADATA, request, seconds)))

    def _status(self, timeout: float | None) -> Exchange[list[Version]]:
        request = requests.build_status(self._choice)
        seconds = self._choose_timeout(timeout)
        return self._read(read_versions, (yield from self._asker.ask(STATUS, request, seconds)))

    def _wait_until_ready(
        self, timeout: float | None, on_wait: Callable[[str], None] | None
    ) -> Exchange[None]:
        limit = math.inf if timeout is None else _check_timeout(timeout)
        deadline = time.monotonic() + limit
        while True:
            remaining = deadline - time.monotonic()
            seconds = max(POLL_SECONDS, min(remaining, LONGEST_LOOK_SECONDS))
            obstacle = yield from self._find_obstacle(seconds)
            if obstacle is None:
                return
            if remaining <= POLL_SECONDS:
                raise DeadlineExceeded(
                    f"At {self.target} {self} was not ready within {limit:g} s. {obstacle.reason}",
                    CODE.DEADLINE_EXCEEDED,
                )
            if on_wait is not None:
                on_wait(obstacle.name)
            yield Pause(POLL_SECONDS)

    def _find_obstacle(self, seconds: float) -> Exchange[Obstacle | None]:
        """Why the model cannot answer yet; None when it can."""
        asker = dataclasses.replace(self._asker, retries=0)
        try:
            answer = yield from asker.ask(STATUS, requests.build_status(self._choice), seconds)
            versions = read_versions(answer)
            if not any(version.state == "AVAILABLE" for version in versions):
                newest = versions[0] if versions else Version(0, "UNKNOWN", "")
                name = f"model is {newest.state}" + (f", {newest.error}" if newest.error else "")
                return Obstacle(name, f"Its versions: {versions}.")
            if self.label is not None:
                # The status leaves the label out of account; metadata has it resolved.
                yield from asker.ask(METADATA, requests.build_metadata(self._choice), seconds)
        except ServerUnavailable as error:
            return Obstacle(name_refusal(error), str(error))
        except ModelNotFound as error:
            return Obstacle("the server does not have the model", str(error))
        except DeadlineExceeded as error:
            return Obstacle("no answer", str(error))
        except InvalidRequest as error:
            if self.label is None:
                raise
            return Obstacle(f"no version has the label {self.label!r}", str(error))
        return None

    def _check_open(self) -> None:
        if self._closed:
            raise RequestCancelled(
                f"This client of {self} at {self.target} is closed. Make a new one."
            )

    def _choose_timeout(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else _check_timeout(timeout)

    def _read(self, read: Callable[[Any], T], response: Any) -> T:
        try:
            return read(response)
        except (ValueError, DecodeError) as error:
            raise ServerFault(
                f"The answer of {self} at {self.target} cannot be read: {error}."
            ) from None


def _check_timeout(timeout: float) -> float:
    if not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
        raise InvalidRequest(f"timeout is {timeout!r}; it is a number of seconds above 0.")
    return timeout


def _check_count(name: str, count: int, least: int) -> int:
    if not isinstance(count, int) or count < least:
        raise InvalidRequest(f"{name} is {count!r}; it is a whole number from {least} up.")
    return count
