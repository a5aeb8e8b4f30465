"""Read a page's form as a browser would send it."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser

# What a browser sends of a box without a value; of a text without one it sends nothing.
UNSENT = {"checkbox": "on", "radio": "on"}


class _Reader(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id, self.inside = form_id, False
        self.fields: dict[str, list[str]] = {}
        self.select = self.textarea = ""

    def handle_starttag(self, tag, attrs):
        about = dict(attrs)
        if tag == "form":
            self.inside = about.get("id") == self.form_id
        if not self.inside or "disabled" in about:
            return
        name, value = about.get("name") or "", about.get("value")
        kind = about.get("type", "text")
        if tag == "input" and name and (kind not in {"checkbox", "radio"} or "checked" in about):
            self.fields.setdefault(name, []).append(UNSENT.get(kind, "") if value is None else value)
        elif tag == "select":
            self.select = name
        elif tag == "option" and "selected" in about and self.select:
            self.fields.setdefault(self.select, []).append(value or "")
        elif tag == "textarea":
            self.textarea = name
            self.fields[name] = [""]

    def handle_endtag(self, tag):
        if tag == "form":
            self.inside = False
        elif tag == "textarea":
            self.textarea = ""
        elif tag == "select":
            self.select = ""

    def handle_data(self, data):
        if self.textarea:
            self.fields[self.textarea][0] += data.removeprefix("\r\n").removeprefix("\n")


def read_form(page: str, form_id: str) -> dict[str, list[str]]:
    """Return the fields of a form with the values that an unchanged submit would send."""
    reader = _Reader(form_id)
    reader.feed(page)
    return reader.fields


def row_fields(prefix: str, *entries: Mapping[str, object]) -> dict[str, str]:
    """Return the fields that a browser sends of a list's rows."""
    fields = {f"{prefix}-TOTAL_FORMS": str(len(entries)), f"{prefix}-INITIAL_FORMS": "0"}
    return fields | {
        f"{prefix}-{n}-{name}": str(value)
        for n, row in enumerate(entries)
        for name, value in row.items()
    }


def pair_fields(control: object = "", treatment: object = "", *, share: float = 50) -> dict[str, str]:
    """Return the fields of two variants: primary keys of their models, and the treatment's share in %."""
    return row_fields(
        "variants",
        {"key": "control", "version": control, "share": 100 - share},
        {"key": "treatment", "version": treatment, "share": share},
    )
