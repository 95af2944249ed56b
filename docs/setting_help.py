"""For the API reference: the help of a configuration's field is its documentation."""

from __future__ import annotations

import ast
from typing import Any

import griffe


class SettingHelp(griffe.Extension):
    """Read `setting(default, help, ...)` as a field with a default and a docstring."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Give a field of a configuration the help that its command line shows."""
        value = attr.value
        if isinstance(value, griffe.ExprCall) and str(value.function) == "setting":
            default, help_text = value.arguments[:2]
            attr.value = default
            text = ast.literal_eval(str(help_text))
            attr.docstring = griffe.Docstring(text[:1].upper() + text[1:] + ".", parent=attr)
