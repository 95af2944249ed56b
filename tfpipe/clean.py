"""`python -m tfpipe.clean IN --to OUT`: write a data file again, with its labels put in order."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.standard_output import json_line
from tfpipe.cli import parse, parser_for, run, say
from tfpipe.config import CleanConfig
from tfpipe.errors import UserError
from tfpipe.process import run_as_process
from tfpipe.tasks import TASKS

if TYPE_CHECKING:
    from tfpipe.cleaning.steps import Cleaned
    from tfpipe.data.examples import Examples

ABOUT = """Write a data file again in UTF-8: blanks around labels are removed, labels merged and
rows dropped as asked. Other columns stay. What could be done, too, is said with its flag."""
EXAMPLE = "python -m tfpipe.clean labels.xlsx --to train.tsv --merge-labels --drop empty,duplicates"
KINDS = {
    "empty": "without a text or label",
    "duplicates": "with the text and label of an earlier one",
    "contradictions": "of texts with several labels",
    "rare": "with a label of few rows",
}


@dataclass(frozen=True)
class Cleaning:
    """What was done to a file.

    Attributes:
        read: The examples as they were read.
        cleaned: The examples that are left, and what was done.
        path: The file that was written.
    """

    read: Examples
    cleaned: Cleaned
    path: str

    def as_json(self) -> dict[str, Any]:
        """Return counts of rows and labels by what was done."""
        merged = [
            {"label": old, "into": new, "rows": rows}
            for (old, new), rows in self.cleaned.merged.items()
        ]
        near = [
            {"label": pair.rare.label, "near": pair.frequent.label, "typo": pair.typo}
            for pair in self.cleaned.near
        ]
        return {
            "rows_read": len(self.read),
            "rows_written": len(self.cleaned.kept),
            "labels_stripped": self.read.stripped,
            "merged": merged,
            "dropped": self.cleaned.dropped,
            "found": self.cleaned.found,
            "near_labels": near,
            "to": self.path,
        }

    def as_lines(self) -> Iterator[str]:
        """Yield what was done, and what could be done by which flag, as sentences."""
        cleaned, stripped = self.cleaned, self.read.stripped
        yield f"read {_rows(len(self.read))} of {self.read.path}"
        if stripped:
            yield f"removed the blanks around {stripped:,} label{'s' * (stripped > 1)}"
        for (old, new), rows in cleaned.merged.items():
            yield f"merged {old!r} into {new!r} in {_rows(rows)}"
        for kind, rows in cleaned.dropped.items():
            yield f"dropped {_rows(rows)} {KINDS[kind]}"
        for pair in cleaned.near:
            rare, frequent = pair.rare, pair.frequent
            flag = f'--merge "{rare.label}={frequent.label}"' if pair.typo else "--merge-labels"
            beside = f"{rare.label!r} ({rare.count:,}) beside {frequent.label!r}"
            yield f"found {beside} ({frequent.count:,}): {flag}"
        for kind, rows in cleaned.found.items():
            yield f"found {_rows(rows)} {KINDS[kind]}: --drop {kind}"
        yield f"wrote {_rows(len(cleaned.kept))} to {self.path}"


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def clean_file(config: CleanConfig) -> Cleaning:
    """Write a data file again, with labels merged and rows dropped as configured.

    Raises:
        UserError: The file cannot be read or written, or a label cannot be parsed.
    """
    from tfpipe.cleaning.steps import clean
    from tfpipe.cleaning.table import read_table
    from tfpipe.data.examples import Columns
    from tfpipe.io.tables import SEPARATORS, check_target, write_table

    source, target, spec = Path(config.data), Path(config.to), TASKS[config.task]
    if target.exists() and source.exists() and target.samefile(source):
        fix = "give another --to: the original stays as it is"
        raise UserError("a file cannot be cleaned in its own place", config.to, fix)
    check_target(target, "--to", config.overwrite)
    table = read_table(source, Columns.of(config), spec)
    for decision in table.examples.decisions:
        say(f"data: note: {decision}")
    cleaned = clean(table.examples, config, spec.rules)
    labels = dict(zip(cleaned.kept, cleaned.examples.labels or (), strict=False))
    as_texts = target.suffix.lower() in SEPARATORS
    write_table(target, table.header, table.with_labels(cleaned.kept, labels, as_texts))
    return Cleaning(table.examples, cleaned, config.to)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = parser_for(CleanConfig, "tfpipe.clean", ABOUT, EXAMPLE)

    def command() -> None:
        config = parse(parser, CleanConfig, arguments)
        done = clean_file(config)
        print(json_line(done.as_json()) if config.json else "\n".join(done.as_lines()))

    return run(command)


if __name__ == "__main__":
    run_as_process(main)
