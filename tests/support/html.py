"""Read pages by their data attributes and roles, whatever they say and in whatever language."""

from __future__ import annotations

from html.parser import HTMLParser


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[dict[str, str]] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append({"tag": tag, **{name: value or "" for name, value in attrs}})


def elements(page: str, **wanted: str) -> list[dict[str, str]]:
    """Return the attributes of the elements that have these; `data_state` stands for `data-state`."""
    reader = _Reader()
    reader.feed(page)
    required = {name.replace("_", "-"): value for name, value in wanted.items()}
    return [one for one in reader.elements if required.items() <= one.items()]


def has(page: str, **wanted: str) -> bool:
    """Whether a page has an element with these attributes."""
    return bool(elements(page, **wanted))
