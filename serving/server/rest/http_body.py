"""Request and response bodies, bounded in size, memory and transfer time."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

import grpc
from aiohttp import web

from serving.server.errors import RequestError, invalid_argument
from serving.server.request import PendingBytes

# A transfer may take this long, plus the time of its bytes at the lowest rate.
BASE_SECONDS = 30.0
MIN_BYTES_PER_SECOND = 64 * 1024
# Size that socket buffers hold without a wait for the client.
SMALL_RESPONSE_BYTES = 64 * 1024


class BodyRejected(Exception):
    """Body that was not read to its end: HTTP status of the response, and error to record."""

    def __init__(self, status: int, error: RequestError):
        super().__init__(error.details)
        self.status = status
        self.error = error


class RequestBody:
    """Body of a request; a `with` block in which its bytes count as pending."""

    def __init__(self, request: web.BaseRequest, pending: PendingBytes, limit: int):
        self._request = request
        self._pending = pending
        self._limit = limit
        self._taken = 0
        self.chunks: list[bytes] = []

    def __enter__(self) -> RequestBody:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # An abandoned request may still be queued: it must not keep the bytes.
        self.chunks.clear()
        self._pending.release(self._taken)

    async def read(self) -> None:
        """Read the whole body; raises BodyRejected."""
        request, content = self._request, self._request.content
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (request.content_length or 0) > self._limit:
            self._reject_size()
        started, received = time.monotonic(), 0
        try:
            if content.is_eof():
                # Small bodies arrive together with the headers.
                self._take(content.read_nowait(-1))
                return
            while not content.at_eof():
                allowed = BASE_SECONDS + received / MIN_BYTES_PER_SECOND
                left = started + allowed - time.monotonic()
                chunk = await asyncio.wait_for(content.readany(), max(0.0, left))
                received += len(chunk)
                if received > self._limit:
                    self._reject_size()
                self._take(chunk)
        except asyncio.TimeoutError:
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            raise BodyRejected(
                408, RequestError(code, "The request body was sent too slowly")
            ) from None
        except web.RequestPayloadError as error:
            details = f"The request body is malformed: {error}"
            raise BodyRejected(400, invalid_argument(details)) from None

    def _take(self, chunk: bytes) -> None:
        try:
            self._pending.admit(len(chunk))
        except RequestError as error:
            raise BodyRejected(429, error) from None
        self._taken += len(chunk)
        self.chunks.append(chunk)

    def _reject_size(self) -> None:
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
        details = f"The request body is larger than {self._limit} bytes"
        raise BodyRejected(413, RequestError(code, details))


async def send(request: web.BaseRequest, response: web.Response, pending: PendingBytes) -> None:
    """Send a large response; aborts the connection of a slow reader."""
    size = len(response.body)  # type: ignore[arg-type]
    pending.add(size)
    try:
        await response.prepare(request)
        allowed = BASE_SECONDS + size / MIN_BYTES_PER_SECOND
        await asyncio.wait_for(response.write_eof(), allowed)
    except asyncio.TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client did not read the response") from None
    finally:
        pending.release(size)
