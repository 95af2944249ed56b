"""What a look at something found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tfpipe.errors import UserError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    mark: `ok`, `note` (worth knowing) or `problem` (something will not work); about: its name,
    which stays; value: what was found, as JSON can hold it.
    """

    mark: str
    about: str
    sentence: str
    value: Any = None


@dataclass(frozen=True)
class Command:
    """A command to type next, and what for."""

    purpose: str
    line: str


@dataclass(frozen=True)
class Diagnosis:
    """All that was found about a subject; kind: `environment`, `data`, `run` or `export`."""

    kind: str
    subject: str | None
    findings: Sequence[Finding]
    commands: Sequence[Command] = ()

    def count(self, mark: str) -> int:
        return sum(finding.mark == mark for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """One object: kind, subject, counts, findings, commands."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "problems": self.count("problem"),
            "notes": self.count("note"),
            "findings": [asdict(finding) for finding in self.findings],
            "commands": [asdict(command) for command in self.commands],
        }

    def as_lines(self) -> list[str]:
        """A finding a line, with its mark; then the commands; then the sum of it."""
        lines = [f"{finding.mark:<8} {finding.sentence}" for finding in self.findings]
        purpose = None
        for command in self.commands:
            if command.purpose != purpose:
                lines += ["", f"{command.purpose}:"]
            lines.append(f"  {command.line}")
            purpose = command.purpose
        problems, notes = self.count("problem"), self.count("note")
        told = _plural(problems, "problem") if problems else "no problem"
        return [*lines, "", f"{told}, {_plural(notes, 'note')}"]


def ok(about: str, sentence: str, value: Any = None) -> Finding:
    return Finding("ok", about, sentence, value)


def note(about: str, sentence: str, value: Any = None) -> Finding:
    return Finding("note", about, sentence, value)


def problem(about: str, sentence: str, value: Any = None) -> Finding:
    return Finding("problem", about, sentence, value)


def problems_of(error: UserError, about: str) -> list[Finding]:
    """An error, or several told together, as findings."""
    return [
        problem(about, f"{one.wrong}: {one.found}; {one.fix}", {"wrong": one.wrong})
        for one in getattr(error, "errors", [error])
    ]


def in_units(count: float) -> str:
    """Bytes as people read them: 7.4 MB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return (
                f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
            )
        count /= 1000
    return f"{count:.1f} GB"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
