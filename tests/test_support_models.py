"""The application's access to models: versions with their labels, absence, and time limits."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import grpc
import numpy as np
import pytest

from serving.client import messages
from tests.scripted_server import ScriptedServer, answer_tensors, silent_address
from tfpipe.apps.support import models as module
from tfpipe.apps.support.decision import Reading
from tfpipe.apps.support.models import Models


class Server:
    """A scripted server of the models `intents` and `faq`.

    Attributes:
        versions: Newest version of each model; 0 for none.
        seconds: How long predictions take.
    """

    def __init__(self) -> None:
        self.versions = {"intents": 1, "faq": 1}
        self.seconds = 0.0
        self.waiting = threading.Event()

    def __call__(self, method: str, request: Any, context: Any) -> Any:
        name = request.model_spec.name
        newest, asked = self.versions[name], request.model_spec.version.value
        if not newest or asked not in (0, newest):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such version")
        if method == "GetModelMetadata":
            response = messages.GetModelMetadataResponse()
            response.model_spec.name, response.model_spec.version.value = name, newest
            response.metadata["signature_def"].value = b""
            return response
        if request.model_spec.signature_name == "info":
            labels = ["order", "refund"] if newest == 1 else ["refund", "order"]
            return answer_tensors(request, {"info": json.dumps({"labels": labels})}, newest)
        self.waiting.wait(self.seconds)
        if name == "intents":
            scores = np.array([[0.9, 0.1]], np.float32)
            outputs = {"label": ["?"], "score": scores[:, 0], "scores": scores}
            return answer_tensors(request, outputs, newest)
        outputs = {"id": [["wrap", ""]], "answer": [["We wrap.", ""]]}
        scores = np.array([[0.7, -1.0]], np.float32)
        return answer_tensors(request, {**outputs, "score": scores}, newest)


async def ready(models: Models) -> None:
    await asyncio.gather(*(model.refresh() for model in models.all))


def read(models: Models, always: bool = True) -> Any:
    return models.read("gift wrap?", lambda _: always)


def test_readings_have_the_version_and_its_labels() -> None:
    script = Server()

    async def talk(target: str) -> None:
        models = Models(target, "intents", "faq")
        await ready(models)
        found = await read(models)
        assert [one for one, _ in found.intents] == ["order", "refund"]
        assert found.intents[0][1] == pytest.approx(0.9)
        assert [(one[0], one[1]) for one in found.entries] == [("wrap", "We wrap.")]
        assert found.versions == {"intents": 1, "faq": 1} and not found.failed
        assert not (await read(models, always=False)).entries
        # The columns of the next version have another order, and version 1 is gone at once.
        script.versions["intents"] = 2
        found = await read(models)
        assert [one for one, _ in found.intents] == ["refund", "order"]
        assert found.versions == {"intents": 2, "faq": 1}
        await models.close()

    with ScriptedServer(script) as server:
        asyncio.run(talk(server.address))


def test_a_model_that_is_gone_is_left_out_until_it_is_back() -> None:
    script = Server()

    async def talk(target: str) -> None:
        models = Models(target, "intents", "faq")
        await ready(models)
        script.versions["intents"] = 0
        found = await read(models)
        assert found.failed == ["intents"] and found.entries and not found.intents
        script.versions["intents"] = 1
        assert (await read(models)).failed == ["intents"]  # Until it is looked for again.
        await ready(models)
        assert not (await read(models)).failed
        await models.close()

    with ScriptedServer(script) as server:
        asyncio.run(talk(server.address))


def test_a_slow_model_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.3)
    script = Server()

    async def talk(target: str) -> None:
        models = Models(target, "intents", "faq")
        await ready(models)
        script.seconds = 30
        began = time.monotonic()
        found = await read(models)
        assert found == Reading(failed=["intents", "faq"])
        assert time.monotonic() - began < 2
        script.seconds = 0
        script.waiting.set()
        # Slowness is no absence: the next text is asked at once.
        assert not (await read(models)).failed
        await models.close()

    with ScriptedServer(script) as server:
        asyncio.run(talk(server.address))


def test_without_a_server_nothing_waits() -> None:
    async def talk() -> None:
        with silent_address() as target:
            models = Models(target, "intents", None)
            began = time.monotonic()
            assert (await read(models)).failed == ["intents"]
            assert time.monotonic() - began < 0.5
            assert models.intents is not None and not await models.intents.refresh()
            assert models.intents.failure is not None
            await models.close()

    asyncio.run(talk())
