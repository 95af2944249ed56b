"""The command line that asks a served model, as people are told it."""

from __future__ import annotations

import shlex
from collections.abc import Collection

# The client's verb, where it is not called as the task is.
VERBS = {"qa": "answer"}
SECOND = {"text_pair": ("--text-pair", "another text"), "context": ("--context", "a context")}


def client_command(model: str, task: str, inputs: Collection[str]) -> str:
    """How serving.client asks the model of this name one thing.

    inputs: names of the model's texts, in any order.
    """
    words = ["python", "-m", "serving.client", VERBS.get(task, task), "--model", model]
    words.append("a question" if "question" in inputs else "a text")
    for name, option in SECOND.items():
        words += option if name in inputs else ()
    return shlex.join(words)
