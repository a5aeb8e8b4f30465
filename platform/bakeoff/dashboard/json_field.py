"""JSON in a form."""

from __future__ import annotations

from typing import Any

import orjson
from django import forms
from django.utils.translation import gettext as _

from experiments import bounds


class JsonField(forms.CharField):
    """JSON in a text box."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def __init__(self, kind: type, **options: Any) -> None:
        """Accept JSON of one kind only."""
        super().__init__(required=False, **options)
        self.kind = kind

    def prepare_value(self, value: Any) -> Any:
        """Show what is stored as JSON, and nothing where it is empty."""
        if not isinstance(value, dict | list):
            return value
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if value else ""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare values, not how they are written."""
        try:
            return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))
        except forms.ValidationError:
            return True

    def to_python(self, value: Any) -> Any:
        """Parse.

        Raises:
            ValidationError: it is not JSON, of another kind, or what no database can hold.
        """
        text = super().to_python(value)
        if not text:
            return self.kind()
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            where = {"line": error.lineno, "column": error.colno}
            raise forms.ValidationError(
                _("Not JSON at line %(line)s, column %(column)s.") % where, code="json"
            ) from error
        if not isinstance(parsed, self.kind):
            raise forms.ValidationError(_("Must be a JSON %(kind)s.") % {"kind": self.kind.__name__})
        try:
            bounds.check(parsed, "value")
        except bounds.BoundsError as error:
            raise forms.ValidationError(str(error), code=error.code) from error
        return parsed
