"""Child processes that outlive a Ctrl-C until they are told to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


# From the kill until the kernel has let go; a process that sits in a disk takes longest.
KILL_SECONDS = 5.0
_OURS = {"bakeoff.asgi:application", "bakeoff.celery", "local-llm"}


@dataclass(slots=True)
class Child:
    """A named process with a log file.

    It gets a session of its own: the terminal's Ctrl-C reaches the supervisor alone, which then
    stops the children in order.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    executable: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the process, appending what it prints to its log.

        A log that cannot be written is no reason to stay down: then it prints to nowhere.

        Raises:
            OSError: the program is not there, or the system has no room for a process.
        """
        with _open_log(self.log) as log:
            self.process = subprocess.Popen(
                self.command,
                executable=self.executable,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self.process.pid if self.process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def request_stop(self) -> None:
        """Send the signal that lets it finish what it holds."""
        if self.process is not None and self.alive:
            self.process.send_signal(self.stop_signal)

    def wait_or_kill(self, seconds: float) -> None:
        """Wait for the end, then end it and what it started."""
        if self.process is None:
            return
        try:
            self.process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            kill_tree(self.process.pid)
            self.process.wait()

    def end_remains(self) -> None:
        """End what it left behind when it was killed: workers of a web process would hold its port."""
        if self.process is None or self.alive:
            return
        left = [pid for pid in psutil.pids() if _session_of(pid) == self.process.pid]
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        wait_until_gone(left, KILL_SECONDS)

    def last_lines(self, count: int = 5) -> str:
        """Return the end of the log, for a message."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""


@contextlib.contextmanager
def ended_unless_ready(child: Child, seconds: float) -> Iterator[None]:
    """Start a child for a block that waits for it; if the block fails, or is cancelled, end it.

    Args:
        child: that is started.
        seconds: how long it may take to end before it is killed.
    """
    child.start()
    try:
        yield
    except BaseException:
        child.request_stop()
        child.wait_or_kill(seconds)
        raise


def _open_log(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # somebody may have removed the folder
        return path.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _lost_its_parent(process: psutil.Process) -> bool:
    """Whether it is a process of Python's multiprocessing that was left behind."""
    spawned = any("multiprocessing.spawn" in part for part in process.cmdline())
    return spawned and _session_of(process.ppid()) != _session_of(process.pid)


def kill_tree(pid: int) -> list[int]:
    """Kill a process and everything below it; return their ids: they may take a moment to be gone."""
    killed = []
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
                killed.append(one.pid)
    return killed


def end_orphans(home: Path) -> bool:
    """End what a killed supervisor of this home left behind; return whether there was anything.

    Called by whoever holds the home's lock: no other supervisor lives, so whatever serves or works
    for this home belongs to nobody.
    """
    killed: list[int] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            ours = any(part in _OURS for part in process.cmdline()) or _lost_its_parent(process)
            if ours and process.environ().get("BAKEOFF_HOME") == str(home):
                killed += kill_tree(process.pid)
    wait_until_gone(killed, KILL_SECONDS)  # until they are gone they hold their port
    return bool(killed)


def end_servers_of(folder: Path, program: str, *, number: signal.Signals, seconds: float) -> None:
    """End every process of a program that works in a data folder; none lives when this returns.

    A server whose supervisor was killed, and what outlives a server that was itself killed: a backend
    of PostgreSQL goes on with its statement, and no other server may start before it has ended.

    Args:
        folder: the data folder; servers make it their working directory.
        program: name of the executable.
        number: the signal that asks politely.
        seconds: how long to wait before it is killed.
    """
    pids = _servers_of(folder, program)
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)  # one that was stopped takes no other signal
    wait_until_gone(pids, seconds)
    left = _servers_of(folder, program)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    wait_until_gone(left, KILL_SECONDS)


def _servers_of(folder: Path, program: str) -> list[int]:
    servers = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error, OSError):
            # By the folder, since a backend's command line names its database only.
            if program in (process.info["name"] or "") and Path(process.cwd()) == folder.resolve():
                servers.append(process.pid)
    return servers


def wait_until_gone(pids: Sequence[int], seconds: float) -> None:
    """Wait until none of these runs, at most so long."""
    deadline = time.monotonic() + seconds
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def package_folder(name: str) -> Path:
    """Return where an installed package lies, without running its code.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"package '{name}' is not installed.")
    return Path(spec.origin).parent
