"""How much memory a computation may still take."""

from __future__ import annotations

from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Return bytes: those of the machine, or of the container (cgroup v2) if that is fewer."""
    import psutil  # noqa: PLC0415  web processes know recommenders by name alone

    return min(int(psutil.virtual_memory().available), _left_of_container())


def _left_of_container() -> int:
    try:
        limit = int((CGROUP / "memory.max").read_text())  # "max" where there is none
        used = int((CGROUP / "memory.current").read_text())
        lines = (CGROUP / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return 2**63
    stat = dict(line.split(maxsplit=1) for line in lines)
    # Pages of files that nobody reads any more count as used, and are given up first.
    return limit - used + int(stat.get("inactive_file", 0))
