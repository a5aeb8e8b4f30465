"""Names of themes: the words that are typical of a group of texts, as several users wrote them.

The weight of a word in a group is p log(p / q): p is the share of the group's users who wrote it, q the
share of all users. Their sum over words is how far the group's words are from everybody's (Kullback and
Leibler); a word that everybody writes weighs nothing, however often the group writes it. Class-based
TF-IDF, p log(1 + A / f), is the same idea for many groups, and lets "love" and "like" stand first where
there are few. Words of Latin and other alphabets are also taken in pairs; Chinese and Japanese, which
put no blanks between words, as sequences of two to four characters.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_WORDS = 8
MIN_USERS = 3  # who wrote a word: what one user wrote may name somebody, whatever redaction removed
_WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff]+(?:['’-][^\W\d_\u3040-\u30ff\u3400-\u9fff]+)*")
# Sequences end at words of grammar, and none begins or ends with a word that only joins others.
_IDEOGRAPHS = re.compile(
    r"(?:(?![的了吗呢吧啊我你您他她它们是就都也很还这那和与把被么什怎哪])[\u3040-\u30ff\u3400-\u9fff])+"
)
_JOINING = frozenset("在有给到想要能可以会几多少个请让对为着过得地上下里帮")
_SENTENCE_END = re.compile(r"[.!?;:,，。！？；：\n]+")


def terms_in(text: str) -> set[str]:
    """Return the words, pairs of words and sequences of characters of a text, folded."""
    from sklearn.feature_extraction.text import (  # noqa: PLC0415  a second of import
        ENGLISH_STOP_WORDS,
    )

    terms: set[str] = set()
    for part in _SENTENCE_END.split(text.casefold().replace("’", "'")):
        words = _WORD.findall(part)
        is_content = [
            len(word) > 2 and word not in ENGLISH_STOP_WORDS and "'" not in word for word in words
        ]
        terms.update(word for word, is_one in zip(words, is_content, strict=True) if is_one)
        for (first, is_first), (second, is_second) in pairwise(zip(words, is_content, strict=True)):
            if is_first and is_second:
                terms.add(f"{first} {second}")
        for run in _IDEOGRAPHS.findall(part):
            grams = {run[n : n + size] for size in (2, 3, 4) for n in range(len(run) - size + 1)}
            terms |= {gram for gram in grams if not {gram[0], gram[-1]} & _JOINING}
    return terms


def typical_words(groups: Sequence[Iterable[tuple[str, str]]]) -> list[list[str]]:
    """Return the words of each group but the last, the most typical first.

    Args:
        groups: unit and text of each group's texts; the last group holds what belongs to none.

    A group may have fewer than `MAX_WORDS`, and none where its users share no word.
    """
    counts = [_users_by_term(group) for group in groups]
    everywhere: Counter[str] = Counter()
    for users, _ in counts:
        everywhere.update(users)
    everyone = sum(size for _, size in counts)
    return [_choose(users, size, everywhere, everyone) for users, size in counts[:-1]]


def _users_by_term(group: Iterable[tuple[str, str]]) -> tuple[Counter[str], int]:
    by_unit: dict[str, set[str]] = {}
    for unit, text in group:
        by_unit.setdefault(unit, set()).update(terms_in(text))
    return Counter(term for terms in by_unit.values() for term in terms), len(by_unit)


def _choose(users: Counter[str], size: int, everywhere: Counter[str], everyone: int) -> list[str]:
    shares = {
        term: (count / size, everywhere[term] / everyone)
        for term, count in users.items()
        if count >= MIN_USERS
    }
    # Also a group that is everybody has a name: then no word is more typical than another.
    weights = {term: own * math.log(own / all_) for term, (own, all_) in shares.items() if own >= all_}
    chosen: list[str] = []
    # By the word itself where weights are equal, so that a name does not depend on the order of texts.
    for term in sorted(weights, key=lambda one: (-weights[one], -len(one), one)):
        if not any(_overlap(term, other) for other in chosen):
            chosen.append(term)
        if len(chosen) == MAX_WORDS:
            break
    return chosen


def _overlap(term: str, other: str) -> bool:
    """Whether a term repeats another one: a word of a pair, a part of a sequence, a plural."""
    if _IDEOGRAPHS.match(term) or _IDEOGRAPHS.match(other):
        return bool(_pairs(term) & _pairs(other))
    stems = {word.rstrip("s") for word in term.split()}
    return bool(stems & {word.rstrip("s") for word in other.split()})


def _pairs(term: str) -> set[str]:
    return {term[n : n + 2] for n in range(len(term) - 1)}
