"""JSON format of floating-point numbers, as TensorFlow Serving writes them."""

from __future__ import annotations

from array import array as typed_array

import numpy as np

# Formatting holds the GIL; between chunks other threads can run.
CHUNK = 4096
SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def format_numbers(array: np.ndarray) -> list[str]:
    """Format the elements of a float32 or float64 array, flattened.

    Six significant digits where these round-trip, else 9 (float32) or 17 (float64); whole numbers
    end in ".0". NaN and infinities are bare words, which is not strict JSON (util/json_tensor.cc).
    """
    values = array.ravel().tolist()
    code, digits = ("f", 9) if array.dtype == np.float32 else ("d", 17)
    if len(values) <= CHUNK:
        return _format_chunk(values, code, digits)
    numbers: list[str] = []
    for start in range(0, len(values), CHUNK):
        numbers += _format_chunk(values[start : start + CHUNK], code, digits)
    return numbers


def _format_chunk(values: list[float], code: str, digits: int) -> list[str]:
    # One format string for all elements, and lists: faster than numpy for the ten to some hundred
    # numbers of a typical response.
    short = _format_all("%.6g ", values)
    back = typed_array(code, map(float, short))
    full = _format_all(f"%.{digits}g ", values)
    chosen = [
        six if read == value else all_digits
        for six, read, value, all_digits in zip(short, back, values, full, strict=True)
    ]
    return [
        number if "." in number or "e" in number else SPECIAL.get(number) or number + ".0"
        for number in chosen
    ]


def _format_all(form: str, values: list[float]) -> list[str]:
    return (form * len(values) % tuple(values)).split()
