"""Logs of processes that `bakeoff up` keeps: the newest megabytes and three older files.

Guarantees: a log takes at most four times its limit, however long its process runs and however much it
writes. The process goes on writing to the same file, which is copied and emptied: of what it writes
between the last look at the copy and the emptying, microseconds, a line may be lost or cut.
"""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
MAX_OLD = 3


def rotate(log: Path, max_bytes: int) -> bool:
    """Rotate a log that has outgrown its limit; return whether it had.

    Args:
        log: that a process appends to.
        max_bytes: its limit; 0: none.
    """
    try:
        if not max_bytes or log.stat().st_size <= max_bytes:
            return False
        for number in range(MAX_OLD, 1, -1):
            with suppress(FileNotFoundError):
                _old(log, number - 1).replace(_old(log, number))
        _move_content(log, _old(log, 1))
    except FileNotFoundError:  # its folder is gone: the next start of the process makes it
        return False
    except OSError as error:  # a full disk, say: the next look tries again
        logger.warning("%s is not rotated: %s", log, error)
        return False
    return True


def _old(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def _move_content(log: Path, copy: Path) -> None:
    with log.open("r+b") as source, copy.open("wb") as target:
        while _copy_rest(source, target):  # until nothing came while it was copied
            pass
        os.ftruncate(source.fileno(), 0)


def _copy_rest(source: IO[bytes], target: IO[bytes]) -> int:
    before = target.tell()
    shutil.copyfileobj(source, target)
    return target.tell() - before
