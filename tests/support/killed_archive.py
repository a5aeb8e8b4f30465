"""`bakeoff archive` in a process that kills itself by SIGKILL at a point of its work.

    python -m tests.support.killed_archive POINT --months 3

What is wrapped goes on as it is, up to its point: nothing is flushed, no handler runs, and PostgreSQL
sees a connection that breaks.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Where, and whether before or after the work there; `half` is amid a copy to the archive.
POINTS = {
    "row noted": ("experiments.actions.archive_months", "scratch_file", "before"),
    "rows read": ("experiments.actions.archive_months", "put_file", "before"),
    "half of the file stored": ("experiments.archive.place", "shutil", "half"),
    "file stored and read back": ("experiments.actions.archive_months", "put_file", "after"),
    "file noted": ("experiments.actions.archive_months", "settle", "after"),
    "file committed": ("experiments.actions.archive_months", "_drop", "before"),
    "month dropped": ("experiments.actions.archive_months", "drop_partition", "after"),
    "files marked": ("experiments.actions.archive_months", "_mark", "after"),
    "drop committed": ("experiments.actions.archive_months", "_sums_of", "before"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wrapped(work: Callable[..., Any], when: str) -> Callable[..., Any]:
    """Return a function that dies before it does its work, or after."""

    def until(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            die()
        result = work(*arguments, **named)
        die()
        return result

    return until


class HalfCopies:
    """`shutil` whose copies stop amid the file."""

    def __getattr__(self, name: str) -> Any:
        return getattr(shutil, name)

    @staticmethod
    def copyfileobj(source: Any, copy: Any) -> None:
        content = source.read()
        copy.write(content[: len(content) // 2])
        copy.flush()
        die()


def main(point: str, arguments: list[str]) -> None:
    """Run the command up to a point."""
    from importlib import import_module

    from bakeoff.cli import main as run
    from bakeoff.commands.project import set_up_django

    set_up_django()
    place, name, when = POINTS[point]
    module = import_module(place)
    work = getattr(module, name)
    setattr(module, name, HalfCopies() if when == "half" else wrapped(work, when))
    sys.argv = ["bakeoff", "archive", *arguments]
    run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
