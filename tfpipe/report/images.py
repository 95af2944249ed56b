"""Conversion of figures to pixels for TensorBoard and to SVG for the page."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Each has a counterpart that is visible on a dark background, too (base.html).
PAGE_COLOURS = ("#2b6cb0", "#d9481c", "#2f9e63", "#8a5cc2", "#b7860b")


def pixels(figure: Figure) -> np.ndarray:
    """Return the figure on white as uint8 [height, width, 3], 100 pixels an inch."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def svg(figure: Figure) -> str:
    """Return the figure as one <svg> element: text stays text, black and white adapt to the page.

    The same figure gives the same string, and its ids begin with the figure's label, so that
    several pictures can share a page.
    """
    buffer = io.BytesIO()
    look: Any = {"svg.fonttype": "none", "svg.hashsalt": "tfpipe"}
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(look), warnings.catch_warnings():
        # The browser's fonts draw the text; what matplotlib's own lack does not matter here.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format="svg", facecolor="none", metadata=nothing)
    text = buffer.getvalue().decode("utf-8")
    text = re.sub(r"<!--.*?-->\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Text content has no "<" left, so these replacements touch markup only.
    return re.sub(r"<[^<>]+>", lambda tag: _fit_to_page(tag[0], str(figure.get_label())), text)


def _fit_to_page(tag: str, label: str) -> str:
    tag = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{label}-", tag)
    for number, colour in enumerate(PAGE_COLOURS, start=1):
        tag = tag.replace(colour, f"var(--line-{number})")
    return tag.replace("#000000", "currentColor").replace("#ffffff", "var(--card)")
