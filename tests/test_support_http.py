"""The HTTP interface of the customer-service application, over scripted models."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from tests.support.customer_service import KEY, ScriptedModels, application, say, start
from tfpipe.apps.support import http_api, web_server

AGENT = {"Authorization": f"Bearer {KEY}"}


def test_a_sure_intent_is_answered(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            path = await start(client)
            reply = await say(client, path, "refund?")
            assert (reply["kind"], reply["text"]) == ("answer", "In 5 days.")
            assert (reply["intent"], reply["score"]) == ("refund", 0.9)
            assert reply["options"] == reply["sources"] == []
            assert reply["why"]["threshold"] == 0.8 and reply["why"]["versions"] == {"intents": 3}
            chinese = await say(client, path, "订单呢？")
            assert chinese["text"] == "请看“我的订单”。"
            found = await (await client.get(path)).json()
            assert [one["author"] for one in found["turns"]] == ["visitor", "bot"] * 2
            assert found["state"] == "bot"

    asyncio.run(talk())


def test_two_close_intents_are_asked_back_and_the_click_is_kept(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            path = await start(client)
            reply = await say(client, path, "order or refund")
            assert reply["kind"] == "clarify"
            assert reply["options"] == [
                {"intent": "refund", "title": "Refunds"},
                {"intent": "order", "title": "Orders"},
            ]
            wrong = await client.post(
                f"{path}/choices", json={"turn": reply["turn"], "intent": "person"}
            )
            assert wrong.status == 409
            choice = {"turn": reply["turn"], "intent": "order"}
            for _ in range(2):  # A second click changes nothing.
                chosen = await (await client.post(f"{path}/choices", json=choice)).json()
                assert (chosen["kind"], chosen["text"]) == ("answer", "See 'My orders'.")
            found = await (await client.get(path)).json()
            assert [one["text"] for one in found["turns"]][2:] == ["Orders", "See 'My orders'."]
            assert found["turns"][1]["chosen"] == "order" and found["turns"][3]["why"] is None

    asyncio.run(talk())


def test_neither_leads_to_a_person(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, models):
            path = await start(client)
            reply = await say(client, path, "order or refund")
            choice = {"turn": reply["turn"], "intent": None}
            handed = await (await client.post(f"{path}/choices", json=choice)).json()
            assert handed["kind"] == "handover"
            assert models.asked == ["order or refund"] * 2

    asyncio.run(talk())


def test_an_entry_above_the_floor_is_given_with_its_source(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            reply = await say(client, await start(client), "gift wrap?")
            assert (reply["kind"], reply["text"]) == ("retrieved", "We wrap.")
            assert reply["sources"] == [{"id": "wrap", "score": 0.7}]

    asyncio.run(talk())


def test_a_person_takes_over_answers_and_gives_back(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, models):
            path = await start(client)
            name = path.rpartition("/")[2]
            assert (await say(client, path, "who wins tonight?"))["kind"] == "handover"
            queue = await (await client.get("/api/agent/queue", headers=AGENT)).json()
            (waiting,) = queue["conversations"]
            assert (waiting["id"], waiting["reason"]) == (name, "no_sure_answer")
            assert waiting["last"] == "who wins tonight?"
            # The bot is silent.
            asked = len(models.asked)
            silent = await say(client, path, "refund?")
            assert (silent["kind"], silent["text"]) == ("handover", "")
            assert len(models.asked) == asked
            base = f"/api/agent/conversations/{name}"
            answer = {"text": "Hello, Ana here.", "key": "1"}
            early = await client.post(f"{base}/messages", json=answer, headers=AGENT)
            assert early.status == 409
            taken = await client.post(f"{base}/take", json={"agent": "Ana"}, headers=AGENT)
            assert taken.status == 200
            other = await client.post(f"{base}/take", json={"agent": "Bo"}, headers=AGENT)
            assert other.status == 409
            for _ in range(2):
                await client.post(f"{base}/messages", json=answer, headers=AGENT)
            found = await (await client.get(path)).json()
            assert (found["state"], found["agent"]) == ("agent", "Ana")
            assert [one["text"] for one in found["turns"]][-2:] == ["refund?", "Hello, Ana here."]
            back = await client.post(f"{base}/return", headers=AGENT)
            assert back.status == 200
            assert (await say(client, path, "refund?"))["kind"] == "answer"

    asyncio.run(talk())


def test_a_visitor_asks_for_a_person_and_goes_back(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            path = await start(client, language="zh")
            handed = await (await client.post(f"{path}/handover")).json()
            assert handed["kind"] == "handover" and "同事" in handed["text"]
            again = await (await client.post(f"{path}/handover")).json()
            assert again["text"] == ""
            assert (await client.post(f"{path}/resume")).status == 200
            assert (await client.post(f"{path}/resume")).status == 409
            assert (await say(client, path, "refund?"))["kind"] == "answer"
            assert (await say(client, path, "a person!"))["kind"] == "handover"

    asyncio.run(talk())


def test_without_models_a_person_answers_and_the_bot_is_back_by_itself(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, models):
            path = await start(client)
            models.gone = True
            reply = await say(client, path, "refund?")
            assert reply["kind"] == "handover" and "person will answer" in reply["text"]
            models.gone = False
            assert (await say(client, path, "refund?"))["kind"] == "answer"
            # Whoever was promised a person still gets one.
            assert (await (await client.get(path)).json())["state"] == "waiting"

    asyncio.run(talk())


def test_a_text_sent_again_is_one_turn(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, models):
            path = await start(client)
            models.seconds = 0.05
            replies = await asyncio.gather(
                *(say(client, path, "refund?", key="k1") for _ in range(5))
            )
            assert len({reply["turn"] for reply in replies}) == 1
            assert models.asked == ["refund?"]
            assert len((await (await client.get(path)).json())["turns"]) == 2
            # Another text of this visitor, and of another one.
            await say(client, path, "refund?", key="k2")
            await say(client, await start(client), "refund?", key="k1")
            assert len(models.asked) == 3

    asyncio.run(talk())


def test_what_is_kept_is_masked(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, models):
            path = await start(client)
            text = "我的电话13812345678，card 4111111111111111"
            await say(client, path, text)
            assert models.asked == [text]
            found = await (await client.get(path)).json()
            assert found["turns"][0]["text"] == "我的电话[phone]，card [card]"

    asyncio.run(talk())
    content = b"".join(path.read_bytes() for path in tmp_path.glob("conversations*"))
    assert b"13812345678" not in content and b"4111111111111111" not in content


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[1]", 400),
        (b"{", 400),
        (b"[" * 10_000, 400),
        (b'{"text": 3}', 400),
        (b'{"text": "  "}', 400),
        (b'{"text": "a", "key": 1}', 400),
        (b'{"text": "' + b"a" * 2001 + b'"}', 413),
        (b'{"text": "' + b"a" * 20_000 + b'"}', 413),
        (b'{"text": "a\\u0000\\ud800"}', 200),
    ],
)
def test_bad_bodies_are_refused(tmp_path: Path, body: bytes, status: int) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            path = await start(client)
            response = await client.post(f"{path}/messages", data=body)
            assert response.status == status
            assert status == 200 or (await response.json())["error"]

    asyncio.run(talk())


def test_unknown_conversations_and_wrong_keys_are_refused(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            path = "/api/conversations/none"
            assert (await client.get(path)).status == 404
            assert (await client.post(f"{path}/messages", json={"text": "a"})).status == 404
            assert (await client.post(f"{path}/handover")).status == 404
            wrong = {"Authorization": "Bearer wrong"}
            for headers in ({}, wrong):
                assert (await client.get("/api/agent/queue", headers=headers)).status == 401
            bad = await client.post("/api/conversations", json={"language": "fr"})
            assert bad.status == 400
            assert (await client.get(f"{await start(client)}?after=x")).status == 400

    asyncio.run(talk())


def test_one_visitor_is_limited_and_another_is_not(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            first, second = await start(client), await start(client)
            statuses = []
            for _ in range(22):
                response = await client.post(f"{first}/messages", json={"text": "refund?"})
                statuses.append(response.status)
            assert statuses == [200] * 20 + [429] * 2
            assert int(response.headers["Retry-After"]) >= 1
            assert (await say(client, second, "refund?"))["kind"] == "answer"

    asyncio.run(talk())


def test_addresses_behind_a_proxy_are_limited(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path, trust_proxy=True) as (client, _):
            headers = {"X-Forwarded-For": "10.9.9.9, 192.0.2.7"}
            statuses = [
                (await client.post("/api/conversations", headers=headers)).status for _ in range(70)
            ]
            assert statuses[:60] == [200] * 60 and 429 in statuses[60:]
            other = {"X-Forwarded-For": "192.0.2.8"}
            assert (await client.post("/api/conversations", headers=other)).status == 200

    asyncio.run(talk())


def test_scores_are_hidden_on_request(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path, show_why=False) as (client, _):
            path = await start(client)
            assert "why" not in await say(client, path, "refund?")
            assert all("why" not in t for t in (await (await client.get(path)).json())["turns"])
            assert (await client.get("/api/figures")).status == 404

    asyncio.run(talk())


def test_figures_and_health(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, models):
            path = await start(client)
            for text in ("refund?", "refund?", "gift wrap?", "order or refund", "what?"):
                await say(client, path, text)
            found = await (await client.get("/api/figures")).json()
            assert [found[k] for k in ("answer", "clarify", "retrieved", "handover")] == [
                2,
                1,
                1,
                1,
            ]
            assert 0 < found["p50"] <= found["p95"]
            health = await (await client.get("/healthz")).json()
            assert health == {"status": "ok", "models": {}, "queue": 1}

    asyncio.run(talk())


def test_a_full_disk_is_told_and_loses_nothing_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            path = await start(client)
            await say(client, path, "refund?")

            def fail(*_: object) -> None:
                raise sqlite3.OperationalError("database or disk is full")

            monkeypatch.setattr("tfpipe.apps.support.store.Store.add_turn", fail)
            response = await client.post(f"{path}/messages", json={"text": "refund?"})
            assert response.status == 503 and response.headers["Retry-After"] == "5"
            monkeypatch.undo()
            assert len((await (await client.get(path)).json())["turns"]) == 2

    asyncio.run(talk())


def test_connections_that_send_nothing_are_closed_and_hold_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "HEAD_SECONDS", 0.3)
    app = web.Application()

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app.add_routes([web.get("/", hello)])

    async def talk() -> None:
        async with web_server.listen(app, "127.0.0.1", 0) as server:
            await server.start_serving()
            address = server.sockets[0].getsockname()
            silent = [await asyncio.open_connection(*address) for _ in range(50)]
            silent[0][1].write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            async with ClientSession() as session:
                for _ in range(3):
                    async with session.get(f"http://127.0.0.1:{address[1]}/") as response:
                        assert await response.text() == "hello"
                    await asyncio.sleep(0.2)
            for reader, writer in silent:
                assert await asyncio.wait_for(reader.read(), 2) == b""
                writer.close()

    asyncio.run(talk())


def test_a_slow_body_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api, "BODY_SECONDS", 0.2)

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"text": "'
        await asyncio.sleep(1)
        yield b'a"}'

    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            response = await client.post(f"{await start(client)}/messages", data=slow())
            assert response.status == 408

    asyncio.run(talk())


def test_pages_have_a_policy_and_no_other_file_is_served(tmp_path: Path) -> None:
    async def talk() -> None:
        async with application(tmp_path) as (client, _):
            for path, framed in (("/", "frame-ancestors *"), ("/agent", "frame-ancestors 'none'")):
                response = await client.get(path)
                policy = response.headers["Content-Security-Policy"]
                assert response.status == 200 and framed in policy
                assert "'unsafe-inline'" not in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
            for path in ("/page.js", "/words.json", "/embed.js", "/page.css"):
                assert (await client.get(path)).status == 200
            for path in ("/../store.py", "/static/page.js", "/agent.key"):
                response = await client.get(path)
                assert response.status == 404 and (await response.json())["error"]

    asyncio.run(talk())


def test_a_stopped_turn_is_answered_when_sent_again(tmp_path: Path) -> None:
    """The program ends between the text and its reply."""

    async def first() -> str:
        models = ScriptedModels()
        models.seconds = 60
        async with application(tmp_path, models) as (client, _):
            path = await start(client)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(say(client, path, "refund?", key="k"), 0.3)
            return path

    async def second(path: str) -> None:
        async with application(tmp_path) as (client, _):
            assert (await say(client, path, "refund?", key="k"))["kind"] == "answer"
            turns = (await (await client.get(path)).json())["turns"]
            assert [turn["author"] for turn in turns] == ["visitor", "bot"]

    asyncio.run(second(asyncio.run(first())))
