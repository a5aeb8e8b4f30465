"""Phrases that no page, doc or message may use; docs/concepts.md names the words to use instead."""

from __future__ import annotations

import re

PHRASES = (
    "what it brought", "It brought", "Waits for a person", "Unwell", "is unwell", "Nothing runs now",
    "Leave it as it is", "take back", "Switch off", "Switch on", "Switched off", "Done:", "What we learned",
    "Write what we learned", "A slate of it", "Shrunk", "display only", "Detectable now",
    "Looks, as numbers", "looked at at any time", "neither yet", "the look before", "Different items",
    "seen in two variants", "complete of", "planned units", "sequential 95", "Read back",
    "by itself ships", "ships a winner", "Half and half", "nobody changes variant", "met its variant",
    "What is tried", "Who is compared", "What decides", "By which rule", "For whom", "Declared",
    "Declare a", "Liked events", "On what was recorded", "Became:", "Made of", "Whoever uses",
    "answers nobody", "Facts that wait", "Open breakers", "you are no member of", "Back to the beginning",
    "Good is", "What to", "Keys, members, audit", "of a person's", "Roll back None", "Doubtful",
    "Mended", "of one's own", "own model", "at the most", "no more than", "not less than",
    "all the same", "lately", "a model of yours", "with a chance of", "of before", "per cent",
)  # fmt: skip
PATTERN = re.compile("|".join(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])" for phrase in PHRASES))


def find_banned(text: str) -> list[str]:
    """Return the phrases of a text that are not to be used, with what stands around them."""
    return [
        " ".join(text[max(found.start() - 30, 0) : found.end() + 20].split())
        for found in PATTERN.finditer(text)
    ]
