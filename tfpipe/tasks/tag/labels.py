"""Label rules of the task `tag`: entities as spans of the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from tfpipe.data.changes.edits import Edits, move
from tfpipe.data.examples import Examples
from tfpipe.data.label_values import dump, spans_of
from tfpipe.data.labels import LabelRules, LabelSummary, parsed_labels
from tfpipe.data.offset_units import refuse_other_units, to_characters
from tfpipe.data.schemes import split_tag
from tfpipe.data.spans import Span, format_spans, parse_spans, refuse_outside, strip_types
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.errors import UserError
from tfpipe.tasks.tag.lost_entities import find_lost


class Entities(LabelRules):
    """Rules for labels that are a list of entities each, in JSON."""

    name: ClassVar[str] = "tag"
    noun: ClassVar[str] = "entities"
    has_places: ClassVar[bool] = True

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[tuple[Span, ...]]:
        """Parse the entities of each text, which are sorted and do not overlap.

        Raises:
            UserError: Texts are pairs, or a label is not a list of entities in its text.
        """
        if examples.text_pairs is not None:
            raise UserError(
                "a tagger reads single texts",
                f"{examples.path}, columns {examples.columns.text!r},"
                f" {examples.columns.text_pair!r}",
                "leave out --text-pair, or rename the second column",
            )
        rows = [f"{examples.path}, row {row}" for row in range(1, len(examples) + 1)]
        labels = zip(examples.labels or (), rows, strict=True)
        parsed = [parse_spans(label, None, where) for label, where in labels]
        refuse_other_units(examples.path, examples.texts, parsed)
        for spans, text, where in zip(parsed, examples.texts, rows, strict=True):
            refuse_outside(spans, text, where)
        return [*map(tuple, parsed)]

    @classmethod
    def in_characters(cls, examples: Examples, unit: str) -> Examples:
        """Return examples whose entities count a unit of `offset_units`, counted in characters."""
        labels = []
        for row, (label, text) in enumerate(
            zip(examples.labels or (), examples.texts, strict=True), start=1
        ):
            where = f"{examples.path}, row {row}"
            spans = to_characters(parse_spans(label, None, where), text, unit)
            if spans is None:
                raise UserError(
                    "an entity begins or ends inside of a character, or outside of its text",
                    f"{where}: {label[:80]}",
                    f"leave out --offsets {unit} where places count characters",
                )
            labels.append(format_spans(spans))
        return replace(examples, labels=labels)

    @classmethod
    def names_of_columns(cls, columns: Sequence[str]) -> Sequence[str]:
        """Return the types in tags such as O, B-person and I-person."""
        tags = [split_tag(name) for name in columns]
        return sorted({tag.type for tag in tags if tag is not None and tag.type})

    @classmethod
    def rewrite(cls, label: tuple[Span, ...], names: Mapping[str, str | None]) -> str | None:
        """Write the entities with other types.

        Where a type is taken out the result is None: without some of its entities a text would be
        wrong.
        """
        types = [names.get(span.type, span.type) for span in label]
        spans = [span._replace(type=kind) for span, kind in zip(label, types, strict=True) if kind]
        return format_spans(spans) if len(spans) == len(label) else None

    @classmethod
    def moved(
        cls, label: tuple[Span, ...], texts: Sequence[str], edits: Sequence[Edits]
    ) -> str | None:
        """Write the entities where they are after the edits."""
        spans = [Span(*move(span.start, span.end, edits[0]), span.type) for span in label]
        return format_spans(spans) if all(span.start < span.end for span in spans) else None

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Refuse labels that cannot be parsed, and a train file without entities."""
        spans = parsed_labels(examples, cls)
        if to_learn and not any(spans):
            raise UserError(
                "there are no entities, so there is nothing to learn",
                f"{len(spans)} texts of {examples.path}",
                "mark the entities of some texts",
            )

    @classmethod
    def strip_label(cls, label: str) -> str:
        """Remove blanks around the label and around the types in it."""
        return strip_types(strip_blanks(label))

    @classmethod
    def write_label(cls, value: list[Any] | dict[str, Any], remarks: Counter[str]) -> str:
        """Write entities, in any order and form of annotation tools, as `[[0, 4, "person"]]`."""
        spans = spans_of(value)
        return dump(value if spans is None else spans)

    @classmethod
    def names_in(cls, label: tuple[Span, ...]) -> Sequence[str]:
        """List the types of the entities."""
        return sorted({span.type for span in label})

    @classmethod
    def find_lost(
        cls, examples: Examples, tokenizer: FastTokenizer, max_length: int
    ) -> Sequence[str]:
        """Report truncated entities, and those that begin or end inside a word."""
        return find_lost(examples, parsed_labels(examples, cls), tokenizer, max_length)

    @classmethod
    def show_label(cls, examples: Examples, row: int) -> str:
        """Format the entities as `person: Ann Lee, place: Rome`."""
        text, spans = examples.texts[row], parsed_labels(examples, cls)[row]
        return ", ".join(f"{span.type}: {text[span.start : span.end]}" for span in spans)

    @classmethod
    def describe_labels(cls, parts: Sequence[Examples]) -> LabelSummary:
        """Count the entities of each type."""
        labels = [label for part in parts for label in parsed_labels(part, cls)]
        counts = Counter(span.type for label in labels for span in label)
        shown = ", ".join(f"{kind} {count:,}" for kind, count in counts.most_common(20))
        more = f" and {len(counts) - 20} more types" if len(counts) > 20 else ""
        held = f"It holds {len(labels):,} sentences with {counts.total():,} entities"
        value = {"sentences": len(labels), "entities": dict(counts.most_common())}
        return LabelSummary("entities", f"{held}: {shown}{more}.", value)
