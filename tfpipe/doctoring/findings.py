"""Findings of a diagnosis, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tfpipe.data.row_errors import FileRow
from tfpipe.errors import UserError


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        mark: `ok`, `note` (worth knowing) or `problem` (something will not work).
        about: Name of the check; stable between versions.
        sentence: The result for the user.
        value: The result as JSON can hold it.
    """

    mark: str
    about: str
    sentence: str
    value: Any = None


@dataclass(frozen=True)
class Command:
    """A command for the user.

    Attributes:
        purpose: What it is for.
        line: The command line.
    """

    purpose: str
    line: str


@dataclass(frozen=True)
class Diagnosis:
    """Findings about a subject.

    Attributes:
        kind: `environment`, `data`, `run` or `export`.
        subject: The path; None for the environment.
        findings: Results of the checks.
        commands: Next commands.
        rows: The rows of data files that something was found about.
    """

    kind: str
    subject: str | None
    findings: Sequence[Finding]
    commands: Sequence[Command] = ()
    rows: Sequence[FileRow] = ()

    def count(self, mark: str) -> int:
        """Return the number of findings with a mark."""
        return sum(finding.mark == mark for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return one object: kind, subject, counts, findings, commands."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "problems": self.count("problem"),
            "notes": self.count("note"),
            "findings": [asdict(finding) for finding in self.findings],
            "commands": [asdict(command) for command in self.commands],
        }

    def as_lines(self) -> list[str]:
        """Return a line for each finding, then the commands, then the counts."""
        lines = [f"{finding.mark:<8} {finding.sentence}" for finding in self.findings]
        purpose = None
        for command in self.commands:
            if command.purpose != purpose:
                lines += ["", f"{command.purpose}:"]
            lines.append(f"  {command.line}")
            purpose = command.purpose
        problems, notes = self.count("problem"), self.count("note")
        summary = _plural(problems, "problem") if problems else "no problem"
        return [*lines, "", f"{summary}, {_plural(notes, 'note')}"]


def ok(about: str, sentence: str, value: Any = None) -> Finding:
    """Make a finding without a problem."""
    return Finding("ok", about, sentence, value)


def note(about: str, sentence: str, value: Any = None) -> Finding:
    """Make a finding that is worth knowing."""
    return Finding("note", about, sentence, value)


def problem(about: str, sentence: str, value: Any = None) -> Finding:
    """Make a finding of something that will not work."""
    return Finding("problem", about, sentence, value)


def problems_of(error: UserError, about: str) -> list[Finding]:
    """Return an error, or several raised together, as findings."""
    return [
        problem(about, f"{one.wrong}: {one.found}; {one.fix}", {"wrong": one.wrong})
        for one in getattr(error, "errors", [error])
    ]


def in_units(count: float) -> str:
    """Return a number of bytes with its unit: 7.4 MB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return (
                f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
            )
        count /= 1000
    return f"{count:.1f} GB"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
