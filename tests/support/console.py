"""The installed console script, called as a person calls it, in a process per call.

A process that has imported libraries, and nothing of ours, forks for each call: what a command needs
(Django set up, a module imported) it must bring about itself, and a call costs a third of a second in
place of one.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

PATIENCE_SECONDS = 180
# Servers that do not answer, and a password that no message may repeat.
NOWHERE = "postgresql://nobody:hidden@127.0.0.1:1/none"
NO_REDIS = "redis://127.0.0.1:1/0"
SCRIPT = Path(sys.executable).with_name("bakeoff")
LIBRARIES = (
    "click django.db.backends.postgresql.base psycopg redis celery rich "
    "rich.table rich.progress duckdb numpy scipy.special scipy.optimize scipy.stats pyarrow orjson "
    "celery.app.base kombu.serialization yaml jinja2 amqp dateutil.parser pydantic.fields pydantic.types "
    "django.contrib.auth.hashers django.test.client redis.asyncio phonenumbers uuid_utils"
)


@dataclass(frozen=True)
class Done:
    """What a call left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


class Console:
    """Calls `bakeoff` with arguments; each in a process of its own."""

    def __init__(self, **variables: str) -> None:
        self.variables = MappingProxyType(variables)  # many tests share one console
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.console"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def start(self, *arguments: object, stdin: bytes = b"", cwd: Path | str = "/", **variables: str):
        """Start a call and return its folder, which `finish` takes."""
        folder = Path(tempfile.mkdtemp(prefix="bakeoff-console-"))
        (folder / "stdin").write_bytes(stdin)
        call = {
            "arguments": [str(one) for one in arguments],
            "folder": str(folder),
            "cwd": str(cwd),
            "variables": {**self.variables, **variables},
        }
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        return folder

    def finish(self, folder: Path) -> Done:
        """Wait for a call; the answers of calls that a failed test left behind are passed over."""
        answer = {"folder": None}
        while answer["folder"] != str(folder):
            assert select.select([self._process.stdout], [], [], PATIENCE_SECONDS)[0], "no answer"
            answer = json.loads(self._process.stdout.readline())
        done = Done(answer["status"], (folder / "out").read_text(), (folder / "err").read_text())
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        return done

    def __call__(self, *arguments: object, status: int = 0, **options) -> Done:
        """Run a call to its end; it must end with this status, and without a traceback."""
        done = self.finish(self.start(*arguments, **options))
        assert done.status == status, f"{arguments}: {done}"
        assert "Traceback" not in done.output, done.output
        return done

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(20)


def _run(call: dict) -> int:
    """Run one call in this process, which is its own."""
    folder = Path(call["folder"])
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "out", os.O_WRONLY | os.O_CREAT),
                                (2, "err", os.O_WRONLY | os.O_CREAT)):  # fmt: skip
        os.dup2(os.open(folder / name, flags), number)
    os.environ.update(call["variables"])
    os.chdir(call["cwd"])
    sys.argv = [str(SCRIPT), *call["arguments"]]
    try:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            sys.stderr.write(code)
        return code if isinstance(code, int) else int(code is not None)
    except BaseException:  # noqa: BLE001  as an interpreter does: its traceback, and status 1
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _run_and_answer(call: dict) -> None:
    """Run a call in a process, and say on standard output how it ended, in one write."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        status = _run(call)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    _, state = os.waitpid(child, 0)
    answer = {"folder": call["folder"], "status": os.waitstatus_to_exitcode(state)}
    os.write(1, (json.dumps(answer) + "\n").encode())


def main() -> None:
    """Fork for each line of standard input; calls may run side by side."""
    for name in LIBRARIES.split():
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    for line in sys.stdin:
        if not os.fork():
            _run_and_answer(json.loads(line))
            os._exit(0)


if __name__ == "__main__":
    main()
