"""A log under `bakeoff up` stays small, and its process goes on writing."""

from __future__ import annotations

import os
import sys

import pytest

from bakeoff.embedded.log_rotation import MAX_OLD, rotate
from bakeoff.embedded.processes import Child
from tests.support.waiting import wait_until

WRITES = "import time\nfor n in range(10**9):\n    print(f'line {n}', flush=True)\n    n % 200 or time.sleep(0.01)"


def numbers(path) -> list[int]:
    """The numbers of a log's whole lines; its end may be cut where the log was emptied meanwhile."""
    return [int(line.split()[1]) for line in path.read_text().split("\n")[:-1]]


@pytest.fixture
def writer(tmp_path):
    child = Child(
        "writer", [sys.executable, "-c", WRITES], tmp_path / "logs" / "writer.log", os.environ
    )
    child.start()
    yield child
    child.wait_or_kill(0)


def test_a_process_goes_on_in_a_log_that_was_rotated(writer):
    log, limit = writer.log, 20_000
    for _ in range(MAX_OLD + 3):
        wait_until(lambda: log.stat().st_size > limit)
        assert rotate(log, limit)
    wait_until(lambda: log.stat().st_size > 0)
    writer.wait_or_kill(0)
    files = [log.with_name(f"writer.log.{n}") for n in range(MAX_OLD, 0, -1)]
    assert sorted(log.parent.iterdir()) == sorted([log, *files])
    for path in [*files, log]:  # one after another
        lines = numbers(path)
        assert lines == list(range(lines[0], lines[0] + len(lines)))
    assert numbers(files[0])[0] > 0  # what is older is gone
    assert numbers(files[0])[-1] < numbers(files[1])[0] <= numbers(log)[0]


def test_a_small_log_and_one_without_a_limit_stay(tmp_path):
    log = tmp_path / "web.log"
    log.write_text("line 0\n" * 10)
    assert not rotate(log, 1_000)
    assert not rotate(log, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["web.log"]


def test_a_log_that_is_gone_or_cannot_be_copied_is_left_alone(tmp_path, caplog):
    assert not rotate(tmp_path / "gone" / "web.log", 10)
    log = tmp_path / "web.log"
    log.write_text("line 0\n" * 10)
    (tmp_path / "web.log.2").touch()
    (tmp_path / "web.log.3").mkdir()  # where the second would go
    assert not caplog.text
    assert not rotate(log, 10)
    assert numbers(log) == [0] * 10
    assert "is not rotated" in caplog.text
