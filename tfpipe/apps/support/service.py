"""Turns of conversations: what is asked, decided and kept, each once and in order."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Sequence
from typing import Any

from tfpipe.apps.support.answers import Answers, language_of
from tfpipe.apps.support.decision import (
    ASKED,
    UNAVAILABLE,
    Reading,
    Settings,
    answer_of,
    decide,
    needs_entries,
)
from tfpipe.apps.support.models import Models
from tfpipe.apps.support.store import AGENT, BOT, WAITING, Store

FIELDS = ("kind", "text", "intent", "score", "options", "sources", "why")
# The reply while a person is waited for, or answers.
SILENT = {"kind": "handover", "text": "", "options": [], "sources": []}


class UnknownConversation(Exception):
    """There is no conversation of that id."""


class Service:
    """Conversations between visitors, the bot and agents.

    Args:
        store: Where they are kept.
        models: The models.
        answers: The company's answers.
        settings: The limits on scores.
    """

    def __init__(self, store: Store, models: Models, answers: Answers, settings: Settings):
        self.store, self.models = store, models
        self.answers, self.settings = answers, settings
        # One turn of a conversation at a time; forgotten when no request uses it.
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def conversation(self, name: str) -> dict[str, Any]:
        """Return a conversation's own fields; raises UnknownConversation."""
        found = await self.store.run(self.store.conversation, name)
        if found is None:
            raise UnknownConversation(name)
        return found

    async def say(self, name: str, text: str, key: str | None) -> dict[str, Any]:
        """Keep what a visitor writes and return the reply, of the HTTP interface.

        Args:
            name: The conversation.
            text: The visitor's text.
            key: The browser's name of the text: sent again, it gets the same reply.
        """
        async with self._lock(name):
            began = time.perf_counter()
            found, turn, reply = await self.store.run(self._hear, name, text, key)
            if reply is not None:
                return _public(reply)
            # Waiting only for a model: the bot may answer once it is back, and the person stays.
            paused = found["state"] == WAITING and found["reason"] == UNAVAILABLE
            if found["state"] != BOT and not paused:
                return _public({**SILENT, "turn": turn})
            language = language_of(text, found["language"])
            reading = await self.models.read(
                text, lambda one: needs_entries(one, self.settings, self.answers)
            )
            reply = decide(reading, self.settings, self.answers, language)
            return await self._reply(name, turn, reply, began)

    def _hear(
        self, name: str, text: str, key: str | None
    ) -> tuple[dict[str, Any], int, dict[str, Any] | None]:
        """Keep a visitor's text; returns its conversation, turn, and the reply where it has one."""
        found = self.store.conversation(name)
        if found is None:
            raise UnknownConversation(name)
        turn = self.store.add_turn(name, "visitor", text, key)
        return found, turn, self.store.reply_to(turn)

    async def choose(self, name: str, turn: int, intent: str) -> dict[str, Any] | None:
        """Take a visitor's choice of two intents, "" for neither.

        Returns:
            The reply; None where that turn asked nothing, or not this.
        """
        async with self._lock(name):
            began = time.perf_counter()
            found = await self.conversation(name)
            turns = {one["id"]: one for one in await self.store.run(self.store.turns, name)}
            asked = turns.get(turn, {})
            titles = {one["intent"]: one["title"] for one in asked.get("options") or ()}
            if not titles or (intent and intent not in titles) or found["state"] == AGENT:
                return None
            language = language_of(asked["text"], found["language"])
            title = titles.get(intent) or self.answers.phrase("neither", language)
            reading = Reading()
            if not intent:
                # The entries of the index are left; of the question its masked form is kept.
                question = turns[asked["reply_to"]]["text"]
                reading = await self.models.read(question, lambda _: True)
                reading.intents.clear()
            reply = decide(reading, self.settings, self.answers, language)
            if intent:
                reply |= {"why": None, **answer_of(intent, self.answers, language)}

            def keep() -> tuple[int, dict[str, Any] | None]:
                self.store.choose(turn, intent)
                said = self.store.add_turn(name, "visitor", title, f"choice {turn}", "choice")
                return said, self.store.reply_to(said)

            said, before = await self.store.run(keep)
            return _public(before) if before else await self._reply(name, said, reply, began)

    async def call_person(self, name: str) -> dict[str, Any]:
        """Hand a conversation over because its visitor asks for it."""
        async with self._lock(name):
            found = await self.conversation(name)
            if found["state"] != BOT:
                return _public(SILENT)
            began, language = time.perf_counter(), found["language"]
            text = self.answers.phrase("person", language)
            said = await self.store.run(self.store.add_turn, name, "visitor", text, None, "choice")
            reply = decide(Reading(), self.settings, self.answers, language)
            return await self._reply(name, said, {**reply, "reason": ASKED, "why": None}, began)

    async def _reply(
        self, name: str, turn: int, reply: dict[str, Any], began: float
    ) -> dict[str, Any]:
        """Keep the bot's reply, and hand over where it says so, in one transaction."""

        def keep() -> int:
            milliseconds = 1000 * (time.perf_counter() - began)
            if reply["kind"] == "handover":
                self.store.set_state(name, WAITING, reply["reason"])
            return self.store.add_reply(name, turn, reply, milliseconds)

        return _public({**reply, "turn": await self.store.run(keep)})

    async def transcript(self, name: str, after: int = 0) -> dict[str, Any]:
        """Return a conversation's state, and its turns behind a turn."""
        found = await self.conversation(name)
        turns = [
            {
                **{key: turn[key] for key in ("at", "author", "text", "kind", "intent", "score")},
                **{key: turn.get(key) for key in ("options", "sources", "why", "reason", "chosen")},
                "turn": turn["id"],
            }
            for turn in await self.store.run(self.store.turns, name, after)
        ]
        return {key: found[key] for key in ("id", "state", "reason", "agent")} | {"turns": turns}

    # ---- agents
    async def take(self, name: str, agent: str) -> bool:
        """Let an agent answer a conversation; False where another one does."""
        async with self._lock(name):
            found = await self.conversation(name)
            if found["state"] == AGENT and found["agent"] != agent:
                return False
            await self.store.run(self.store.set_state, name, AGENT, None, agent)
            return True

    async def answer(self, name: str, text: str, key: str | None) -> bool:
        """Keep an agent's answer; False where no agent has taken the conversation."""
        async with self._lock(name):
            if (await self.conversation(name))["state"] != AGENT:
                return False
            await self.store.run(self.store.add_turn, name, "agent", text, key)
            return True

    async def give_back(self, name: str, states: Sequence[str] = (WAITING, AGENT)) -> bool:
        """Let the bot answer again; False where the conversation is in none of these states."""
        async with self._lock(name):
            if (await self.conversation(name))["state"] not in states:
                return False
            await self.store.run(self.store.set_state, name, BOT)
            return True


def _public(reply: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the HTTP interface; of a reply that is kept its id is the turn."""
    return {
        **{name: reply.get(name) for name in FIELDS},
        "turn": reply.get("turn", reply.get("id")),
    }
