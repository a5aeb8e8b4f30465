"""Run a module of this program in another process, which finds code only where this one's is.

`python -m` puts the current folder first on the path of imports: a file there that is named like a
library, as in a folder of models that somebody sent, would run in its place. Here the process starts
in an empty folder, and neither that nor a relative part of `PYTHONPATH` is looked into.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]


def run_own_module(
    name: str, question: bytes, *, seconds: float, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Return what a module answered on its standard output.

    Args:
        name: of the module; whatever it reads is named by absolute paths.
        question: its standard input.
        seconds: that it may take.
        environment: its variables.

    Raises:
        subprocess.TimeoutExpired: it took longer; it is killed.
    """
    with tempfile.TemporaryDirectory(prefix="bakeoff-empty-") as empty:
        return subprocess.run(
            [sys.executable, "-P", "-m", name],
            input=question, capture_output=True, check=False, timeout=seconds, cwd=empty,
            env={**environment, "PYTHONPATH": _path_of(environment.get("PYTHONPATH", ""))},
        )  # fmt: skip


def _path_of(search_path: str) -> str:
    """Return the absolute parts of a path of imports, and this program's own if it is not installed."""
    parts = [part for part in search_path.split(os.pathsep) if Path(part).is_absolute()]
    if Path(sysconfig.get_path("purelib")).resolve() != ROOT:
        parts.append(str(ROOT))
    return os.pathsep.join(parts)
