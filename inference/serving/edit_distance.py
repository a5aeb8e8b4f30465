"""How much of an answer a person changed before it was used: Levenshtein's distance, normalised."""

from __future__ import annotations

import numpy as np

MAX_COMPARED = 4000  # characters of each; the time is their product


def edit_share(before: str, after: str) -> float:
    """Return the share of the longer text that must be changed: 0 for the same text, 1 for another.

    The distance of Levenshtein (insert, delete, replace, each 1) over the length of the longer text. A
    row of the table is one step of numpy: what an insertion adds along the row is a running minimum of
    the row less its places (Hyyrö and Navarro do the same with bits).

    Args:
        before: the answer.
        after: the text that was used. Of each the first `MAX_COMPARED` characters are compared.
    """
    first = np.frombuffer(before[:MAX_COMPARED].encode("utf-32-le"), dtype=np.uint32)
    second = np.frombuffer(after[:MAX_COMPARED].encode("utf-32-le"), dtype=np.uint32)
    if not len(first) or not len(second):
        return float(len(first) != len(second))
    places = np.arange(len(second) + 1)
    row = places.copy()
    for number, character in enumerate(first, start=1):
        replaced = row[:-1] + (second != character)
        following = np.minimum(row + 1, np.concatenate(([number], replaced)))
        row = np.minimum.accumulate(following - places) + places
    return float(row[-1] / max(len(first), len(second)))
