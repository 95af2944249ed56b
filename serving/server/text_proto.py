"""Reader of text-format protobuf files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format

from serving.server.errors import RequestError, invalid_argument

logger = logging.getLogger(__name__)


def read_text_proto(path: Path, message: Any, quotable: bool = True) -> Any:
    """Fill `message` from a file.

    Args:
        path: Text-format protobuf file.
        message: Message to fill.
        quotable: Log the parser's message; False for a file with keys, which it may quote.

    Returns:
        `message`.

    Raises:
        RequestError: With TensorFlow Serving's message.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        code = grpc.StatusCode.NOT_FOUND if missing else grpc.StatusCode.FAILED_PRECONDITION
        raise RequestError(code, f"{path}; {error.strerror}") from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        name = message.DESCRIPTOR.full_name
        reason = f": {error}" if quotable else ""
        logger.error("Error parsing text-format %s: %s%s", name, path, reason)
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from None
