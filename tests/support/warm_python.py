"""A Python interpreter that starts warm: a process that has imported large libraries forks for each call.

`make_interpreter()` returns a path that is called as `python -m MODULE ARGUMENTS` is, with the caller's
environment, folder and standard streams, and ends as the module does; so are the processes that the
module starts by `sys.executable`. Of ours nothing is imported beforehand: what a module needs it must
bring about itself. SIGINT, SIGTERM and SIGKILL reach what is called; SIGSTOP reaches its caller alone,
whose pid it does not have (`called_by` tells which it has), so a supervisor called by it finds no hang;
and one hash seed is shared. Who made the path removes its folder, which ends the process that forks.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import marshal
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LIBRARIES = (
    "celery click django.contrib.auth.hashers django.db.backends.postgresql.base duckdb numpy onnx onnxruntime "
    "onnxruntime.quantization orjson peft psycopg pyarrow.parquet pydantic.types redis "
    "safetensors.torch scipy.optimize scipy.special scipy.sparse scipy.stats sklearn.linear_model "
    "sklearn.feature_extraction.text torch torch.onnx transformers "
    "transformers.models.auto.modeling_auto transformers.models.auto.tokenization_auto "
    "transformers.models.bert.modeling_bert yaml"
)
# What stands at the path: it imports as little as it can, hands everything over and waits.
CALLER = """#!{python} -IS
import sys, os
if sys.argv[1:2] != ["-m"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
import _socket, marshal, signal, subprocess
FOLDER = {folder!r}
connection = _socket.socket(_socket.AF_UNIX)
def connect():
    try:
        connection.connect(FOLDER + "/socket")
    except OSError:
        return False
    return True
if not connect():
    start = [{python!r}, "-m", "tests.support.warm_python", FOLDER]
    subprocess.run(start, cwd={root!r}, check=True)  # returns once calls are taken
    assert connect()
call = marshal.dumps((sys.argv[1:], dict(os.environ), os.getcwd()))
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
head = len(call).to_bytes(8, "big")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: connection.send(bytes([number])))
connection.sendmsg([head], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
while call:
    call = call[connection.send(call):]
status = int(connection.recv(16) or -signal.SIGKILL)
if status < 0:
    if status != -signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


def make_interpreter() -> Path:
    """Make the path in a folder of its own; the process that forks starts at the first call.

    It has the variables and sees the disks of who calls first.
    """
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-warm-"))
    path = folder / "python"
    path.write_text(CALLER.format(python=sys.executable, folder=str(folder), root=str(ROOT)))
    path.chmod(0o755)
    return path


def start_server(folder: Path) -> None:
    """Return when calls are taken; the process ends when the folder is removed."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two first callers one starts it
        if (folder / "socket").exists():
            return
        reading, writing = os.pipe()
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm_python", str(folder), str(writing)], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"),
            pass_fds=[writing], start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        os.read(reading, 1)


def _collect_rarely() -> None:
    """Look for garbage less often than Python does: it costs a twelfth of what a start computes."""
    gc.set_threshold(100_000, 50, 100)


def serve(folder: Path, ready: int) -> None:
    """Fork for each call, until the folder is removed."""
    for name in LIBRARIES.split():
        importlib.import_module(name)
    gc.freeze()  # forked processes share what is here
    _collect_rarely()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that keep a call
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(64)
    os.write(ready, b"1")
    os.close(ready)
    while (folder / "socket").exists():
        if not select.select([listener], [], [], 1.0)[0]:
            continue
        connection = listener.accept()[0]
        if not os.fork():
            listener.close()
            sys.executable = str(folder / "python")
            _keep(connection, folder)
            os._exit(0)
        connection.close()


def called_by(process: psutil.Process) -> psutil.Process:
    """Return the process that does a caller's work; the same one where no warm interpreter is called."""
    command = process.cmdline()
    if command[1:2] != ["-IS"]:
        return process
    with suppress(FileNotFoundError):
        return psutil.Process(int(Path(command[2]).with_name(f"called-{process.pid}").read_text()))
    raise psutil.NoSuchProcess(process.pid)  # it has not begun


def family_of(process: psutil.Process) -> list[psutil.Process]:
    """Return all that a process started, callers and who does their work."""
    family = []
    with suppress(psutil.Error):
        for child in called_by(process).children():
            family.append(child)
            with suppress(psutil.Error):
                family += [called_by(child)] * (called_by(child) != child)
            family += family_of(child)
    return family


def _keep(connection: socket.socket, folder: Path) -> None:
    """Read a call, run it in a process of its own, and say how that ended."""
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    call, length = b"", int.from_bytes(head, "big")
    while len(call) < length:
        call += connection.recv(length - len(call))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        connection.close()
        os._exit(_run(streams, *marshal.loads(call)))
    # Written beside it and renamed: who reads it reads all of it.
    caller = struct.unpack("iii", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    called = folder / f"called-{caller}"
    (folder / f"child-{child}").write_text(str(child))
    (folder / f"child-{child}").rename(called)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child)
    while ended not in select.select([ended, connection], [], [])[0]:
        numbers = connection.recv(16) or bytes([signal.SIGKILL])  # whoever called was killed
        for number in numbers:
            os.kill(child, number)
    called.unlink(missing_ok=True)  # pids are used again
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        connection.send(str(status).encode())
    except OSError:
        return  # nobody waits for it any more


def _run(streams: list[int], arguments: list[str], environment: dict[str, str], folder: str) -> int:
    """Run a module in this process, which is its own; return its exit status."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    option, module, *rest = arguments
    assert option == "-m", arguments
    if module == "bakeoff":
        _judge_no_hang()
    # runpy names the module's file in place of the first.
    sys.argv, sys.path[0] = [module, *rest], folder
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  as an interpreter does: its traceback, and status 1
        traceback.print_exc()
        return 1
    else:
        return 0
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()


def _judge_no_hang() -> None:
    """Let a supervisor in this process find no hang: what it starts signs with another pid than it knows.

    Else it would end each process three minutes after the start, as one that has given no sign of life.
    Hangs are tested with an interpreter that starts cold.
    """
    from bakeoff.embedded.beats import Beats

    Beats.hung_web_processes = Beats.hung_workers = lambda _beats, _child: {}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        serve(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        start_server(Path(sys.argv[1]))
