"""Synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from serving.client import answers
from serving.client.base_client import BaseClient, T, Texts
from serving.client.concurrent_calls import ConcurrentCalls, run_flow
from serving.client.connection import open_channel
from serving.client.faiss_index import FaissIndex
from serving.client.model_metadata import ModelMetadata, Version
from serving.client.request_flow import FlowStep, Pause, RequestFlow, Send
from serving.client.tensor_codec import AnyArray
from serving.client.text_batches import check_strings


class Client(BaseClient):  # noqa: D101
    __doc__ = (
        "Client for one model of a server with TensorFlow Serving's gRPC API.\n\n"
        f"    Threads may share a client.\n{(BaseClient.__doc__ or '').partition(chr(10))[2]}"
    )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and cancel requests in flight."""
        self._closed = True
        self._channel.close()

    def classify(
        self,
        texts: Texts,
        text_pairs: Texts | None = None,
        *,
        adapter: str | Texts | None = None,
        timeout: float | None = None,
    ) -> list[answers.Classification]:
        """Classify texts, or pairs of texts.

        Equal texts are sent once and share one answer.

        Args:
            texts: Texts; in all verbs a single string is an error, not a list of characters.
            text_pairs: Second text of each pair.
            adapter: Of a model with several adapters the name of one for all texts, or of one for
                each text.
            timeout: Seconds for each request; default: the client's.

        Returns:
            One answer for each text, in order.

        Raises:
            ClientError: See serving.client.errors.
        """
        return self._run(self._classify(texts, text_pairs, adapter, timeout))

    def multilabel(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Labelling]:
        """Assign labels to each text; label names come from the model's `info` signature."""
        return self._run(
            self._answer_texts(answers.MULTILABEL, timeout, texts=texts, text_pairs=text_pairs)
        )

    def regress(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Regression]:
        """Predict a number for each text or pair of texts."""
        return self._run(
            self._answer_texts(answers.REGRESS, timeout, texts=texts, text_pairs=text_pairs)
        )

    def tag(self, texts: Texts, *, timeout: float | None = None) -> list[list[answers.Entity]]:
        """Find the entities in each text; `start` and `end` count Unicode code points."""
        return self._run(self._answer_texts(answers.TAG, timeout, texts=texts))

    def search(
        self, texts: Texts, *, index: FaissIndex | None = None, timeout: float | None = None
    ) -> list[list[answers.SearchResult]]:
        """Find the entries of an index that answer each text, the best first; [] of none.

        Args:
            texts: Texts.
            index: From `open_index`: a faiss index that is searched here with the vectors of the
                model; default: the model is an index itself.
            timeout: Seconds for each request; default: the client's.

        Raises:
            ClientError: InvalidRequest where another encoder made the vectors of `index`.
        """
        if index is None:
            return self._run(self._answer_texts(answers.SEARCH, timeout, texts=texts))
        asked = check_strings("texts", texts)
        vectors = self._run(self._embed_for(index, asked, timeout))
        return index.search(asked, vectors)

    def answer(
        self, questions: Texts, contexts: Texts, *, timeout: float | None = None
    ) -> list[answers.Answer]:
        """Extract the answer to each question from its context; offsets in code points."""
        return self._run(
            self._answer_texts(answers.ANSWER, timeout, questions=questions, contexts=contexts)
        )

    def embed(self, texts: Texts, *, timeout: float | None = None) -> list[answers.Vector]:
        """Compute a vector of each text, float32 [H] at length 1."""
        return self._run(self._answer_texts(answers.EMBED, timeout, texts=texts))

    def predict(
        self,
        inputs: Mapping[str, Any],
        signature: str = "serving_default",
        outputs: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, AnyArray]:
        """Run any signature in one request.

        Args:
            inputs: Arrays by input name. dtypes are never cast: int64 does not fit a float32 input.
            signature: Name of the signature.
            outputs: Names of the outputs to fetch; default: all.
            timeout: Seconds; default: the client's.

        Returns:
            Arrays by output name; strings as object arrays of bytes.
        """
        return self._run(self._predict(inputs, signature, outputs, timeout))

    def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """Return the version that answers and its signatures."""
        return self._run(self._metadata(timeout))

    def status(self, *, timeout: float | None = None) -> list[Version]:
        """Return the state of every version that the server lists, the highest first."""
        return self._run(self._status(timeout))

    def wait_until_ready(
        self, timeout: float | None = 60.0, on_wait: Callable[[str], None] | None = None
    ) -> None:
        """Return when a version of the model (or the selected one) is available.

        Args:
            timeout: Seconds to wait at most; None is no limit.
            on_wait: Called several times a second with what is missing, such as "connection
                refused" or "model is LOADING"; what it raises ends the wait.

        Raises:
            DeadlineExceeded: No version was available in time.
        """
        self._run(self._wait_until_ready(timeout, on_wait))

    def _open(self) -> None:
        self._channel = open_channel(self.connection)

    def _run(self, flow: RequestFlow[T]) -> T:
        return run_flow(flow, self._perform)

    def _perform(self, step: FlowStep) -> Any:
        if isinstance(step, Send):
            return self._start(step, "__call__")
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return ConcurrentCalls(self._start).run(step.flows, self.sending.parallel)

    def _start(self, step: Send, mode: str = "future") -> Any:
        # Blocking on the caller's own thread ("__call__") is 0.17 ms faster than a future.
        self._check_open()
        try:
            stub = getattr(step.method.stub(self._channel), mode)
            return stub(step.request, step.seconds, self.connection.call_metadata())
        except ValueError:
            # Another thread may have closed the channel since.
            self._check_open()
            raise
