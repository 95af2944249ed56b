"""Command line of a request to a served model."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from tfpipe.tasks import TASKS

SECOND = {"text_pair": ("--text-pair", "another text"), "context": ("--context", "a context")}


def client_command(
    model: str, task: str, inputs: Collection[str], options: Collection[str] = ()
) -> str:
    """Return a serving.client command with one request.

    Args:
        model: Its name on the server.
        task: Its task.
        inputs: Names of its texts, in any order.
        options: Further options.
    """
    verb = TASKS[task].verb if task in TASKS else task
    words = ["python", "-m", "serving.client", verb, "--model", model, *options]
    words.append("a question" if "question" in inputs else "a text")
    for name, option in SECOND.items():
        words += option if name in inputs else ()
    return shlex.join(words)
