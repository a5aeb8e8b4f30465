"""What a piece of work costs in processor time: other work on the machine makes it no longer."""

from __future__ import annotations

import resource
import time


def processor_seconds() -> float:
    """Return the processor time of this process, all threads, and of the children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
