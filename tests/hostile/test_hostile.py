"""No input stops, bends or loses anything. Full size: make bench ONLY=hostile."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.hostile.siege import Siege
from tests.support.servers import WARM

CASES = 100


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="bf-"))  # a socket's path is short
    yield folder / "h"
    shutil.rmtree(folder, ignore_errors=True)


def test_traffic_goes_on_whatever_is_sent_beside_it(home):
    with Siege(home, clients=4, slow=24, think_seconds=0.05, interpreter=WARM) as siege:
        siege.send_one_of_each()
        siege.run(examples=CASES)
        siege.look()
    report = siege.report
    assert report.cases > CASES
    assert not report.failures, report.failures
    assert not report.wrongly_stored, report.wrongly_stored
    assert not report.lost, report.lost
    assert not report.unexpected, report.unexpected
    assert report.restarted == 0, report
    assert report.answers > 100, report
