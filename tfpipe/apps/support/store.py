"""Conversations in SQLite: every turn once, masked, in a write-ahead log."""

from __future__ import annotations

import asyncio
import datetime
import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tfpipe.apps.support.masking import mask
from tfpipe.errors import UserError
from tfpipe.io.atomic import remove_files

T = TypeVar("T")
SCHEMA_VERSION = 1
LEAST_FREE_BYTES = 16 * 2**20
# States of a conversation: the bot answers, a person is waited for, a person answers.
BOT, WAITING, AGENT = "bot", "waiting", "agent"
SCHEMA = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY, created REAL NOT NULL, language TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT, waiting_since REAL, agent TEXT);
CREATE INDEX conversations_by_state ON conversations (state, waiting_since);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY, conversation TEXT NOT NULL REFERENCES conversations (id),
    at REAL NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL, key TEXT, reply_to INTEGER,
    kind TEXT, intent TEXT, score REAL, chosen TEXT, milliseconds REAL, details TEXT,
    UNIQUE (conversation, key), UNIQUE (reply_to));
CREATE INDEX turns_by_conversation ON turns (conversation, id);
CREATE INDEX turns_by_time ON turns (at);
"""
KINDS = ("answer", "clarify", "retrieved", "handover")


class Store:
    """The database of one application, used by one thread of its own.

    Args:
        path: The file; made where there is none.

    Raises:
        UserError: The file is no database of this version, or cannot be written.
    """

    def __init__(self, path: Path):
        self.path = path
        self._thread = ThreadPoolExecutor(1, "database")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(path.parent).free
            if free < LEAST_FREE_BYTES:
                raise UserError(
                    "there is too little space for conversations",
                    f"{path.parent}: {free // 2**20} MB are free",
                    "free disk space, or name another --data-dir",
                )
            self._database = self._thread.submit(_open, path).result()
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                "the conversations cannot be kept",
                f"{path}: {error}",
                "name a folder that you may write with --data-dir, on a disk with free space",
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._thread.submit(self._database.close).result()
        self._thread.shutdown()

    def run_now(self, work: Callable[..., T], *arguments: Any) -> T:
        """Call a method in the database's thread and wait for it; for use outside of asyncio."""
        return self._thread.submit(work, *arguments).result()

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Call a method in the database's thread, within one transaction.

        Raises:
            sqlite3.Error: The disk is full or broken; nothing is written then.
        """

        def transaction() -> T:
            with self._database:
                return work(*arguments)

        # Shielded: a browser that goes away does not stop what is being written.
        return await asyncio.shield(
            asyncio.get_running_loop().run_in_executor(self._thread, transaction)
        )

    # ---- conversations
    def start(self, language: str) -> str:
        """Begin a conversation; returns its id, which only its visitor knows."""
        name = secrets.token_urlsafe(16)
        self._database.execute(
            "INSERT INTO conversations VALUES (?, ?, ?, ?, NULL, NULL, NULL)",
            (name, time.time(), language, BOT),
        )
        return name

    def conversation(self, name: str) -> dict[str, Any] | None:
        """Return a conversation's own fields; None where there is none of that id."""
        row = self._database.execute("SELECT * FROM conversations WHERE id = ?", (name,)).fetchone()
        return dict(row) if row else None

    def set_state(
        self, name: str, state: str, reason: str | None = None, agent: str | None = None
    ) -> None:
        """Change the state of a conversation; one that waits already keeps its place."""
        self._database.execute(
            "UPDATE conversations SET state = ?, reason = coalesce(?, reason), agent = ?,"
            " waiting_since = CASE WHEN ? = 'bot' THEN NULL ELSE coalesce(waiting_since, ?) END"
            " WHERE id = ?",
            (state, reason, agent, state, time.time(), name),
        )

    def queue(self) -> list[dict[str, Any]]:
        """Return conversations that wait or are with a person, the longest waiting first."""
        rows = self._database.execute(
            "SELECT id, state, reason, waiting_since, agent, language, (SELECT text FROM turns"
            " WHERE conversation = conversations.id AND author = 'visitor'"
            " ORDER BY id DESC LIMIT 1) AS last FROM conversations"
            " WHERE state != 'bot' ORDER BY waiting_since LIMIT 200"
        )
        return [dict(row) for row in rows]

    # ---- turns
    def add_turn(
        self, name: str, author: str, text: str, key: str | None = None, kind: str | None = None
    ) -> int:
        """Keep a person's text, masked.

        Args:
            name: The conversation.
            author: `visitor` or `agent`.
            text: The text as written.
            key: The sender's own name of it; a second text of that name is the first, sent again.
            kind: `choice` for the title of a choice, which is not the visitor's own text.

        Returns:
            The turn.
        """
        found = self._database.execute(
            "SELECT id FROM turns WHERE conversation = ? AND key = ? AND key IS NOT NULL",
            (name, key),
        ).fetchone()
        if found:
            return int(found["id"])
        cursor = self._database.execute(
            "INSERT INTO turns (conversation, at, author, text, key, kind)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (name, time.time(), author, mask(text), key, kind),
        )
        return int(cursor.lastrowid or 0)

    def add_reply(self, name: str, turn: int, reply: dict[str, Any], milliseconds: float) -> int:
        """Keep the bot's reply to a turn; returns its own turn."""
        details = {k: reply.get(k) for k in ("options", "sources", "why", "reason")}
        cursor = self._database.execute(
            "INSERT INTO turns (conversation, at, author, text, reply_to, kind, intent, score,"
            " milliseconds, details) VALUES (?, ?, 'bot', ?, ?, ?, ?, ?, ?, ?)",
            (
                *(name, time.time(), reply["text"], turn, reply["kind"]),
                *(reply["intent"], reply["score"], milliseconds),
                json.dumps(details, ensure_ascii=False),
            ),
        )
        return int(cursor.lastrowid or 0)

    def reply_to(self, turn: int) -> dict[str, Any] | None:
        """Return the reply that a turn has got."""
        found = self._rows("WHERE reply_to = ?", (turn,))
        return found[0] if found else None

    def turns(self, name: str, after: int = 0) -> list[dict[str, Any]]:
        """Return the turns of a conversation behind a turn, in order."""
        return self._rows("WHERE conversation = ? AND id > ? ORDER BY id", (name, after))

    def choose(self, turn: int, intent: str) -> None:
        """Keep which of two intents a text meant, "" for neither; the first choice counts."""
        self._database.execute(
            "UPDATE turns SET chosen = ? WHERE id = ? AND chosen IS NULL", (intent, turn)
        )

    def figures(self) -> dict[str, Any]:
        """Return the counts of today's replies by kind and the times that they took."""
        midnight = datetime.datetime.combine(datetime.date.today(), datetime.time())
        rows = self._database.execute(
            "SELECT kind, milliseconds FROM turns WHERE at >= ? AND author = 'bot'",
            (midnight.timestamp(),),
        ).fetchall()
        took = sorted(row["milliseconds"] for row in rows)
        counts = {kind: sum(row["kind"] == kind for row in rows) for kind in KINDS}
        return {**counts, "p50": _percentile(took, 0.5), "p95": _percentile(took, 0.95)}

    def questions(self) -> list[dict[str, Any]]:
        """Return the replies to what visitors wrote, each with its `question`, in order."""
        rows = self._database.execute(
            "SELECT turns.*, asked.text AS question FROM turns JOIN turns AS asked"
            " ON turns.reply_to = asked.id WHERE asked.kind IS NULL ORDER BY turns.id"
        )
        return [_with_details(row) for row in rows]

    def _rows(self, condition: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        rows = self._database.execute(f"SELECT * FROM turns {condition}", values)
        return [_with_details(row) for row in rows]


def _with_details(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), **json.loads(row["details"] or "{}")}


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, or make it whole or not at all; raises UserError and sqlite3.Error."""
    is_new = not path.exists()
    database = sqlite3.connect(path, isolation_level=None)
    database.row_factory = sqlite3.Row
    try:
        found = database.execute("PRAGMA user_version").fetchone()[0]
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if found != SCHEMA_VERSION and (found or tables):
            raise UserError(
                "the database of conversations is of another version",
                f"{path}: version {found}; this program reads {SCHEMA_VERSION}",
                "name another --data-dir, or use the program that wrote it",
            )
        database.execute("PRAGMA journal_mode = WAL")
        # What is committed survives the process's end; a power failure may cost the last turns.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        if not found:
            database.executescript(
                f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
    except BaseException:
        database.close()
        if is_new:
            remove_files(path.parent.glob(f"{path.name}*"))
        raise
    # From here on a transaction is begun by the first change and ended by `with`.
    database.isolation_level = "DEFERRED"
    return database


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[int(share * (len(ordered) - 1))], 1) if ordered else None
