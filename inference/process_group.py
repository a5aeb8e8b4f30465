"""Which of the processes of one training this is, by the environment that torchrun sets, too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RENDEZVOUS = "TRAINING_RENDEZVOUS"  # torch's `init_method`; without it torchrun's variables say where


def processes() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def place() -> int:
    """Return which of them this is; the first, which alone writes, is 0."""
    return int(os.environ.get("RANK") or 0) if processes() > 1 else 0


def environment_of(rank: int, count: int, meeting_place: Path) -> dict[str, str]:
    """Return what tells a process its place among `count` on this machine.

    Args:
        rank: its place.
        count: how many there are.
        meeting_place: a file that is not there yet, by which they find each other.
    """
    if count == 1:
        return {"WORLD_SIZE": "1"}  # whatever the worker itself was started by
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        RENDEZVOUS: meeting_place.absolute().as_uri(),
        "GLOO_SOCKET_IFNAME": "lo",  # all are here, and a container's host name may have no address
    }
