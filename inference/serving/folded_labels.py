"""What counts as one label: spellings that differ in case, in blanks, or in how Unicode writes them."""

from __future__ import annotations

import unicodedata


def fold_label(label: str) -> str:
    """Return what all spellings of one label have in common."""
    # Normalised again: casefold may leave characters that NFKC writes in another way.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    return " ".join(folded.split())
