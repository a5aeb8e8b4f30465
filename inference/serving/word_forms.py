"""Words as people type them: without accents and case, and one typing error away.

Pure, as the catalogue's words are stored by workers and commands, and sought by web processes.
"""

from __future__ import annotations

import re
import unicodedata
import zlib

# Letters that are written apart by no decomposition of Unicode's.
_APART = str.maketrans({
    "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i",
    "þ": "th", "ё": "е",
})  # fmt: skip
_FIRST_MARK, _LAST_MARK = "\u0300", "\u036f"
# Of other scripts a mark is another letter (й), or a vowel.
_LAST_GREEK = "\u03ff"
_EXTENDED = ("\u1e00", "\u1fff")  # Latin and Greek letters with their marks, as one character
# Words of an alphabet, whose letters are typed one by one; a number that is off by one is another.
_TYPED = re.compile(r"[a-z\u00df-\u024f\u0370-\u03ff\u0400-\u052f]+")
# A shorter word is near to everything; the most that a question may say in its place, an error less.
MIN_LETTERS, MAX_LETTERS = 4, 32


def fold(text: str) -> str:
    """Return a text without accents (Latin and Greek), widths and case: "Ｃａｆé" is "cafe"."""
    if text.isascii():
        return text.lower()
    letters: list[str] = []
    base = ""
    for one in unicodedata.normalize("NFKD", text):
        if _FIRST_MARK <= one <= _LAST_MARK:
            if base <= _LAST_GREEK or _EXTENDED[0] <= base <= _EXTENDED[1]:
                continue
        else:
            base = one
        letters.append(one)
    return unicodedata.normalize("NFC", "".join(letters).casefold()).translate(_APART)


def near_forms(folded: str) -> list[int]:
    """Return numbers that two folded words share when one letter tells them apart.

    The word, and the word without each of its letters (symmetric deletion): a letter that is wrong,
    missing, doubled or swapped with its neighbour leaves one of them in common. Words that differ by
    more may share one, too: `is_one_error` tells. Empty for what is no word of three to 33 letters.
    """
    if not MIN_LETTERS - 1 <= len(folded) <= MAX_LETTERS + 1 or not _TYPED.fullmatch(folded):
        return []
    forms = {folded, *(folded[:place] + folded[place + 1 :] for place in range(len(folded)))}
    # Half the size of texts. The same words on every server, unlike PostgreSQL's own hashes.
    return sorted(zlib.crc32(form.encode()) - 2**31 for form in forms)


def is_one_error(left: str, right: str) -> bool:
    """Whether two different words are one wrong, missing, added or swapped letter apart."""
    if abs(len(left) - len(right)) > 1 or left == right:
        return False
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    left, right = left[start:], right[start:]
    if len(left) != len(right):
        return left[1:] == right if len(left) > len(right) else left == right[1:]
    is_swap = left[:2] == right[1::-1] and left[2:] == right[2:]
    return left[1:] == right[1:] or is_swap
