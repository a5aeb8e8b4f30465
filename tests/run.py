"""`python -m tests.run`: every test, in two processes side by side, each with servers of its own.

The tests of inference start training processes one after another and take as long as all others
together. With arguments it is plain pytest.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

HALVES = (
    ["--ignore=tests/inference", "--ignore=tests/infra"],
    ["tests/inference"],
)


def main() -> None:
    given = sys.argv[1:]
    pytest = [sys.executable, "-m", "pytest"]
    if given:
        raise SystemExit(subprocess.run([*pytest, *given], check=False).returncode)
    started, running = time.monotonic(), []
    for half in HALVES[1:]:
        output = tempfile.TemporaryFile("w+")  # noqa: SIM115  read when its process has ended
        running.append((subprocess.Popen([*pytest, *half], stdout=output, stderr=output), output))
    codes = [subprocess.run([*pytest, *HALVES[0]], check=False).returncode]
    for process, output in running:
        codes.append(process.wait())
        output.seek(0)
        sys.stdout.write(output.read())
    sys.stdout.write(f"all tests: {time.monotonic() - started:.0f} s\n")
    raise SystemExit(max(codes))


if __name__ == "__main__":
    main()
