"""REST server: aiohttp on an event loop in its own thread, requests in a thread pool.

The event loop handles headers, routes and bytes only. JSON, gzip and inference run in a pool of
`--rest_api_num_threads`, for which at most `--max_concurrent_requests` wait.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import grpc
from aiohttp import web

from serving.server import metrics
from serving.server.errors import RequestError, StartError, log_fault
from serving.server.flags import ServerFlags
from serving.server.request import RequestContext
from serving.server.rest.handlers import HttpReply, RestHandlers, build_error_response
from serving.server.rest.http_body import SMALL_RESPONSE_BYTES, BodyRejected, RequestBody, send
from serving.server.rest.json_responses import write_error
from serving.server.rest.monitoring import explain_readiness, read_metrics_path
from serving.server.rest.routes import Route, find_route
from serving.server.rpc.grpc_server import format_address
from serving.server.service import ServingService

logger = logging.getLogger(__name__)
# aiohttp's log of malformed HTTP: the client receives an error, which needs no log entry.
http_logger = logging.getLogger("serving.server.http")
http_logger.setLevel(logging.CRITICAL)

JSON = {"Content-Type": "application/json"}
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
NOT_FOUND = """<HTML><HEAD>
<TITLE>404 Not Found</TITLE>
</HEAD><BODY>
<H1>Not Found</H1>
</BODY></HTML>
"""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Timeout of idle connections and of incomplete headers.
IDLE_SECONDS = 75.0
# A run stops at its deadline; the event loop waits this much longer before it responds instead.
GRACE_SECONDS = 0.5
BACKLOG = 1024


class RestServer:
    """Server of the REST port.

    Args:
        service: Implementation of the RPCs.
        flags: Command line flags.
        stopping: Set when the server is stopping, and not ready.

    Raises:
        StartFailure: --monitoring_config_file is invalid.
    """

    def __init__(self, service: ServingService, flags: ServerFlags, stopping: threading.Event):
        self._service = service
        self._flags = flags
        self._stopping = stopping
        self._handlers = RestHandlers(service)
        self._metrics_path = read_metrics_path(flags.monitoring_config_file)
        self._headers = JSON | CORS if flags.rest_api_enable_cors_support else JSON
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy: set[web.RequestHandler] = set()
        self._slots = threading.Semaphore(
            flags.rest_api_num_threads + flags.max_concurrent_requests
        )

    @property
    def active_requests(self) -> int:
        """Number of connections with a request in progress."""
        return len(self._busy)

    def start(self) -> str:
        """Open the port; return the address, empty without --rest_api_port. Raises StartError."""
        if not self._flags.rest_api_port:
            if self._metrics_path:
                logger.warning("metrics need the REST port: set --rest_api_port")
            return ""
        listener = listen(self._flags.host, self._flags.rest_api_port)
        self._pool = ThreadPoolExecutor(self._flags.rest_api_num_threads, "rest")
        self._loop = loop = asyncio.new_event_loop()
        threading.Thread(target=run_loop, args=[loop], name="rest-loop", daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._open(listener), loop).result()
        return format_address(self._flags.host, listener.getsockname()[1])

    def stop(self, grace: float) -> Future[None]:
        """Accept no more requests and give running ones `grace` seconds.

        May be called without `start`.

        Returns:
            Future that is done when all connections are closed.
        """
        loop = self._loop
        if loop is None:
            nothing: Future[None] = Future()
            nothing.set_result(None)
            return nothing
        closed = asyncio.run_coroutine_threadsafe(self._close(grace), loop)
        closed.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
        return closed

    async def _open(self, listener: socket.socket) -> None:
        self._server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            logger=http_logger,
            auto_decompress=False,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=5.0,
        )
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, sock=listener, backlog=BACKLOG)

    async def _close(self, grace: float) -> None:
        self._listener.close()
        for connection in self._server.connections:
            if connection not in self._busy:
                connection.close()
        end = time.monotonic() + grace
        while self._busy and time.monotonic() < end:
            await asyncio.sleep(0.02)
        self._server.pre_shutdown()
        await self._server.shutdown(0.1)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        protocol = request.protocol
        self._busy.add(protocol)
        try:
            response = await self._respond(request)
            if self._stopping.is_set():
                response.force_close()
            if len(response.body or b"") > SMALL_RESPONSE_BYTES:  # type: ignore[arg-type]
                await send(request, response, self._service.pending)
            return response
        except ConnectionError:
            raise
        except Exception as error:
            log_fault(request.method, error)
            body = write_error("Internal server error")
            return web.Response(status=500, body=body, headers=self._headers)
        finally:
            self._busy.discard(protocol)

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        method, path = request.method, request.raw_path
        if not path.startswith("/"):
            path = request.rel_url.raw_path_qs
        bare = path.partition("?")[0]
        if bare == self._metrics_path:
            # Before the routes: the configured path may be below /v1/.
            loop = asyncio.get_running_loop()
            text = await loop.run_in_executor(None, metrics.exposition)
            return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE})
        if path[:4].lower() != "/v1/":
            if bare == "/healthz":
                return web.Response(text="ok\n")
            if bare == "/readyz" or bare.startswith("/readyz/"):
                reason = explain_readiness(self._service.manager, self._stopping.is_set(), bare)
                return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)
            return web.Response(text=NOT_FOUND, status=404, content_type="text/html")
        if method == "OPTIONS":
            origin = request.headers.get("Origin", "").lower()
            allowed = origin.startswith(("http://", "https://"))
            return web.Response(status=200 if allowed else 400, headers=self._headers)
        reply, complete = await self._answer(request, find_route(method, path))
        response = web.Response(status=reply.status, body=reply.body, headers=self._headers)
        if not complete:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, route: Route) -> tuple[HttpReply, bool]:
        """Return the response, and whether the request was read to its end."""
        cancelled: list[bool] = []
        limit = self._flags.rest_api_timeout_in_ms / 1000
        arrived = time.perf_counter()
        with RequestBody(request, self._service.pending, self._flags.max_request_bytes) as body:
            context = RequestContext("REST", route.api, None, lambda: bool(cancelled), arrived)
            if route.api:
                try:
                    await body.read()
                except BodyRejected as rejection:
                    return self._handlers.reject(
                        route, context, rejection.error, rejection.status
                    ), False
            context = RequestContext(
                "REST", route.api, time.monotonic() + limit, context.cancelled, arrived
            )
            gzipped = "gzip" in request.headers.get("Content-Encoding", "").lower()
            if not self._slots.acquire(blocking=False):
                return self._reject_overload(route, context), True
            work = self._pool.submit(self._handlers.answer, route, context, body.chunks, gzipped)
            work.add_done_callback(lambda _: self._slots.release())
            try:
                waiting = asyncio.wrap_future(work)
                return await asyncio.wait_for(waiting, limit + GRACE_SECONDS), True
            except asyncio.TimeoutError:
                error = RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            except asyncio.CancelledError:
                cancelled.append(True)
                if work.cancel():
                    # It was not started, and so is not counted elsewhere.
                    error = RequestError(grpc.StatusCode.CANCELLED, "Cancelled")
                    self._handlers.reject(route, context, error)
                raise
            if work.cancel():
                return self._handlers.reject(route, context, error), True
            # Its thread counts it when it ends.
            return build_error_response(error), True

    def _reject_overload(self, route: Route, context: RequestContext) -> HttpReply:
        details = (
            f"Too many requests: {self._flags.rest_api_num_threads} are running and "
            f"{self._flags.max_concurrent_requests} are waiting"
        )
        error = RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, details)
        return self._handlers.reject(route, context, error)


def run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Run the event loop until it is stopped, then close it."""
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises StartError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        return socket.create_server(
            address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both
        )
    except OSError as error:
        raise StartError(
            "The REST port cannot be bound.",
            f"{format_address(host, port)}: {error.strerror or error}",
            "choose another --rest_api_port or stop the process that uses it",
        ) from None
