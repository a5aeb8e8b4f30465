"""The process's sign of life, and its end when its lease is gone."""

from __future__ import annotations

import os
import threading
import time

from django.db import DatabaseError, connection
from django.db.models.functions import Now

from inference.models import TrainingRun
from inference.process_group import place

BEAT_SECONDS = 2.0  # a run is taken for dead after a minute of silence


def start_heartbeat(run_id: int, lease: int) -> None:
    """Beat from a thread of its own, because a step of the work may take minutes."""
    threading.Thread(target=_beat, args=(run_id, lease), daemon=True).start()


def _beat(run_id: int, lease: int) -> None:
    while True:
        time.sleep(BEAT_SECONDS)
        try:
            held = TrainingRun.objects.filter(pk=run_id, lease=lease)
            # Of processes that train together the first alone is the run's sign of life.
            if not (held.exists() if place() else held.update(heartbeat_at=Now())):
                # Taken over or cancelled: end at once, whatever the main thread is in, so that two
                # attempts never share the machine.
                os._exit(1)
        except DatabaseError:
            connection.close()  # PostgreSQL was away for a moment; the next beat tries again
