"""What a page shows: its text and the attributes that people read or hear."""

from __future__ import annotations

from html.parser import HTMLParser

SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-confirm", "data-fallback")
UNREAD = ("script", "style", "code", "kbd", "q", "blockquote", "textarea")
VOID = ("input", "meta", "link", "br", "img", "hr")


class PageText(HTMLParser):
    """Collects what is read, but for code, what people wrote, and what is marked as another language.

    Attributes:
        pieces: texts in their order.
        language: of the page.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.language = ""
        self._silent: list[bool] = [False]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        if tag == "html":
            self.language = fields.get("lang") or ""
        foreign = fields.get("lang", self.language) != self.language
        silent = self._silent[-1] or tag in UNREAD or foreign
        if not silent:
            self.pieces += [text for name in SPOKEN if (text := fields.get(name))]
        if tag not in VOID:
            self._silent.append(silent)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and len(self._silent) > 1:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent[-1] and data.strip():
            self.pieces.append(" ".join(data.split()))
