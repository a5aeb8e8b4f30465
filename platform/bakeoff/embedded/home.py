"""A home: the folder of one platform, owned by one supervisor at a time.

Guarantees: two supervisors never share a home (an advisory lock that dies with its process), and
what cannot work is refused before anything starts.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import time
from typing import IO, TYPE_CHECKING

import psutil

from bakeoff.embedded.errors import StartError

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.environment import Environment

# PostgreSQL's first cluster and its log, and a first model with its snapshot.
FREE_BYTES_NEEDED = 300 * 1024 * 1024
LOCK_SECONDS = 5.0  # that a start waits for the lock of an owner that is gone


def prepare_home(environment: Environment) -> IO[str]:
    """Make the folders of a home and take its lock.

    Returns:
        The open lock file; the lock lasts as long as it stays open.

    Raises:
        StartError: the home is read-only, on a full disk, or in use.
    """
    home = environment.home
    try:
        _make_folders(environment)
        # Opened for appending: the process that holds the lock has its id in there.
        lock = (environment.run_folder / "lock").open("a+")
    except OSError as error:
        raise StartError(_why_unwritable(error, environment)) from error
    _take_lock(lock, home)
    free = shutil.disk_usage(home).free
    if free < FREE_BYTES_NEEDED:
        lock.close()
        raise StartError(
            f"Home {home} has {free // 2**20} MiB free, needs {FREE_BYTES_NEEDED // 2**20} MiB: "
            "free some space, or choose another home with BAKEOFF_HOME."
        )
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def is_gone(opened: int, home: Path) -> bool:
    """Whether a folder that was opened is no longer at its place.

    Another folder there does not count: who writes a log makes the folders above it again.

    Args:
        opened: its descriptor; while it is open no other folder gets the same inode.
        home: its place.
    """
    try:
        return not os.path.samestat(os.fstat(opened), home.stat())
    except FileNotFoundError:
        return True
    except OSError:  # a disk that does not answer may come back
        return False


def _make_folders(environment: Environment) -> None:
    home = environment.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(PermissionError):  # somebody else's folder that we may write in
        home.chmod(0o700)  # keys, texts and models are nobody else's
    for folder in ("artifacts", "snapshots", "logs", "cache"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    environment.run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A read-only mount lets folders that exist pass: only a written file shows it.
    probe = home / "run_probe"
    probe.write_text("")
    probe.unlink()


def _take_lock(lock: IO[str], home: Path) -> None:
    # The kernel lets go of it when the process ends, however it ends: no stale file is in the way.
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
        else:
            return
        # A child of an owner that was killed holds it, too, until it runs its own program.
        is_gone = owner.isdigit() and not psutil.pid_exists(int(owner))
        if not is_gone or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    lock.close()
    raise StartError(
        f"Home {home} is in use by process {owner}: stop that one, or choose another home "
        "with BAKEOFF_HOME."
    )


def _why_unwritable(error: OSError, environment: Environment) -> str:
    home = environment.home
    if error.errno == errno.ENOSPC:
        return f"The disk of home {home} is full: free some space, or set BAKEOFF_HOME."
    return (
        f"Home {home} cannot be written ({error.strerror}): choose a folder that you own "
        "with BAKEOFF_HOME."
    )


def check_port(host: str, port: int, seconds: float = 0.0) -> None:
    """Refuse a port that somebody else listens on.

    Args:
        host: to listen on.
        port: to listen on.
        seconds: how long to wait for who listens there.

    Raises:
        StartError: the port is taken or may not be used.
    """
    deadline = time.monotonic() + seconds
    while (why := _why_taken(host, port)) is not None:
        if why.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
            raise StartError(
                f"Port {port} on {host} cannot be used ({why.strerror}): choose another with --port."
            )
        time.sleep(0.05)


def _why_taken(host: str, port: int) -> OSError | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the web server itself will: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None
