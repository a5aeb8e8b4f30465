"""Write the audit entry of a load: rows that a person brings in from a file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bakeoff.accounts.audit import record_audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def record_load(
    project_id: int, *, by: str, what: str, progress: Callable[[int], None]
) -> Iterator[Callable[[int], None]]:
    """Count the rows of a load and record them when it ends, however it ends.

    A load commits chunk by chunk, so what an interrupted one has written stays: the trail names it.

    Args:
        project_id: whose trail.
        by: who loads.
        what: is loaded: "items", "users".
        progress: is called with the number of rows of each chunk.

    Yields:
        A function to call in place of `progress`.
    """
    rows = 0

    def count(committed: int) -> None:
        nonlocal rows
        rows += committed
        progress(committed)

    try:
        yield count
    finally:
        if rows:
            record_audit(
                project_id,
                actor=by,
                action="load",
                subject=f"{rows} {what}",
                detail={"rows": rows, "what": what},
            )
