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

    start_heartbeat(run_id, lease)
    from inference.training_process.attempt import attempt_run

    return attempt_run(run_id, lease)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
