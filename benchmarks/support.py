"""The customer-service application through HTTP: answers, added time, a killed model server.

    python benchmarks/support.py INTENTS ANSWERS DATA.tsv --data-dir DIR [--conversations 1000]

INTENTS is the folder of an exported classifier, ANSWERS the table of its answers, DATA.tsv a
labelled file (text, label; labels without an answer count as out of scope), DIR has the limits of
`python -m tfpipe.apps.support tune`. Prints what is answered, asked back and handed over; the time
that the application adds to the model's, as the median over pairs of requests asked in turn; and,
of conversations of three turns at 20 a second with the model server killed in the middle, the
longest time and the turns lost or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp

from serving.client import AsyncClient
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples

PER_SECOND, TURNS, PAIRS = 20, 3, 200


class Application:
    """The application in a process of its own, with a fresh database."""

    def __init__(self, intents: str, answers: str, settings: Path):
        self.folder = Path(tempfile.mkdtemp(prefix="support-"))
        shutil.copy(settings / "settings.json", self.folder)
        command = [sys.executable, "-m", "tfpipe.apps.support", "--intents", intents]
        command += ["--answers", answers, "--data-dir", str(self.folder), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[2].rstrip(",")

    def server(self) -> int:
        """Process of the model server."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def target(self) -> str:
        """Address of the model server."""
        words = Path(f"/proc/{self.server()}/cmdline").read_text().split("\0")
        return f"127.0.0.1:{next(w for w in words if w.startswith('--port=')).partition('=')[2]}"

    def stop(self) -> None:
        """Stop it and remove its database."""
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


async def start(session: aiohttp.ClientSession) -> str:
    """Begin a conversation; returns its path."""
    async with session.post("/api/conversations") as response:
        return f"/api/conversations/{(await response.json())['id']}"


async def say(session: aiohttp.ClientSession, path: str, text: str, key: str = "k") -> Any:
    """Send a message and return the reply, with its seconds."""
    began = time.perf_counter()
    async with session.post(f"{path}/messages", json={"text": text, "key": key}) as response:
        reply = await response.json()
        assert response.status == 200, reply
    return reply | {"seconds": time.perf_counter() - began}


async def ask_all(session: aiohttp.ClientSession, texts: list[str]) -> list[Any]:
    """Replies to texts, each the first one of its conversation, eight at a time."""
    free = asyncio.Semaphore(8)

    async def one(text: str) -> Any:
        async with free:
            return await say(session, await start(session), text)

    return await asyncio.gather(*map(one, texts))


def print_answers(replies: list[Any], labels: list[str], known: set[str]) -> None:
    """Print the shares of right answers, out-of-scope texts, and right choices of two."""
    pairs = list(zip(replies, labels, strict=True))
    inside = [(r, label) for r, label in pairs if label in known]
    answered = [r["intent"] == label for r, label in inside if r["kind"] == "answer"]
    others = [r["kind"] != "answer" for r, label in pairs if label not in known]
    choices = [
        label in [one["intent"] for one in r["options"]]
        for r, label in pairs
        if r["kind"] == "clarify"
    ]
    print("replies", dict(Counter(r["kind"] for r in replies)))
    print(f"in scope: answered {len(answered) / len(inside):.3f} of {len(inside)}")
    print(f"  of these right {statistics.mean(answered):.4f} (bar 0.96)")
    if others:
        print(
            f"out of scope: not answered {statistics.mean(others):.3f} of {len(others)} (bar 0.60)"
        )
    if choices:
        right = statistics.mean(choices)
        print(f"choices of two: {len(choices)}, with the right one {right:.3f} (bar 0.60)")


async def print_added(
    session: aiohttp.ClientSession, target: str, name: str, texts: list[str]
) -> None:
    """Print the time that the application adds to the model's, over pairs asked in turn."""
    added, alone = [], []
    async with AsyncClient(target, model=name) as client:
        for text in texts[:PAIRS]:
            path = await start(session)
            began = time.perf_counter()
            await client.classify([text])
            alone.append(time.perf_counter() - began)
            added.append((await say(session, path, text))["seconds"] - alone[-1])
    print(f"model alone {1000 * statistics.median(alone):.1f} ms (median of {len(alone)})")
    print(f"added by the application {1000 * statistics.median(added):.2f} ms (bar 5)")


async def converse(
    session: aiohttp.ClientSession, number: int, texts: list[str]
) -> tuple[str, list[Any]]:
    """One scripted conversation; returns its id and replies."""
    path = await start(session)
    replies = []
    for turn in range(TURNS):
        text = texts[(number * TURNS + turn) % len(texts)]
        replies.append(await say(session, path, text, f"{turn}"))
        await asyncio.sleep(0.2)
    return path.rpartition("/")[2], replies


async def print_kill(
    session: aiohttp.ClientSession, app: Application, texts: list[str], count: int
) -> None:
    """Print what a killed model server does to conversations that go on meanwhile."""
    tasks = []
    began, killed = time.perf_counter(), 0.0
    for number in range(count):
        if number == count // 2:
            os.kill(app.server(), signal.SIGKILL)
            killed = time.perf_counter()
        await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.perf_counter()))
        tasks.append(asyncio.create_task(converse(session, number, texts)))
    done = await asyncio.gather(*tasks)
    while (await say(session, await start(session), texts[0]))["kind"] != "answer":
        await asyncio.sleep(0.5)
    print(f"the first text is answered again {time.perf_counter() - killed:.0f} s after the kill")
    print_turns(app, done)


def print_turns(app: Application, done: list[tuple[str, list[Any]]]) -> None:
    """Print the times of all turns, and whether each is in the database once."""
    seconds = [reply["seconds"] for _, replies in done for reply in replies]
    database = sqlite3.connect(app.folder / "conversations.sqlite")
    rows = database.execute("SELECT conversation, author, count(*) FROM turns GROUP BY 1, 2")
    counted = {(name, author): n for name, author, n in rows}
    lost = sum(counted.get((name, "visitor"), 0) != TURNS for name, _ in done)
    # While a person is waited for, the bot is silent and nothing is kept of it.
    wrong = sum(
        counted.get((name, "bot"), 0) != sum(r["text"] != "" for r in replies)
        for name, replies in done
    )
    print(f"{len(done)} conversations of {TURNS} turns, {PER_SECOND} a second")
    print("  replies", dict(Counter(r["kind"] for _, replies in done for r in replies)))
    print(f"  longest {max(seconds):.2f} s (bar 3), median {statistics.median(seconds):.3f} s")
    print(f"  with turns lost or doubled: {lost} of visitors, {wrong} of the bot (bar 0)")


async def main() -> None:
    """Run the three measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("intents")
    parser.add_argument("answers")
    parser.add_argument("data")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--conversations", type=int, default=1000)
    args = parser.parse_args()
    examples = read_examples(args.data, Columns())
    texts, labels = list(examples.texts), list(examples.labels or [])
    known = {line.split("\t")[0] for line in Path(args.answers).read_text().splitlines()[1:]}
    app = Application(args.intents, args.answers, args.data_dir)
    try:
        connections = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(app.url, connector=connections) as session:
            print_answers(await ask_all(session, texts), labels, known)
            await print_added(session, app.target(), Path(args.intents).name, texts)
            await print_kill(session, app, texts, args.conversations)
    finally:
        app.stop()


if __name__ == "__main__":
    asyncio.run(main())
