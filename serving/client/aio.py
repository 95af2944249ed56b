"""The asynchronous client: the same verbs, awaited."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc.aio
import numpy as np

from serving.client import answers
from serving.client.connection import open_channel
from serving.client.exchange import Exchange, Pause, Send, Step
from serving.client.models import ModelMetadata, Version
from serving.client.verbs import T, Texts, Verbs


class AsyncClient(Verbs):
    __doc__ = (
        "Client for asyncio: the same arguments and verbs, awaited.\n\n"
        "    Tasks of one event loop may share it. Cancelling a task cancels its requests.\n"
        f"{(Verbs.__doc__ or '').partition(chr(10))[2]}"
    )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; requests still running are cancelled."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def classify(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Classification]:
        """As Client.classify."""
        return await self._run(
            self._ask_task(answers.CLASSIFY, timeout, texts=texts, text_pairs=text_pairs)
        )

    async def multilabel(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Labelling]:
        """As Client.multilabel."""
        return await self._run(
            self._ask_task(answers.MULTILABEL, timeout, texts=texts, text_pairs=text_pairs)
        )

    async def regress(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Regression]:
        """As Client.regress."""
        return await self._run(
            self._ask_task(answers.REGRESS, timeout, texts=texts, text_pairs=text_pairs)
        )

    async def tag(
        self, texts: Texts, *, timeout: float | None = None
    ) -> list[list[answers.Entity]]:
        """As Client.tag."""
        return await self._run(self._ask_task(answers.TAG, timeout, texts=texts))

    async def answer(
        self, questions: Texts, contexts: Texts, *, timeout: float | None = None
    ) -> list[answers.Answer]:
        """As Client.answer."""
        return await self._run(
            self._ask_task(answers.ANSWER, timeout, questions=questions, contexts=contexts)
        )

    async def predict(
        self,
        inputs: Mapping[str, Any],
        signature: str = "serving_default",
        outputs: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """As Client.predict."""
        return await self._run(self._predict(inputs, signature, outputs, timeout))

    async def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """As Client.metadata."""
        return await self._run(self._metadata(timeout))

    async def status(self, *, timeout: float | None = None) -> list[Version]:
        """As Client.status."""
        return await self._run(self._status(timeout))

    async def wait_until_ready(
        self, timeout: float | None = 60.0, on_wait: Callable[[str], None] | None = None
    ) -> None:
        """As Client.wait_until_ready."""
        await self._run(self._wait_until_ready(timeout, on_wait))

    def _open(self) -> None:
        # A channel belongs to the event loop that runs when it is opened: the first request's.
        self._channel: Any = None

    async def _run(self, exchange: Exchange[T]) -> T:
        try:
            step = next(exchange)
            while True:
                try:
                    outcome = await self._perform(step)
                except Exception as error:
                    step = exchange.throw(error)
                else:
                    step = exchange.send(outcome)
        except StopIteration as end:
            return end.value

    async def _perform(self, step: Step) -> Any:
        if isinstance(step, Send):
            self._check_open()
            if self._channel is None:
                self._channel = open_channel(self.settings, grpc.aio)
            call = step.method.stub(self._channel)
            metadata = self.settings.call_metadata()
            try:
                return await call(step.request, timeout=step.seconds, metadata=metadata)
            except asyncio.CancelledError:
                # Closing cancels the calls, which is no cancelling of the task (3.11 and later
                # can tell).
                if not getattr(asyncio.current_task(), "cancelling", int)():
                    self._check_open()
                raise
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        return await self._run_together(step.exchanges)

    async def _run_together(self, exchanges: Sequence[Exchange[Any]]) -> list[Any]:
        results: list[Any] = [None] * len(exchanges)
        pending = deque(enumerate(exchanges))

        async def work() -> None:
            while pending:
                place, exchange = pending.popleft()
                results[place] = await self._run(exchange)

        tasks = [asyncio.create_task(work()) for _ in range(min(self.parallel, len(exchanges)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            # After the first failure: the others' requests end with their tasks.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return results
