"""Lists and pairs in a form, as people write them: one a line, or separated by commas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from django.utils.translation import gettext as _

from bakeoff.dashboard.text_box import TextBoxField
from experiments import bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LINES = 10_000


class LinesField(TextBoxField):
    """A list of texts, one a line."""

    def __init__(self, *, rows: int = 4, **options: Any) -> None:
        """Make a text box of some rows."""
        box = forms.Textarea(attrs={"rows": rows, "spellcheck": "false"})
        super().__init__(required=False, widget=box, **options)

    def prepare_value(self, value: Any) -> Any:
        """Show a list as it is typed."""
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the lines that are not empty.

        Raises:
            ValidationError: too many.
        """
        lines = [line.strip() for line in super().to_python(value).splitlines()]
        texts = [line for line in lines if line]
        if len(texts) > MAX_LINES:
            raise forms.ValidationError(_("At most %(most)s lines.") % {"most": f"{MAX_LINES:,}"})
        return texts

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare lists, not their blanks."""
        try:
            return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))
        except forms.ValidationError:
            return True


class PairsField(LinesField):
    """Names with values, one a line: `country = DE`. Numbers, true and false are read as such."""

    def prepare_value(self, value: Any) -> Any:
        """Show pairs as they are typed."""
        if not isinstance(value, dict):
            return value
        return "\n".join(f"{name} = {_write(one)}" for name, one in value.items())

    def to_python(self, value: Any) -> Any:
        """Return the values by their names.

        Raises:
            ValidationError: a line without “=”, a name that stands twice, or what no database can hold.
        """
        pairs: dict[str, Any] = {}
        for number, line in enumerate(TextBoxField.to_python(self, value).splitlines(), start=1):
            if not line.strip():
                continue
            name, equals, text = (part.strip() for part in line.partition("="))
            if not name or not equals:
                words = {"line": number, "text": line.strip()[:60]}
                raise forms.ValidationError(
                    _("Line %(line)s: “%(text)s” must be a name, “=” and a value.") % words
                )
            if name in pairs:
                words = {"line": number, "text": name[:60]}
                raise forms.ValidationError(_("Line %(line)s: “%(text)s” stands there twice.") % words)
            pairs[name] = _read(text)
        try:
            bounds.check(pairs, "value")
        except bounds.BoundsError as error:
            raise forms.ValidationError(str(error), code=error.code) from error
        return pairs


class NumbersField(forms.CharField):
    """Numbers that are separated by commas."""

    def prepare_value(self, value: Any) -> Any:
        """Show a list as it is typed."""
        return ", ".join(f"{one:.10g}" for one in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the numbers.

        Raises:
            ValidationError: one is none.
        """
        numbers = []
        for part in (super().to_python(value) or "").replace("，", ",").split(","):
            if not part.strip():
                continue
            try:
                numbers.append(float(part))
            except ValueError as error:
                words = {"text": part.strip()[:40]}
                raise forms.ValidationError(_("“%(text)s” is no number.") % words) from error
        return numbers


def _write(value: Any) -> str:
    """Return a value as it is typed: what would be read as something else stands in quotes."""
    if isinstance(value, str) and "\n" not in value and _read(value) == value:
        return value
    return orjson.dumps(value).decode()


def _read(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by their dotted names as objects in objects; what is None is left out."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        *path, last = name.split(".")
        place = whole
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return whole
