"""The HTTP interface of the application: routes, bounds, and headers."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from tfpipe.apps.support.answers import LANGUAGES
from tfpipe.apps.support.models import Models
from tfpipe.apps.support.rate_limit import RateLimit
from tfpipe.apps.support.service import Service, UnknownConversation
from tfpipe.apps.support.store import WAITING
from tfpipe.config import SupportConfig

logger = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
FILES = {
    "/": "page.html",
    "/agent": "agent.html",
    **{f"/{name}": name for name in ("page.css", "page.js", "words.json", "embed.js")},
}
BODY_BYTES, BODY_SECONDS = 16_384, 5.0
TEXT_CHARACTERS, KEY_CHARACTERS, NAME_CHARACTERS = 2_000, 64, 40
LOOPBACK = ("127.0.0.1", "::1")
ADDRESS_PER_SECOND, ADDRESS_BURST, VISITOR_BURST = 20.0, 60, 20
# Nothing is loaded from elsewhere and nothing in a text can run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors"
)
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The routes of one application.

    Args:
        service: The conversations.
        models: The models, for their state.
        config: What visitors may do and see.
        agent_key: The word by which agents are known.
    """

    def __init__(self, service: Service, models: Models, config: SupportConfig, agent_key: str):
        self.service, self.models, self.config = service, models, config
        self._agent_key = agent_key.encode()
        self._visitors = RateLimit(config.per_minute / 60, VISITOR_BURST)
        self._addresses = RateLimit(ADDRESS_PER_SECOND, ADDRESS_BURST)

    def application(self) -> web.Application:
        """Build the web application."""
        app = web.Application(
            middlewares=[self._answer_errors, self._limit_addresses], client_max_size=BODY_BYTES
        )
        one, agents = "/api/conversations/{name}", "/api/agent/conversations/{name}"
        app.add_routes(
            [
                *(web.get(path, self._file) for path in FILES),
                web.get("/healthz", self._health),
                web.get("/api/figures", self._figures),
                web.post("/api/conversations", self._start),
                web.get(one, self._transcript),
                web.post(one + "/{action:messages|choices|handover|resume}", self._visitor),
                web.get("/api/agent/queue", self._queue),
                web.get(agents, self._transcript),
                web.post(agents + "/{action:take|messages|return}", self._agent),
            ]
        )
        return app

    # ---- before and after each request
    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            headers = {k: v for k, v in error.headers.items() if k in ("Retry-After", "Allow")}
            response = _json({"error": error.text or error.reason}, error.status, headers)
        except UnknownConversation:
            response = _json({"error": "there is no such conversation"}, 404)
        except sqlite3.Error as error:
            logger.error("the database cannot be used: %s", error)
            reason = {"error": "the conversation cannot be kept now"}
            response = _json(reason, 503, {"Retry-After": "5"})
        response.headers.update(HEADERS)
        return response

    @web.middleware
    async def _limit_addresses(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/api/agent/"):
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._agent_key):
                self._allow(self._addresses, f"key {request.remote}")
                raise web.HTTPUnauthorized(text="the agent's key is wrong")
            return await handler(request)
        address = request.remote or ""
        if self.config.trust_proxy:
            address = request.headers.get("X-Forwarded-For", address).rpartition(",")[2].strip()
        # One address of a proxy on this machine may stand for many visitors.
        if address not in LOOPBACK:
            self._allow(self._addresses, address)
        return await handler(request)

    def _allow(self, limit: RateLimit, visitor: str) -> None:
        if seconds := limit.wait_for(visitor):
            raise web.HTTPTooManyRequests(
                text="too many messages; wait a moment",
                headers={"Retry-After": str(int(seconds) + 1)},
            )

    # ---- visitors
    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = FILES[request.path]
        framed = "*" if name == "page.html" else "'none'"
        headers = {"Content-Security-Policy": f"{POLICY} {framed}", "Cache-Control": "no-cache"}
        return web.FileResponse(STATIC / name, headers=headers)

    async def _health(self, _: web.Request) -> web.Response:
        queue = await self.service.store.run(self.service.store.queue)
        models = {
            model.name: {"version": model.version.number}
            if model.version
            else {"version": None, "failure": str(model.failure or "not asked yet")[:200]}
            for model in self.models.all
        }
        ready = all(model.version for model in self.models.all)
        return _json(
            {"status": "ok" if ready else "degraded", "models": models, "queue": len(queue)}
        )

    async def _figures(self, _: web.Request) -> web.Response:
        if not self.config.show_why:
            raise web.HTTPNotFound
        return _json(await self.service.store.run(self.service.store.figures))

    async def _start(self, request: web.Request) -> web.Response:
        body = await _body(request)
        language = str(body.get("language", "en"))[:2]
        if language not in LANGUAGES:
            raise web.HTTPBadRequest(text=f"language is one of {', '.join(LANGUAGES)}")
        name = await self.service.store.run(self.service.store.start, language)
        return _json({"id": name})

    async def _transcript(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not after.isdecimal() or len(after) > 15:
            raise web.HTTPBadRequest(text="after is the number of a turn")
        found = await self.service.transcript(request.match_info["name"], int(after))
        found["turns"] = [self._shown(turn) for turn in found["turns"]]
        return _json(found)

    async def _visitor(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await _body(request)
        self._allow(self._visitors, name)
        match request.match_info["action"]:
            case "messages":
                done: Any = await self.service.say(name, _text(body, "text"), _key(body))
            case "choices":
                turn, intent = body.get("turn"), body.get("intent") or ""
                if not isinstance(turn, int) or not isinstance(intent, str):
                    raise web.HTTPBadRequest(text="give turn, a number, and intent, a text or null")
                done = await self.service.choose(name, turn, intent)
            case "handover":
                done = await self.service.call_person(name)
            case _:
                done = await self.service.give_back(name, (WAITING,))
        return _done(self._shown(done) if isinstance(done, dict) else done)

    def _shown(self, reply: dict[str, Any]) -> dict[str, Any]:
        return reply if self.config.show_why else {k: v for k, v in reply.items() if k != "why"}

    # ---- agents
    async def _queue(self, _: web.Request) -> web.Response:
        store = self.service.store
        queue, figures = await store.run(store.queue), await store.run(store.figures)
        return _json({"conversations": queue, "figures": figures})

    async def _agent(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await _body(request)
        match request.match_info["action"]:
            case "take":
                agent = _text(body, "agent", NAME_CHARACTERS)
                done = await self.service.take(name, agent)
            case "messages":
                done = await self.service.answer(name, _text(body, "text"), _key(body))
            case _:
                done = await self.service.give_back(name)
        return _done(done)


async def _body(request: web.Request) -> dict[str, Any]:
    """Read a request's JSON object within a time limit; {} of no content."""
    try:
        content = await asyncio.wait_for(request.read(), BODY_SECONDS)
        body = json.loads(content or b"{}")
    except asyncio.TimeoutError:
        raise web.HTTPRequestTimeout(text="the request came too slowly") from None
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body is not a JSON object")
    return body


def _text(body: dict[str, Any], name: str, most: int = TEXT_CHARACTERS) -> str:
    """Return a text of the body without blanks around it, and without what SQLite cannot keep."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise web.HTTPBadRequest(text=f"{name} is missing")
    text = value.encode("utf-8", "replace").decode().replace("\0", "").strip()
    if len(text) > most:
        reason = f"{name} is too long: {most} characters are the most"
        raise web.HTTPRequestEntityTooLarge(most, len(text), text=reason)
    return text


def _key(body: dict[str, Any]) -> str | None:
    """Return the browser's own name of a message, where it gives one."""
    key = body.get("key")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= KEY_CHARACTERS):
        raise web.HTTPBadRequest(text=f"key is a text of up to {KEY_CHARACTERS} characters")
    return key


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return web.json_response(body, status=status, headers=headers)


def _done(done: Any) -> web.Response:
    """Respond with what was done; None and False are conflicts with the conversation's state."""
    if not done:
        raise web.HTTPConflict(text="the conversation is not in a state for this")
    return _json({"done": True} if done is True else done)
