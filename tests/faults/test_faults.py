"""An acknowledged fact is in PostgreSQL, once, whatever dies. Full size: make bench ONLY=faults."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.faults.conductor import conduct


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="bf-"))  # a socket's path is short
    yield folder / "h"
    shutil.rmtree(folder, ignore_errors=True)


def test_what_was_acknowledged_is_there_once_and_what_was_queued_gets_done(home, tiny_bert):
    report = conduct(home, seconds=0, pause=0.5, clients=4, think_seconds=0.1)
    assert (report.lost, report.doubled, report.put_aside) == (0, 0, 0), report
    assert not report.unexpected, report
    assert report.acknowledged > 300, report
    assert report.kills == 16
    assert (report.alerts_lost, report.alerts_promised > 10) == (0, True), report
    assert report.runs_queued == 1
    assert report.runs_ended_well == 1, report.runs_ended
    bit = {fault["fault"] for fault in report.faults if fault["spilled"] + fault["refused"]}
    assert {"kill -9 web", "freeze postgres", "read-only primary", "missing table"} <= bit, report
