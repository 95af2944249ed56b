"""The customer-service application over models that tests script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from tfpipe.apps.support.answers import Answers
from tfpipe.apps.support.decision import Reading, Settings
from tfpipe.apps.support.http_api import Api
from tfpipe.apps.support.service import Service
from tfpipe.apps.support.store import Store
from tfpipe.config import SupportConfig

KEY = "the-agents-key"
ANSWERS = Answers(
    {
        "refund": {"intent": "refund", "title": "Refunds", "answer": "In 5 days."},
        "order": {
            "intent": "order",
            "title_en": "Orders",
            "title_zh": "订单",
            "answer_en": "See 'My orders'.",
            "answer_zh": "请看“我的订单”。",
        },
        "person": {"intent": "person", "answer": "A person will help.", "action": "handover"},
    }
)
SETTINGS = Settings(threshold=0.8, margin=0.3, least_pair=0.6, floor=0.5)
READINGS = {
    "refund?": Reading([("refund", 0.9), ("order", 0.05)]),
    "订单呢？": Reading([("order", 0.9), ("refund", 0.05)]),
    "a person!": Reading([("person", 0.95), ("order", 0.01)]),
    "order or refund": Reading([("refund", 0.5), ("order", 0.4)]),
    "gift wrap?": Reading([("order", 0.3), ("refund", 0.1)], [("wrap", "We wrap.", 0.7)]),
    "Neither of these": Reading(),
}


class ScriptedModels:
    """Models at the seam: readings by text; anything else is none of ours.

    Attributes:
        gone: Whether no model answers.
        seconds: How long each takes.
        asked: The texts that were asked.
    """

    def __init__(self) -> None:
        self.gone, self.seconds = False, 0.0
        self.asked: list[str] = []
        self.all: list[Any] = []

    async def read(self, text: str, needs_entries: Callable[[Reading], bool]) -> Reading:
        self.asked.append(text)
        await asyncio.sleep(self.seconds)
        if self.gone:
            return Reading(failed=["intents"])
        found = READINGS.get(text, Reading([("order", 0.2), ("refund", 0.1)]))
        return Reading(list(found.intents), list(found.entries), {"intents": 3})


@asynccontextmanager
async def application(
    folder: Path, models: ScriptedModels | None = None, **settings: Any
) -> AsyncIterator[tuple[TestClient, ScriptedModels]]:
    """Serve the application; yields a client of it, and its models."""
    models = models or ScriptedModels()
    store = Store(folder / "conversations.sqlite")
    service = Service(store, models, ANSWERS, SETTINGS)  # type: ignore[arg-type]
    app = Api(service, models, SupportConfig(**settings), KEY).application()  # type: ignore[arg-type]
    try:
        async with TestClient(TestServer(app)) as client:
            yield client, models
    finally:
        store.close()


async def start(client: TestClient, **body: Any) -> str:
    """Begin a conversation; returns its path."""
    response = await client.post("/api/conversations", json=body)
    assert response.status == 200
    return f"/api/conversations/{(await response.json())['id']}"


async def say(client: TestClient, path: str, text: str, **more: Any) -> dict[str, Any]:
    """Send a message; returns the reply."""
    response = await client.post(f"{path}/messages", json={"text": text, **more})
    assert response.status == 200, await response.text()
    return await response.json()


@contextmanager
def running(folder: Path, models: ScriptedModels) -> Iterator[str]:
    """Serve the application in a thread, for browsers; yields its address."""
    loop = asyncio.new_event_loop()
    stopping, address = asyncio.Event(), Future[str]()

    async def serve() -> None:
        async with application(folder, models) as (client, _):
            address.set_result(f"http://{client.host}:{client.port}")
            await stopping.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield address.result(timeout=30)
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()
