"""The models of the application: asked by serving.client, watched, and left out while gone."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from serving.client import AsyncClient, ClientError, InvalidRequest, ModelNotFound
from tfpipe.apps.support.decision import Reading

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Seconds that a model may take; both one after the other leave time for the rest of a turn.
REQUEST_SECONDS = 1.2
POLL_SECONDS = 0.5
# Requests of one model at once; others wait for their turn, and are handed over in the end.
CONCURRENT = 64


@dataclass(frozen=True)
class Version:
    """A version of a model: its number, a client of it alone, and what its export says of it."""

    number: int
    client: AsyncClient
    info: dict[str, Any]


class ServedModel:
    """One model of a server, asked by the version whose labels are known.

    Args:
        target: Address of the server.
        name: Name of the model.

    Attributes:
        version: The version that is asked; None while none answers.
        failure: Why none answers.
    """

    def __init__(self, target: str, name: str):
        self.target, self.name = target, name
        self.version: Version | None = None
        self.failure: ClientError | None = None
        self._newest = AsyncClient(target, model=name, timeout=REQUEST_SECONDS, retries=0)
        self._free = asyncio.Semaphore(CONCURRENT)

    async def close(self) -> None:
        """Close the connections."""
        await self._newest.close()
        if self.version:
            await self.version.client.close()

    async def refresh(self) -> bool:
        """Ask which version is the newest one, and take it; False where none answers."""
        try:
            number = (await self._newest.metadata()).version
            if self.version is None or number != self.version.number:
                await self._take(number)
        except ClientError as error:
            self._leave(error)
        return self.version is not None

    async def _take(self, number: int) -> None:
        # Longer than `ask` waits, which knows a slow model from one that is gone.
        seconds = 2 * REQUEST_SECONDS
        client = AsyncClient(self.target, self.name, number, timeout=seconds, retries=0)
        try:
            output = await client.predict({}, signature="info")
            info = json.loads(output["info"].item())
        except (InvalidRequest, KeyError, ValueError):
            info = {}
        except ClientError:
            await client.close()
            raise
        self._retire()
        self.version = Version(number, client, info)
        logger.info("model %s: version %d answers", self.name, number)

    def _leave(self, error: ClientError) -> None:
        if self.version is not None:
            logger.warning("model %s does not answer: %s", self.name, error)
        self._retire()
        self.version, self.failure = None, error

    def _retire(self) -> None:
        """Close the client that is asked no more once the requests that it has begun may end."""
        if self.version:
            client, loop = self.version.client, asyncio.get_running_loop()
            loop.call_later(2 * REQUEST_SECONDS, lambda: loop.create_task(client.close()))

    async def ask(self, call: Callable[[AsyncClient], Awaitable[T]]) -> tuple[T, Version] | None:
        """Return what a verb answers, and the version; None where the model is gone or too slow."""
        try:
            return await asyncio.wait_for(self._ask(call), REQUEST_SECONDS)
        except asyncio.TimeoutError:
            # A slow answer is not the end of a model, and the next one may be in time.
            logger.warning("model %s took longer than %g s", self.name, REQUEST_SECONDS)
        except InvalidRequest as error:
            logger.error("model %s cannot be used: %s", self.name, error)
        except ClientError as error:
            self._leave(error)
        return None

    async def _ask(self, call: Callable[[AsyncClient], Awaitable[T]]) -> tuple[T, Version] | None:
        async with self._free:
            version = self.version
            if version is None:
                return None
            try:
                return await call(version.client), version
            except ModelNotFound:
                # The version has been unloaded; a newer one is there, or none.
                if not await self.refresh() or self.version is None:
                    return None
                version = self.version
                return await call(version.client), version


class Models:
    """The intent model and the index, either of which may be absent.

    Args:
        target: Address of their server.
        intents: Name of the classifier; None for none.
        index: Name of the index; None for none.
    """

    def __init__(self, target: str, intents: str | None, index: str | None):
        self.intents = ServedModel(target, intents) if intents else None
        self.index = ServedModel(target, index) if index else None

    @property
    def all(self) -> list[ServedModel]:
        """The models that there are."""
        return [model for model in (self.intents, self.index) if model is not None]

    async def watch(self) -> None:
        """Ask again and again which versions answer; ends with its task."""
        while True:
            await asyncio.gather(*(model.refresh() for model in self.all))
            await asyncio.sleep(POLL_SECONDS)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(model.close() for model in self.all))

    async def read(self, text: str, needs_entries: Callable[[Reading], bool]) -> Reading:
        """Return what the models say of a text.

        Args:
            text: The visitor's text.
            needs_entries: Whether the index is to be asked after these intents.
        """
        reading = Reading()
        if self.intents:
            found = await self.intents.ask(lambda client: client.classify([text]))
            if found is None:
                reading.failed.append(self.intents.name)
            else:
                (answer,), version = found
                names = version.info.get("labels") or [answer.label]
                scores = answer.scores if len(names) > 1 else [answer.score]
                pairs = zip(names, map(float, scores), strict=False)
                reading.intents.extend(sorted(pairs, key=lambda pair: -pair[1]))
                reading.versions[self.intents.name] = version.number
        if self.index and needs_entries(reading):
            searched = await self.index.ask(lambda client: client.search([text]))
            if searched is None:
                reading.failed.append(self.index.name)
            else:
                (results,), version = searched
                reading.entries.extend((one.id, one.answer, one.score) for one in results)
                reading.versions[self.index.name] = version.number
        return reading
