"""How a web process asks a worker which items' texts are nearest to a question: by `model_rpc`.

A question names the project and the text; the reply is a list of numbers, as every reply is: the
database ids of items and their cosines in turn, filled up with zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inference.serving.models import RemoteModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NEAREST_TEXTS = "nearest texts"  # in the place of an artifact's digest
MAX_NEAREST = 100
DEADLINE_MS = 300  # the words alone answer after it
MODEL = RemoteModel(digest=NEAREST_TEXTS, form=NEAREST_TEXTS, deadline_ms=DEADLINE_MS)


def ask_for(project: int, text: str) -> dict[str, Any]:
    """Return a question."""
    return {"project": project, "seek": text}


def pack(nearest: Iterable[tuple[int, float]]) -> list[float]:
    """Return a reply.

    Args:
        nearest: ids of items and cosines, best first, at most `MAX_NEAREST`.
    """
    numbers = [number for one in nearest for number in one]
    return [*map(float, numbers), *[0.0] * (2 * MAX_NEAREST - len(numbers))]


def unpack(numbers: Sequence[float]) -> list[int]:
    """Return the ids of a reply, best first."""
    return [int(number) for number in numbers[::2] if number]
