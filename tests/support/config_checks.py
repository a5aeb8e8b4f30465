"""`bakeoff config check` with settings of a test's own, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from bakeoff.known_settings import unknown_settings


def check(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # Without what these tests set for themselves, which is no setting.
    environment = {
        name: value for name, value in os.environ.items() if not list(unknown_settings([name]))
    }
    return subprocess.run(
        [sys.executable, "-m", "bakeoff", "config", "check", *arguments],
        env=environment | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
