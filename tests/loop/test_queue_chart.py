"""The picture of the queue: a row for each challenger of which something is expected."""

from __future__ import annotations

from experiments.programme.queue_types import QueuedChallenger
from experiments.reports.queue_chart import draw_queue
from inference.models import ModelVersion


def queued(algorithm, change, interval):
    version = ModelVersion(algorithm=algorithm, number=1)
    return QueuedChallenger(version, 1, None, False, "", change, interval, None)


def test_it_draws_what_is_known():
    known, unknown = queued("ease", 0.031, (-0.002, 0.064)), queued("als", None, None)
    picture = draw_queue([known, unknown])
    assert "ease@1" in picture
    assert "als@1" not in picture
    assert "+3.1" in picture
    assert 'aria-label="Expected change, from logged traffic"' in picture
    assert draw_queue([unknown]) == ""
