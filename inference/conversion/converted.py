"""What a conversion gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ConversionError(Exception):
    """A model that cannot be carried over; the message says why."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A model as a graph.

    Attributes:
        graph: ONNX, in one piece.
        labels: as the model names them, in the order of its output's columns; empty where it does not.
        inputs: what each input reads, where the model says it.
    """

    graph: bytes
    labels: Sequence[str] = ()
    inputs: Mapping[str, Sequence[str]] = field(default_factory=dict)


def first_line(error: Exception) -> str:
    """Return the beginning of what an error says."""
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:300].rstrip(".")
