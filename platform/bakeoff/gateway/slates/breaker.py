"""A breaker a version: a model that fails is left alone for a while, and its fallback answers."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

# Three in a row open it soon after a model has died; ten of twenty when it fails now and then.
REMEMBERED = 20
FAILURES_IN_A_ROW = 3
FAILURES_OF_REMEMBERED = 10
FIRST_PAUSE_SECONDS = 5.0
MAX_PAUSE_SECONDS = 60.0


@dataclass(slots=True)
class Breaker:
    """Closed, open until a moment, or half open: one request tries, the others do not wait."""

    outcomes: deque[bool] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    open_until: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    trying: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it has opened and no try has succeeded since."""
        return self.open_until > 0

    def lets_through(self) -> bool:
        """Whether a request may ask the model now."""
        if not self.is_open:
            return True
        # One request tries; the others must not wait for a model that is probably still away.
        if self.trying or time.monotonic() < self.open_until:
            return False
        self.trying = True
        return True

    def succeeded(self) -> None:
        """Note an answer."""
        self.outcomes.append(True)
        if self.is_open:
            self.outcomes.clear()
            self.open_until, self.pause, self.trying = 0.0, FIRST_PAUSE_SECONDS, False

    def failed(self) -> None:
        """Note a failure; open when there were many."""
        self.outcomes.append(False)
        recent = list(self.outcomes)
        in_a_row = len(recent) >= FAILURES_IN_A_ROW and not any(recent[-FAILURES_IN_A_ROW:])
        if self.trying or in_a_row or recent.count(False) >= FAILURES_OF_REMEMBERED:
            if self.is_open:
                # It failed again at its try: it gets longer to come back, but is never given up.
                self.pause = min(2 * self.pause, MAX_PAUSE_SECONDS)
            self.open_until, self.trying = time.monotonic() + self.pause, False
            self.outcomes.clear()
