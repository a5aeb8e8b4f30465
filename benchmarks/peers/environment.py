"""Environments of peers that want other versions of libraries than we do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def peer_python(name: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of `.venv-NAME`, which is made anew when its requirements change."""
    folder, text = ROOT / f".venv-{name}", "\n".join(requirements)
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists() or stamp.read_text() != text:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, *requirements], check=True)
        stamp.write_text(text)
    return python
