"""Common parts of the HTML pages: templates, filters, writing; pages fetch nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from tfpipe.io.atomic import write_text
from tfpipe.text_display import shorten


def make_environment(package: str, filters: dict[str, Callable[..., Any]]) -> Environment:
    """Return the templates of a package, which may extend base.html, with filters.

    Args:
        package: Name of the package with the templates.
        filters: Filters by name, in addition to the common ones.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("tfpipe.report", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": format_number,
        "short": shorten,
        "words": lambda name: name.replace("_", " ").replace("f1", "F1"),
        "percent": "{:.0%}".format,
        "digest": _digest,
        **filters,
    }
    return environment


def write_html(path: str | Path, page: str) -> None:
    """Write a page as UTF-8, atomically; raises OSError."""
    # Half of a surrogate pair, which JSON may have, has no UTF-8 form.
    write_text(Path(path), page.encode("utf-8", errors="replace").decode("utf-8"))


def format_number(value: object) -> str:
    """Return a value for display: 1,234 and 0.915; NaN and None become a dash."""
    if value is None or value != value:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        return str(value)
    if isinstance(value, (int, np.integer)) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _digest(script: str) -> str:
    """Return a script's hash for the page's content security policy, which allows no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
