"""CDNOW: 23,570 customers' orders of 18 months, from the wheel of Lifetimes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIFETIMES = ("Lifetimes==0.11.3", "lifetimes/datasets")
CUT = date(1997, 10, 1)  # what came before is known of a customer; what follows is the outcome
FIRST = date(1997, 1, 1)


@dataclass(frozen=True)
class Customers:
    """What is known of each customer before the cut, and spent after it.

    Attributes:
        before: dollars before, shape (customers,).
        history: dollars in all, the last quarter and the last sixteenth of the time before, orders, and
            how long ago the last and the first were, shape (customers, 6).
        after: dollars from the cut on, shape (customers,).
    """

    before: NDArray[np.float64]
    history: NDArray[np.float64]
    after: NDArray[np.float64]


def read_cdnow(home: Path) -> Customers:
    from inference.encoders.locate import fetch_from_wheel

    folder = fetch_from_wheel(*LIFETIMES, home / "datasets")
    orders: dict[str, list[tuple[int, float]]] = {}
    for line in (folder / "CDNOW_master.txt").read_text().splitlines():
        cells = line.split()
        if len(cells) == 4 and cells[1].isdigit():
            day = date.fromisoformat(f"{cells[1][:4]}-{cells[1][4:6]}-{cells[1][6:]}")
            orders.setdefault(cells[0], []).append(((CUT - day).days, float(cells[3])))
    span = (CUT - FIRST).days
    history, after = [], []
    for rows in orders.values():
        past = [(ago, dollars) for ago, dollars in rows if ago > 0]
        ago = [one for one, _ in past] or [span]
        sums = [sum(dollars for day, dollars in past if day <= span / part) for part in (1, 4, 16)]
        history.append([*sums, len(past), min(ago), max(ago)])
        after.append(sum(dollars for day, dollars in rows if day <= 0))
    known = np.array(history, dtype=float)
    return Customers(before=known[:, 0], history=known, after=np.array(after))
