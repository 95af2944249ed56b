"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from serving.client import answers
from serving.client.connection import open_channel
from serving.client.crew import Crew, drive
from serving.client.exchange import Exchange, Pause, Send, Step
from serving.client.models import ModelMetadata, Version
from serving.client.verbs import T, Texts, Verbs


class Client(Verbs):
    __doc__ = (
        "A connection to one model of a server that speaks TensorFlow Serving's gRPC interface.\n\n"
        f"    Threads may share a client.\n{(Verbs.__doc__ or '').partition(chr(10))[2]}"
    )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; requests still running are cancelled."""
        self._closed = True
        self._channel.close()

    def classify(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Classification]:
        """One answer for each text, in order; `text_pairs` holds each text's second half.

        As in all verbs a single string is refused: it would be read as a list of characters. Equal
        texts are asked once and share one answer.
        """
        return self._run(
            self._ask_task(answers.CLASSIFY, timeout, texts=texts, text_pairs=text_pairs)
        )

    def multilabel(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Labelling]:
        """The labels that apply to each text, of all that the model's `info` names."""
        return self._run(
            self._ask_task(answers.MULTILABEL, timeout, texts=texts, text_pairs=text_pairs)
        )

    def regress(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Regression]:
        """A number for each text or pair of texts."""
        return self._run(
            self._ask_task(answers.REGRESS, timeout, texts=texts, text_pairs=text_pairs)
        )

    def tag(self, texts: Texts, *, timeout: float | None = None) -> list[list[answers.Entity]]:
        """The entities in each text; `start` and `end` count Unicode code points."""
        return self._run(self._ask_task(answers.TAG, timeout, texts=texts))

    def answer(
        self, questions: Texts, contexts: Texts, *, timeout: float | None = None
    ) -> list[answers.Answer]:
        """The answer to each question in the context beside it, offsets in code points."""
        return self._run(
            self._ask_task(answers.ANSWER, timeout, questions=questions, contexts=contexts)
        )

    def predict(
        self,
        inputs: Mapping[str, Any],
        signature: str = "serving_default",
        outputs: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """The signature's outputs (or those named in `outputs`) as arrays, in one request.

        Strings come back as object arrays of bytes. No dtype is cast on the way: an int64 array
        does not fit a float32 input.
        """
        return self._run(self._predict(inputs, signature, outputs, timeout))

    def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """The version that answers and its signatures."""
        return self._run(self._metadata(timeout))

    def status(self, *, timeout: float | None = None) -> list[Version]:
        """Every version of the model that the server knows, the highest first."""
        return self._run(self._status(timeout))

    def wait_until_ready(
        self, timeout: float | None = 60.0, on_wait: Callable[[str], None] | None = None
    ) -> None:
        """Return when a version of the model (or the one asked for) can answer.

        `on_wait` is called with what is waited for ("connection refused", "model is LOADING"),
        several times a second; what it raises ends the wait. Raises DeadlineExceeded when no
        version can answer within `timeout` seconds; None sets no limit.
        """
        self._run(self._wait_until_ready(timeout, on_wait))

    def _open(self) -> None:
        self._channel = open_channel(self.settings)

    def _run(self, exchange: Exchange[T]) -> T:
        return drive(exchange, self._perform)

    def _perform(self, step: Step) -> Any:
        if isinstance(step, Send):
            return self._start(step, "__call__")
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return Crew(self._start).run(step.exchanges, self.parallel)

    def _start(self, step: Send, how: str = "future") -> Any:
        # Waiting on the caller's own thread ("__call__") is a sixth of a millisecond faster.
        self._check_open()
        try:
            stub = getattr(step.method.stub(self._channel), how)
            return stub(step.request, step.seconds, self.settings.call_metadata())
        except ValueError:
            # Another thread may have closed the channel since.
            self._check_open()
            raise
