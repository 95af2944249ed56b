"""Space files written, read and refused: what the tests of spaces share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfpipe.errors import UserError
from tuning.space import Parameter, Space
from tuning.space.file import read_space

Write = Callable[[str], str]
RATE = "learning_rate: {float: [1e-5, 3e-4], sampling: log}\n"
FOCAL = """
loss: [cross_entropy, focal]
focal_gamma: {float: [1, 4], step: 0.5, when: {loss: focal}}
"""
CONDITIONED = FOCAL + (
    "freeze_embeddings: [true, false]\n"
    "weight_decay: {choice: [0, 0.1], when: {focal_gamma: [2.5, 3]}}\n"
    "epochs: {int: [2, 3], when: {freeze_embeddings: false, loss: focal}}\n"
    "ema: {choice: [0.9], when: {freeze_embeddings: true}}\n"
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A function that writes a space file and gives its path."""

    def written(text: str) -> str:
        path = tmp_path / "space.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


@pytest.fixture
def read(write: Write) -> Callable[..., Space]:
    """A function from a file's text and flags to a space."""
    return lambda text, **flags: read_space(write(text), flags)


@pytest.fixture
def refused(write: Write) -> Callable[..., list[UserError]]:
    """A function from a file's text and flags to the errors reported of it."""

    def errors(text: str, **flags: Any) -> list[UserError]:
        with pytest.raises(UserError) as caught:
            read_space(write(text), flags)
        return getattr(caught.value, "errors", [caught.value])

    return errors


def only(space: Space) -> Parameter:
    (parameter,) = space.parameters
    return parameter
