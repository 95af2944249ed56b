"""A web endpoint in front of a served classifier: one AsyncClient for all requests.

    pip install fastapi uvicorn
    uvicorn examples.fastapi_app:app --port 8080
    curl -X POST localhost:8080/classify -H 'Content-Type: application/json' \
        -d '{"texts": ["Where is my parcel?"]}'

Environment variables: TARGET (localhost:8500) and MODEL (support).
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from serving.client import (
    AsyncClient,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerOverloaded,
    ServerUnavailable,
)

logger = logging.getLogger("uvicorn.error")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client when the app starts, close it when the app ends."""
    target = os.environ.get("TARGET", "localhost:8500")
    model = os.environ.get("MODEL", "support")
    async with AsyncClient(target, model=model, timeout=5) as client:
        app.state.client = client
        yield


app = FastAPI(title="Classify texts", lifespan=lifespan)


class Texts(BaseModel):
    """Body of a request."""

    texts: Annotated[list[Annotated[str, Field(max_length=10_000)]], Field(max_length=256)]


class Answer(BaseModel):
    """Answer to one text."""

    label: str
    score: float


@app.post("/classify")
async def classify(texts: Texts, request: Request) -> list[Answer]:
    """Classify texts; one answer for each, in order."""
    answers = await request.app.state.client.classify(texts.texts)
    return [Answer(label=answer.label, score=answer.score) for answer in answers]


@app.get("/ready")
async def ready(request: Request) -> dict[str, bool]:
    """Return whether the model answers; an error status if it does not."""
    await request.app.state.client.metadata(timeout=1)
    return {"ready": True}


@app.exception_handler(ClientError)
async def respond(request: Request, error: ClientError) -> JSONResponse:
    """Respond with the HTTP status of a failure; details such as addresses are only logged."""
    status, reason = choose_status(error)
    if status != 400:
        logger.warning("%s %s: %s", request.method, request.url.path, error)
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    return JSONResponse({"detail": reason}, status, headers)


def choose_status(error: ClientError) -> tuple[int, str]:
    """Return (HTTP status, reason) of an error; subclasses are checked before their base."""
    if isinstance(error, InvalidRequest) and error.code is None:
        # Rejected by the client itself: a text that cannot be sent.
        return 400, str(error)
    if isinstance(error, ServerOverloaded):
        return 429, "too many requests at once"
    if isinstance(error, (ServerUnavailable, ModelNotFound)):
        # TensorFlow Serving also calls a model that is still loading "not found".
        return 503, "the model is not available yet"
    if isinstance(error, DeadlineExceeded):
        return 504, "the model did not answer in time"
    # The model server failed, or this app does not fit its model.
    return 502, "the model could not answer"
