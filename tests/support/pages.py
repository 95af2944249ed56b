"""What people see of a report and of TensorBoard, and the memory of this process."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


class Page(HTMLParser):
    """What a browser would make of a page: tags with attributes, and the text it shows."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.tags)


def read_events(folder) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


def resident_kilobytes() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux tells a process's memory so")
    return int(status.read_text().split("VmRSS:")[1].split()[0])
