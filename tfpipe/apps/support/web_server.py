"""The listening socket, free of connections that send nothing."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from tfpipe.errors import UserError

# Seconds within which a new connection must have sent the head of its first request; aiohttp
# closes those that send no further one.
HEAD_SECONDS = 10.0


@asynccontextmanager
async def listen(app: web.Application, host: str, port: int) -> AsyncIterator[asyncio.Server]:
    """Bind a port for an application; yields the server, which accepts once it is started.

    Raises:
        UserError: The port cannot be bound.
    """
    # Every waiting browser takes a file.
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop, silent = asyncio.get_running_loop(), set()

    @web.middleware
    async def note_request(request: web.Request, handler: Any) -> web.StreamResponse:
        silent.discard(request.protocol)
        return await handler(request)

    app.middlewares.insert(0, note_request)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=3)
    await runner.setup()
    assert runner.server is not None
    connect = runner.server

    def close_silent(connection: web.RequestHandler) -> None:
        if connection in silent:
            silent.discard(connection)
            connection.force_close()

    def connection() -> web.RequestHandler:
        made = connect()
        silent.add(made)
        loop.call_later(HEAD_SECONDS, close_silent, made)
        return made

    try:
        server = await loop.create_server(connection, host, port, start_serving=False)
    except OSError as error:
        await runner.cleanup()
        raise UserError(
            "the port cannot be bound",
            f"--host {host} --port {port}: {error.strerror or error}",
            "choose another --port, or stop the program that uses it",
        ) from None
    try:
        yield server
    finally:
        server.close()
        await runner.cleanup()
