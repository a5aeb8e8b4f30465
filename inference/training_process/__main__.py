"""Set Django up and show a sign of life, then import what trains."""

from __future__ import annotations

import os
import sys

import django


def main(run_id: int, lease: int) -> int:
    """Train; return the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
    django.setup()
    from inference.training_process.heartbeat import start_heartbeat
    from inference.training_process.process_span import process_span

    start_heartbeat(run_id, lease)
    with process_span():
        from inference.training_process.attempt import attempt_run

        status = attempt_run(run_id, lease)
        if status:
            sys.exit(status)  # the span's status, too
    return status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
