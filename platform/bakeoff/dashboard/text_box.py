"""Texts of several lines in a form."""

from __future__ import annotations

from typing import Any

from django import forms


def unify_line_ends(text: str) -> str:
    r"""Return a text with `\n` at the end of a line: a browser counts one character and sends two."""
    return text.replace("\r\n", "\n")


class TextBoxField(forms.CharField):
    """A text of several lines, as long as its text box lets one type."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        """Read the text with one character per end of a line."""
        return unify_line_ends(super().to_python(value) or "")
