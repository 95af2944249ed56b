"""Asynchronous client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import grpc.aio

from serving.client import answers
from serving.client.base_client import BaseClient, T, Texts
from serving.client.connection import open_channel
from serving.client.faiss_index import FaissIndex
from serving.client.model_metadata import ModelMetadata, Version
from serving.client.request_flow import FlowStep, Pause, RequestFlow, Send
from serving.client.tensor_codec import AnyArray
from serving.client.text_batches import check_strings


class AsyncClient(BaseClient):  # noqa: D101
    __doc__ = (
        "Client for asyncio, with the arguments and verbs of Client.\n\n"
        "    Tasks of one event loop may share it. Cancelling a task cancels its requests.\n"
        f"{(BaseClient.__doc__ or '').partition(chr(10))[2]}"
    )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection and cancel requests in flight."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def classify(
        self,
        texts: Texts,
        text_pairs: Texts | None = None,
        *,
        adapter: str | Texts | None = None,
        timeout: float | None = None,
    ) -> list[answers.Classification]:
        """See Client.classify."""
        return await self._run(self._classify(texts, text_pairs, adapter, timeout))

    async def multilabel(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Labelling]:
        """See Client.multilabel."""
        return await self._run(
            self._answer_texts(answers.MULTILABEL, timeout, texts=texts, text_pairs=text_pairs)
        )

    async def regress(
        self, texts: Texts, text_pairs: Texts | None = None, *, timeout: float | None = None
    ) -> list[answers.Regression]:
        """See Client.regress."""
        return await self._run(
            self._answer_texts(answers.REGRESS, timeout, texts=texts, text_pairs=text_pairs)
        )

    async def tag(
        self, texts: Texts, *, timeout: float | None = None
    ) -> list[list[answers.Entity]]:
        """See Client.tag."""
        return await self._run(self._answer_texts(answers.TAG, timeout, texts=texts))

    async def search(
        self, texts: Texts, *, index: FaissIndex | None = None, timeout: float | None = None
    ) -> list[list[answers.SearchResult]]:
        """See Client.search."""
        if index is None:
            return await self._run(self._answer_texts(answers.SEARCH, timeout, texts=texts))
        asked = check_strings("texts", texts)
        vectors = await self._run(self._embed_for(index, asked, timeout))
        # A large index takes long: the event loop goes on meanwhile.
        return await asyncio.to_thread(index.search, asked, vectors)

    async def answer(
        self, questions: Texts, contexts: Texts, *, timeout: float | None = None
    ) -> list[answers.Answer]:
        """See Client.answer."""
        return await self._run(
            self._answer_texts(answers.ANSWER, timeout, questions=questions, contexts=contexts)
        )

    async def embed(self, texts: Texts, *, timeout: float | None = None) -> list[answers.Vector]:
        """See Client.embed."""
        return await self._run(self._answer_texts(answers.EMBED, timeout, texts=texts))

    async def predict(
        self,
        inputs: Mapping[str, Any],
        signature: str = "serving_default",
        outputs: Iterable[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, AnyArray]:
        """See Client.predict."""
        return await self._run(self._predict(inputs, signature, outputs, timeout))

    async def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """See Client.metadata."""
        return await self._run(self._metadata(timeout))

    async def status(self, *, timeout: float | None = None) -> list[Version]:
        """See Client.status."""
        return await self._run(self._status(timeout))

    async def wait_until_ready(
        self, timeout: float | None = 60.0, on_wait: Callable[[str], None] | None = None
    ) -> None:
        """See Client.wait_until_ready."""
        await self._run(self._wait_until_ready(timeout, on_wait))

    def _open(self) -> None:
        # A channel belongs to the event loop that is running when it is opened.
        self._channel: Any = None

    async def _run(self, flow: RequestFlow[T]) -> T:
        try:
            step = next(flow)
            while True:
                try:
                    outcome = await self._perform(step)
                except Exception as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _perform(self, step: FlowStep) -> Any:
        if isinstance(step, Send):
            self._check_open()
            if self._channel is None:
                self._channel = open_channel(self.connection, grpc.aio)
            call = step.method.stub(self._channel)
            metadata = self.connection.call_metadata()
            try:
                return await call(step.request, timeout=step.seconds, metadata=metadata)
            except asyncio.CancelledError:
                # close() cancels the calls without a cancellation of the task; only Python 3.11
                # and later can tell these two apart.
                if not getattr(asyncio.current_task(), "cancelling", int)():
                    self._check_open()
                raise
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        return await self._gather(step.flows)

    async def _gather(self, flows: Sequence[RequestFlow[Any]]) -> list[Any]:
        results: list[Any] = [None] * len(flows)
        pending = deque(enumerate(flows))

        async def work() -> None:
            while pending:
                position, flow = pending.popleft()
                results[position] = await self._run(flow)

        tasks = [asyncio.create_task(work()) for _ in range(min(self.sending.parallel, len(flows)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            # After the first failure, cancelling the tasks cancels their requests.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return results
