"""Texts of one call: validation, deduplication, batching, and one answer for each text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from serving.client.errors import InvalidRequest

# Protobuf overhead of a string in a request beside its own bytes: tag and length.
BYTES_PER_STRING = 6
OPTIONAL = ("text_pairs", "adapters")


@dataclass(frozen=True)
class UniqueRows:
    """Deduplicated rows of a call.

    Args:
        inputs: Input names of the signature.
        unique: Distinct rows; each holds one UTF-8 string for each input.
        positions: For each row of the call, its index into `unique`.
    """

    inputs: tuple[str, ...]
    unique: list[tuple[bytes, ...]]
    positions: list[int]

    def batches(self, max_rows: int, max_bytes: int) -> Iterator[list[tuple[bytes, ...]]]:
        """Yield the unique rows in order, in batches within both limits.

        A row that exceeds `max_bytes` alone is a batch of its own.
        """
        batch: list[tuple[bytes, ...]] = []
        size = 0
        for row in self.unique:
            added = sum(len(text) + BYTES_PER_STRING for text in row)
            if batch and (len(batch) == max_rows or size + added > max_bytes):
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += added
        if batch:
            yield batch

    def build_inputs(self, batch: list[tuple[bytes, ...]]) -> dict[str, list[bytes]]:
        """Return the tensors of a batch by input name."""
        return dict(zip(self.inputs, map(list, zip(*batch, strict=True)), strict=True))

    def expand(self, answers: list[Any]) -> list[Any]:
        """Return one answer for each row of the call, from one for each unique row.

        Equal rows share one object; lists are copied, so that each can be changed alone.
        """
        chosen = (answers[position] for position in self.positions)
        return [list(answer) if isinstance(answer, list) else answer for answer in chosen]


def deduplicate_rows(**columns: Iterable[str | bytes] | None) -> UniqueRows:
    """Build rows from the columns given (`texts`, `text_pairs`, ...).

    The signature's inputs have the columns' names in the singular.

    Raises:
        InvalidRequest: A column is not a list of texts, or the columns differ in length.
    """
    given = {
        name.removesuffix("s"): _encode_column(name, column)
        for name, column in columns.items()
        if column is not None or name not in OPTIONAL
    }
    counts = {name: len(column) for name, column in given.items()}
    if len(set(counts.values())) > 1:
        first, *others = given
        other = next(name for name in others if counts[name] != counts[first])
        first, second = (name.removeprefix("text_") for name in (first, other))
        raise InvalidRequest(f"Every {first} needs its own {second}: got {counts}.")
    indices: dict[tuple[bytes, ...], int] = {}
    positions = [indices.setdefault(row, len(indices)) for row in zip(*given.values(), strict=True)]
    return UniqueRows(tuple(given), list(indices), positions)


def check_strings(name: str, strings: Iterable[str | bytes] | None) -> list[str | bytes]:
    """Return `strings` as a list; raise InvalidRequest unless all are str or bytes."""
    if isinstance(strings, (str, bytes)):
        raise InvalidRequest(
            f"{name} is one string, {str(strings[:40])!r}, where a list of strings is needed. "
            "Put it in brackets: [text]."
        )
    if not isinstance(strings, Iterable):
        raise InvalidRequest(
            f"{name} is {_shorten(strings)} of type {type(strings).__name__}, where a list of "
            "strings is needed."
        )
    strings = list(strings)
    for position, string in enumerate(strings):
        if not isinstance(string, (str, bytes)):
            raise InvalidRequest(
                f"{name}[{position}] is {_shorten(string)} of type {type(string).__name__}, not a "
                "string."
            )
    return strings


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def _encode_column(name: str, texts: Iterable[str | bytes] | None) -> list[bytes]:
    encoded = []
    for position, text in enumerate(check_strings(name, texts)):
        try:
            encoded.append(text if isinstance(text, bytes) else text.encode())
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"{name}[{position}] cannot be sent as UTF-8: {error}.") from None
    return encoded
