"""What a test of a verb of the pages needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """One submitted form: where, what, how to see in the database that it was done, and on which page."""

    address: str
    body: dict[str, Any]
    is_done: Callable[[], bool]
    page: str
    shows: dict[str, str] = field(default_factory=dict)
    shows_no_more: dict[str, str] = field(default_factory=dict)
