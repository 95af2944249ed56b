"""Lines of bytes that are read in one encoding, to judge whether it is theirs."""

from __future__ import annotations

from typing import ClassVar


class DecodedLines:
    """Decodes lines until one is not valid; subclasses count what is in their text.

    Attributes:
        codec: Python's name of the encoding.
        valid: Whether all lines so far are valid in it.
    """

    codec: ClassVar[str]

    def __init__(self) -> None:
        self.valid = True

    def add(self, line: bytes) -> None:
        """Count what is in a line, unless this or an earlier one is not valid."""
        if not self.valid:
            return
        try:
            text = line.decode(self.codec)
        except UnicodeDecodeError:
            self.valid = False
        else:
            self._count(text)

    def _count(self, text: str) -> None:
        raise NotImplementedError
