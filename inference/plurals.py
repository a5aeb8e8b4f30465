"""Counted nouns in English sentences: of commands, of runs, of what is stored."""

from __future__ import annotations


def counted(count: int, noun: str, one: str = "", several: str = "") -> str:
    """Return "1 row" or "2 rows"; with a verb in both forms "1 row repeats", "2 rows repeat"."""
    subject = f"{count} {noun}" if count == 1 else f"{count} {noun}s"
    return f"{subject} {verb(count, one, several)}" if one else subject


def verb(count: int, one: str = "is", several: str = "are") -> str:
    """Return the verb that a count takes."""
    return one if count == 1 else several
