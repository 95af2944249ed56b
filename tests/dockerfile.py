"""The Dockerfile and .dockerignore, read as Docker reads them."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Step:
    """One instruction: its name and what follows."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The words, of the JSON form as well."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)

    @property
    def options(self) -> dict[str, str]:
        """The --name=value before a COPY's files."""
        return dict(word[2:].split("=", 1) for word in self.words if word.startswith("--"))

    @property
    def files(self) -> list[str]:
        """A COPY's sources and, last, its destination."""
        return [word for word in self.words if not word.startswith("--")]


@dataclass(frozen=True)
class Stage:
    """One FROM: its base (an image, or an earlier stage) and its steps."""

    name: str
    base: str
    steps: list[Step]

    def last(self, name: str) -> Step | None:
        """The instruction that holds where there are several; None where there is none."""
        return next((step for step in reversed(self.steps) if step.name == name), None)


def read_dockerfile() -> dict[str, Stage]:
    """The stages by name, in order; build arguments stand at their defaults."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    for line in filter(str.strip, joined.splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, stage = rest.partition(" AS ")
            stages[stage] = Stage(stage, base, [])
            arguments = {}
            continue
        if name == "ARG":
            argument, _, default = rest.partition("=")
            arguments[argument] = default
        filled = rest
        for argument, default in arguments.items():
            filled = filled.replace(f"${{{argument}}}", default)
        stages[list(stages)[-1]].steps.append(Step(name, filled))
    return stages


def lineage(stages: dict[str, Stage], name: str) -> list[Stage]:
    """A stage and those it builds on, the first one first."""
    stage = stages[name]
    return [*(lineage(stages, stage.base) if stage.base in stages else []), stage]


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path of the checkout out of the build."""
    parts = path.split("/")
    parents = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.lstrip("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, parent) for parent in parents):
            ignored = not line.startswith("!")
    return ignored
