"""Shared part of both clients: options, and each verb as a request flow."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import DecodeError

from serving.client import answers, requests
from serving.client.answers import AnswerDecoder
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
from serving.client.faiss_index import FaissIndex
from serving.client.model_metadata import ModelMetadata, Version, read_metadata, read_versions
from serving.client.options import ClientOptions, check_timeout, split_options
from serving.client.proxies import describe_proxy
from serving.client.request_flow import Gather, Pause, RequestFlow, RetryingSender
from serving.client.requests import METADATA, PREDICT, STATUS, ModelSelector
from serving.client.tensor_codec import AnyArray
from serving.client.text_batches import check_strings, deduplicate_rows

if TYPE_CHECKING:
    # Only annotations need it: Python 3.10 has it in typing_extensions alone.
    from typing_extensions import Unpack

T = TypeVar("T")
POLL_SECONDS = 0.1
# Seconds after which a status request without an answer counts as an obstacle.
LONGEST_STATUS_SECONDS = 5.0
Texts = Iterable[str | bytes]


@dataclasses.dataclass(frozen=True)
class Obstacle:
    """Why a model is not available yet.

    Attributes:
        name: A few words, such as "connection refused".
        reason: Whole sentences.
    """

    name: str
    reason: str


class BaseClient:
    """Common base of Client and AsyncClient; not to be created itself.

    Args:
        target: "host:port"; several in a list or separated by commas (round robin, unreachable
            addresses are skipped); or one of gRPC's own targets, such as "dns:///name:port".
        model: Name of the model.
        version: Version number. Default: the newest version that the server has ready.
        label: Version label, instead of `version`.
        timeout: Seconds for each request, retries and pauses included (30).
        texts_per_request: Most texts in one request; longer lists are split (64).
        bytes_per_request: Most bytes in one request (4,000,000).
        parallel: Most requests of one call in flight at once (4).
        retries: Most further attempts, only when the server was unreachable or overloaded (3).
        tls: Use TLS. Implied by `ca`, `certificate` and `key`.
        ca: PEM file (or its content as bytes) with the roots to trust.
        certificate: PEM file with the client's certificate, for mutual TLS.
        key: PEM file with the private key of `certificate`.
        server_name: Name on the server's certificate, where it differs from the address.
        token: Bearer token, or a function that returns one for each request.
        token_over_plaintext: Allow a token without TLS.
        metadata: Headers of every request.
        compression: "gzip" or None.
        keepalive: Seconds between pings on a connection with a request in flight; 0 is none (300).
        options: Further gRPC channel options.

    Raises:
        InvalidRequest: An option cannot work. Every verb raises a subclass of ClientError.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        model: str = "default",
        version: int | None = None,
        label: str | None = None,
        **options: Unpack[ClientOptions],
    ):
        self._selector = ModelSelector(model, version, label)
        self.sending, self.connection = split_options(target, options)
        self.target = ",".join(self.connection.addresses)
        self.model, self.version, self.label = model, version, label
        proxy = describe_proxy(self.connection.addresses)
        self._sender = RetryingSender(self.target, self._selector, self.sending.retries, proxy)
        self._labels: dict[int, tuple[str, ...]] = {}
        self._closed = False
        self._open()

    def __str__(self) -> str:
        return str(self._selector)

    def _open(self) -> None:
        """Open the channel; the last step of the constructor."""
        raise TypeError(f"{type(self).__name__} is an abstract class; use Client or AsyncClient")

    def _answer_texts(
        self, decoder: AnswerDecoder, timeout: float | None, **columns: Texts | None
    ) -> RequestFlow[list[Any]]:
        """Return one answer for each row, in order, from as many requests as needed."""
        rows = deduplicate_rows(**columns)
        seconds = self._choose_timeout(timeout)
        batches = rows.batches(self.sending.texts_per_request, self.sending.bytes_per_request)
        flows = [
            self._answer_batch(decoder, rows.build_inputs(batch), seconds) for batch in batches
        ]
        if len(flows) == 1:
            return rows.expand((yield from flows[0]))
        answered: list[list[Any]] = (yield Gather(flows)) if flows else []
        return rows.expand(list(itertools.chain.from_iterable(answered)))

    def _classify(
        self,
        texts: Texts,
        text_pairs: Texts | None,
        adapter: str | bytes | Texts | None,
        timeout: float | None,
    ) -> RequestFlow[list[answers.Classification]]:
        """Return one classification for each row; one adapter is that of all rows."""
        if isinstance(adapter, (str, bytes)):
            texts = check_strings("texts", texts)
            adapter = [adapter] * len(texts)
        columns = {"texts": texts, "text_pairs": text_pairs, "adapters": adapter}
        return self._answer_texts(answers.CLASSIFY, timeout, **columns)

    def _answer_batch(
        self, decoder: AnswerDecoder, inputs: dict[str, list[bytes]], seconds: float
    ) -> RequestFlow[list[Any]]:
        request = requests.build_predict(self._selector, inputs)
        response = yield from self._sender.send(PREDICT, request, seconds)
        more = {}
        if decoder is answers.MULTILABEL:
            try:
                more["labels"] = yield from self._fetch_labels(response.model_spec, seconds)
            except ModelNotFound:
                # The version that answered has been unloaded since, and its labels with it.
                response = yield from self._sender.send(PREDICT, request, seconds)
                more["labels"] = yield from self._fetch_labels(response.model_spec, seconds)
        outputs = self._decode(answers.read_outputs, response)
        try:
            return decoder.decode(outputs, len(next(iter(inputs.values()))), **more)
        except ValueError as error:
            raise InvalidRequest(
                f"At {self.target} {self} is not {decoder.name}: {error}. Needed are "
                f"{' and '.join(decoder.required)}; use `predict` for other models."
            ) from None

    def _fetch_labels(self, spec: Any, seconds: float) -> RequestFlow[tuple[str, ...]]:
        """Return the label names of the version that answered, in column order; cached."""
        version = spec.version.value if spec.HasField("version") else None
        if version not in self._labels:
            # By version number: a newer version with other labels may have been loaded since.
            selector = self._selector if version is None else ModelSelector(self.model, version)
            request = requests.build_predict(selector, {}, "info")
            response = yield from self._sender.send(PREDICT, request, seconds, selector)
            outputs = self._decode(answers.read_outputs, response)
            try:
                labels = tuple(map(str, json.loads(outputs["info"].item())["labels"]))
            except (ValueError, KeyError, TypeError):
                raise InvalidRequest(
                    f"At {self.target} the signature 'info' of {selector} has no labels. Use "
                    "`predict` for such a model."
                ) from None
            if version is None:
                return labels
            self._labels[version] = labels
        return self._labels[version]

    def _embed_for(
        self, index: FaissIndex, texts: list[str | bytes], timeout: float | None
    ) -> RequestFlow[list[answers.Vector]]:
        """Return vectors of texts by the encoder of an index; the probe goes with them."""
        asked: list[str | bytes] = [*texts, index.probe]
        *vectors, probe = yield from self._answer_texts(answers.EMBED, timeout, texts=asked)
        if not index.has_encoder(probe):
            raise InvalidRequest(
                f"The vectors of {self} at {self.target} cannot be compared with those of the "
                f"index in {index.folder}: another encoder made these. Serve the version that the "
                "index is a part of, or open the index of the version that is served."
            )
        return vectors

    def _predict(
        self,
        inputs: Mapping[str, Any],
        signature: str,
        outputs: Iterable[str] | None,
        timeout: float | None,
    ) -> RequestFlow[dict[str, AnyArray]]:
        names = check_strings("outputs", outputs or ())
        request = requests.build_predict(self._selector, inputs, signature, names)
        seconds = self._choose_timeout(timeout)
        response = yield from self._sender.send(PREDICT, request, seconds)
        return self._decode(answers.read_outputs, response)

    def _metadata(self, timeout: float | None) -> RequestFlow[ModelMetadata]:
        request = requests.build_metadata(self._selector)
        seconds = self._choose_timeout(timeout)
        return self._decode(
            read_metadata, (yield from self._sender.send(METADATA, request, seconds))
        )

    def _status(self, timeout: float | None) -> RequestFlow[list[Version]]:
        request = requests.build_status(self._selector)
        seconds = self._choose_timeout(timeout)
        return self._decode(read_versions, (yield from self._sender.send(STATUS, request, seconds)))

    def _wait_until_ready(
        self, timeout: float | None, on_wait: Callable[[str], None] | None
    ) -> RequestFlow[None]:
        limit = math.inf if timeout is None else check_timeout(timeout)
        deadline = time.monotonic() + limit
        while True:
            remaining = deadline - time.monotonic()
            seconds = max(POLL_SECONDS, min(remaining, LONGEST_STATUS_SECONDS))
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

    def _find_obstacle(self, seconds: float) -> RequestFlow[Obstacle | None]:
        """Return why the model is not available yet; None when it is."""
        sender = dataclasses.replace(self._sender, retries=0)
        try:
            answer = yield from sender.send(STATUS, requests.build_status(self._selector), seconds)
            versions = read_versions(answer)
            if not any(version.state == "AVAILABLE" for version in versions):
                newest = versions[0] if versions else Version(0, "UNKNOWN", "")
                name = f"model is {newest.state}" + (f", {newest.error}" if newest.error else "")
                return Obstacle(name, f"Its versions: {versions}.")
            if self.label is not None:
                # The status ignores labels; the metadata request resolves them.
                yield from sender.send(METADATA, requests.build_metadata(self._selector), seconds)
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
                f"This client of {self} at {self.target} is closed. Create a new one."
            )

    def _choose_timeout(self, timeout: float | None) -> float:
        return self.sending.timeout if timeout is None else check_timeout(timeout)

    def _decode(self, decode: Callable[[Any], T], response: Any) -> T:
        try:
            return decode(response)
        except (ValueError, DecodeError) as error:
            raise ServerFault(
                f"The response of {self} at {self.target} cannot be decoded: {error}."
            ) from None
