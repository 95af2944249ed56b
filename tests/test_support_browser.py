"""The pages of the customer-service application in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.customer_service import KEY, ScriptedModels, running

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Root, as in containers, has no sandbox; a page of another site may ask this machine.
        flags = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def models() -> ScriptedModels:
    return ScriptedModels()


@pytest.fixture
def address(tmp_path: Path, models: ScriptedModels) -> Iterator[str]:
    with running(tmp_path, models) as address:
        yield address


def open_page(browser: Any, address: str, **context: Any) -> Any:
    """A page of a browser of its own, which fails the test with errors of its own."""
    page = browser.new_context(**{"locale": "en-US", **context}).new_page()
    page.set_default_timeout(10_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
    page.goto(address)
    return page


def ask(page: Any, text: str) -> str:
    """Write a message with the keyboard; returns the text of the reply."""
    replies = page.locator(".turn.bot")
    count = replies.count()
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")
    replies.nth(count).wait_for()
    return replies.nth(count).locator(".text").inner_text()


def check_access(page: Any) -> None:
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_ask_be_asked_back_click_and_be_answered_by_a_person(browser: Any, address: str) -> None:
    visitor = open_page(browser, address)
    assert ask(visitor, "refund?") == "In 5 days."
    assert "refund" in visitor.locator("#why-body").inner_text()
    assert ask(visitor, "order or refund") == "Which of these do you mean?"
    check_access(visitor)
    buttons = visitor.locator(".options button")
    assert buttons.all_inner_texts() == ["Refunds", "Orders", "Neither of these"]
    buttons.nth(1).focus()
    visitor.keyboard.press("Enter")
    visitor.get_by_text("See 'My orders'.").wait_for()
    assert buttons.count() == 0
    assert "colleague" in ask(visitor, "who wins tonight?")
    visitor.get_by_text("A person will answer you here.").wait_for()

    agent = open_page(browser, f"{address}/agent#{KEY}")
    agent.locator(".waiting button").click()
    agent.get_by_label("Your name").fill("Ana")
    agent.get_by_role("button", name="Take over").click()
    agent.locator("#text").fill("Hello from Ana")
    agent.locator("#text").press("Enter")
    agent.locator(".turn.agent:not(.pending)").wait_for()
    check_access(agent)
    visitor.get_by_text("Hello from Ana").wait_for()
    visitor.get_by_text("Ana is answering you.").wait_for()
    agent.get_by_role("button", name="Return to the assistant").click()
    visitor.locator("#state").wait_for(state="hidden")
    assert ask(visitor, "refund?") == "In 5 days."
    # A reload keeps the conversation.
    visitor.reload()
    visitor.get_by_text("Hello from Ana").wait_for()
    assert visitor.errors == agent.errors == []


def test_html_in_a_message_is_text(browser: Any, address: str) -> None:
    page = open_page(browser, address)
    ask(page, "<img src=x onerror=alert(1)><b>bold</b>")
    shown = page.locator(".turn.visitor .text").inner_text()
    assert shown == "<img src=x onerror=alert(1)><b>bold</b>"
    assert page.locator(".turn img, .turn b").count() == 0
    assert page.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_and_axe_finds_nothing(browser: Any, address: str, scheme: str) -> None:
    size = {"width": 360, "height": 740}
    page = open_page(browser, address, viewport=size, color_scheme=scheme, locale="zh-CN")
    check_access(page)
    assert page.locator("h1").inner_text() == "客户服务"
    assert ask(page, "订单呢？") == "请看“我的订单”。"
    page.locator(".turn.bot .link").click()
    assert page.locator("#why").get_attribute("open") is not None
    check_access(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_role("button", name="English").click()
    assert page.locator("h1").inner_text() == "Customer service"
    assert page.errors == []


def test_a_message_that_did_not_arrive_is_sent_again_once(
    browser: Any, address: str, models: ScriptedModels
) -> None:
    page = open_page(browser, address)
    ask(page, "refund?")
    page.context.set_offline(True)
    page.locator("#text").fill("refund?")
    page.locator("#text").press("Enter")
    again = page.get_by_role("button", name="Send again")
    again.wait_for()
    page.context.set_offline(False)
    again.click()
    page.locator(".turn.bot").nth(1).wait_for()
    assert page.locator(".turn.visitor").count() == 2
    assert models.asked == ["refund?"] * 2


def test_the_agents_page_asks_for_its_key(browser: Any, address: str) -> None:
    page = open_page(browser, f"{address}/agent")
    page.locator("#key").fill("wrong")
    page.get_by_role("button", name="Enter").click()
    assert page.locator("#desk").is_hidden()
    check_access(page)
    page.locator("#key").fill(KEY)
    page.get_by_role("button", name="Enter").click()
    page.get_by_text("Nobody is waiting.").wait_for()


def test_another_site_embeds_it_with_one_line(browser: Any, address: str) -> None:
    page = browser.new_context(locale="en-US").new_page()
    page.set_default_timeout(10_000)
    page.route(
        "http://shop.example/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<title>Shop</title><script src="{address}/embed.js" async></script>',
        ),
    )
    page.goto("http://shop.example/")
    page.get_by_role("button", name="Customer service").click()
    frame = page.frame_locator("iframe")
    frame.locator("#text").fill("refund?")
    frame.locator("#text").press("Enter")
    frame.get_by_text("In 5 days.").wait_for()
    page.get_by_role("button", name="Close customer service").click()
    assert page.locator("iframe").is_hidden()
