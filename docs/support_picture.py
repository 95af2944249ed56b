"""Take the README's picture of the customer-service page, by a Chromium that is installed.

    python docs/support_picture.py http://localhost:8080 docs/support.png

The page is one that answers with the shipped sample. `make picture` does it.
"""

from __future__ import annotations

import shutil
import sys

from playwright.sync_api import sync_playwright

QUESTIONS = (
    "Where is my parcel?",
    "Do you ship to Norway?",
    "refund or exchange for the dress?",
)


def main(address: str, file: str) -> None:
    """Ask the questions and keep what the page shows then."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1120, "height": 760}, locale="en-US")
        page.goto(address)
        for number, question in enumerate(QUESTIONS):
            page.fill("#text", question)
            page.press("#text", "Enter")
            page.locator(".turn.bot").nth(number).wait_for()
        page.locator("#text").blur()
        page.wait_for_timeout(500)
        page.screenshot(path=file)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
