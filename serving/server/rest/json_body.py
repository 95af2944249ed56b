"""Parsing of REST bodies, and quoting of JSON values in errors as TensorFlow Serving does.

TensorFlow Serving parses with RapidJSON 1.1.0. Python's parser accepts the same documents at C
speed; only its errors are converted to RapidJSON's messages and offsets.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.server.errors import RequestError, invalid_argument
from serving.server.rest.json_numbers import format_numbers

DECODER = json.JSONDecoder()
SPACE = re.compile(r"[ \t\n\r]*")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)
LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2})(?!\\u[dD][c-fC-F])"
)
# Values are truncated in errors: a response must not be larger than its request.
MAX_QUOTE = 2**16
# A missing comma in an array or an object is distinguished by tokenizing all text before it.
MAX_RESCAN = 2**20
LARGEST_FLOAT32 = 3.4028234e38


@dataclass(frozen=True)
class JsonDocument:
    """JSON object, its source bytes, and the error handler that re-encodes its strings."""

    value: dict[str, Any]
    body: bytes
    errors: str

    def encode(self, text: str) -> bytes:
        """Return the original bytes of a string, valid UTF-8 or not."""
        try:
            return text.encode()
        except UnicodeEncodeError:
            lone = LONE_SURROGATE.search(self.body)
            if lone:
                raise parse_error(
                    "The surrogate pair in string is invalid.", lone.start(2)
                ) from None
            return text.encode("utf-8", self.errors)


def parse_body(body: bytes) -> JsonDocument:
    """Parse the JSON object at the start of a body, ignoring the rest; raises RequestError."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        text, errors = body.decode(), "surrogatepass"
    except UnicodeDecodeError:
        text, errors = body.decode("utf-8", "surrogateescape"), "surrogateescape"
    start = SPACE.match(text, 1 if text.startswith("\ufeff") else 0).end()  # type: ignore[union-attr]
    try:
        value, _ = DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        reason, position = describe_parse_error(text, start, error)
        offset = len(text[:position].encode("utf-8", errors))
        raise parse_error(reason, offset) from None
    except RecursionError:
        raise TOO_DEEP from None
    except ValueError:
        # Python rejects integers of thousands of digits.
        raise parse_error("Number too big to be stored in double.", 0) from None
    if not isinstance(value, dict):
        raise format_error(value, "Is not object")
    return JsonDocument(value, body, errors)


TOO_DEEP = invalid_argument("JSON Parse error: Lists and objects are nested too deeply.")


def parse_error(reason: str, offset: int) -> RequestError:
    """Build the error for a body that is not JSON."""
    return invalid_argument(f"JSON Parse error: {reason} at offset: {offset}")


def format_error(value: Any, problem: str) -> RequestError:
    """Build the error for a value of the wrong form."""
    return invalid_argument(f"JSON Value: {quote_json(value)} {problem}")


def quote_json(value: Any) -> str:
    """Format a JSON value for an error message: indented by four, truncated."""
    if isinstance(value, float):
        dtype = np.float32 if abs(value) <= LARGEST_FLOAT32 else np.float64
        return format_numbers(np.array([value], dtype))[0]
    pieces, length = [], 0
    for piece in json.JSONEncoder(ensure_ascii=False, indent=4).iterencode(value):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_QUOTE:
            return "".join(pieces)[:MAX_QUOTE] + "..."
    return "".join(pieces)


def json_type_name(value: Any) -> str:
    """Return RapidJSON's name for the type of a value."""
    if isinstance(value, bool):
        return str(value)
    names = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
    return names.get(type(value), "Null")


def describe_parse_error(text: str, start: int, error: json.JSONDecodeError) -> tuple[str, int]:
    """Return RapidJSON's message for Python's error, and the character where it would stop."""
    position, found = error.pos, error.msg
    if start >= len(text):
        return "The document is empty.", start
    if found.startswith("Unterminated string"):
        return "Missing a closing quotation mark in string.", len(text)
    if found.startswith("Invalid control character"):
        return "Invalid escape character in string.", position
    if found.startswith("Invalid \\u"):
        hexadecimal = text.rfind("\\", 0, position + 1)
        return "Incorrect hex digit after \\u escape in string.", hexadecimal
    if found.startswith("Invalid \\"):
        return "Invalid escape character in string.", text.rfind("\\", 0, position + 1)
    if found.startswith("Expecting property name"):
        return "Missing a name for object member.", position
    if found.startswith("Illegal trailing comma before end of object"):
        return "Missing a name for object member.", text.find("}", position)
    if found.startswith("Illegal trailing comma before end of array"):
        return "Invalid value.", text.find("]", position)
    if found.startswith("Expecting ':'"):
        return "Missing a colon after a name of object member.", position
    if found.startswith("Expecting ','"):
        return _describe_comma(text, position)
    return "Invalid value.", _skip_literal(text, position)


def _describe_comma(text: str, position: int) -> tuple[str, int]:
    after_digit = text[position - 1 : position].isdigit()
    if after_digit and text[position : position + 1] == ".":
        return "Miss fraction part in number.", position + 1
    if after_digit and text[position : position + 1] in ("e", "E"):
        sign = text[position + 1 : position + 2] in ("+", "-")
        return "Miss exponent in number.", position + (2 if sign else 1)
    nesting = ["{"]
    if position <= MAX_RESCAN:
        nesting = []
        for token in TOKEN.finditer(text, 0, position):
            if token[0] in "[{":
                nesting.append(token[0])
            elif token[0] in "]}":
                nesting.pop()
    if nesting[-1:] == ["["]:
        return "Missing a comma or ] after an array element.", position
    return "Missing a comma or } after an object member.", position


def _skip_literal(text: str, position: int) -> int:
    # In a misspelt literal, RapidJSON stops at the first wrong character.
    if text[position : position + 1] == "-":
        position += 1
    for literal in ("null", "true", "false", "NaN", "Infinity"):
        if text[position : position + 1] == literal[0]:
            for expected in literal:
                if text[position : position + 1] != expected:
                    return position
                position += 1
    return position
