"""A labelled text before it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class ExampleDraft:
    """A labelled text to be written.

    Attributes:
        example_id: its name; empty to name it by its content.
        text: what is labelled.
        label: its label.
        features: what else is known.
        labelled_at: when; None for now.
    """

    example_id: str
    text: str
    label: str
    features: Mapping[str, Any] = field(default_factory=dict)
    labelled_at: datetime | None = None
