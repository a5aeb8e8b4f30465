"""Phrases that are not to be used; docs/concepts.md and the pages have the words to use instead."""

from __future__ import annotations

import re

# Neither on a page nor in a doc, a docstring or a message.
PHRASES = (
    "what it brought", "It brought", "Waits for a person", "Unwell", "is unwell", "Nothing runs now",
    "Leave it as it is", "take back", "Switched off", "A slate of it", "Looks, as numbers",
    "looked at at any time", "neither yet", "Read back", "ships a winner by itself", "Half and half",
    "nobody changes variant", "met its variant", "On what was recorded", "answers nobody",
    "Facts that wait", "you are no member of", "Back to the beginning", "Keys, members, audit",
    "Mended", "of one's own", "own model", "at the most", "no more than", "all the same",
    "a model of yours", "of before",
)  # fmt: skip
# On pages: what engineers write in docs is not what users of the dashboard read.
ON_PAGES = (
    "Switch off", "Switch on", "Done:", "What we learned", "Shrunk", "display only", "Detectable now",
    "the look before", "Different items", "seen in two variants", "complete of", "planned units",
    "sequential 95", "What is tried", "Who is compared", "What decides", "By which rule", "For whom",
    "Declare", "Declared", "Liked events", "Became:", "Made of", "Whoever uses", "Open breakers", "Good is",
    "What to", "Roll back None", "Doubtful", "lately", "per cent",
)  # fmt: skip


def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])" for phrase in phrases))


ANYWHERE, PAGES = _pattern(PHRASES), _pattern((*PHRASES, *ON_PAGES))


def find_banned(text: str, *, on_page: bool = False) -> list[str]:
    """Return the phrases of a text that are not to be used, with what stands around them."""
    return [
        " ".join(text[max(hit.start() - 30, 0) : hit.end() + 20].split())
        for hit in (PAGES if on_page else ANYWHERE).finditer(text)
    ]
