"""One tile of a verdict: a headline that answers one question, and what stands below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Tone = Literal["good", "bad", "wait", ""]
TONES: dict[str, Tone] = {
    "ship": "good", "promote": "good", "confirm": "good",
    "roll_back": "bad", "halt": "bad", "lost": "bad",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the three.

    Attributes:
        title: what it answers.
        headline: the answer.
        lines: what stands below it, the most important line first.
        tone: whether that is good or bad news; a word says so too.
        action: whose sign stands before the headline; empty: none.
    """

    title: str
    headline: str
    lines: Sequence[str] = ()
    tone: Tone = ""
    action: str = ""
