"""Packages of npm for tests; where they cannot be had, the test is skipped and says why."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SECONDS = 120


def install(folder: Path, *packages: str) -> Path:
    """Install packages into a folder and return it."""
    if not shutil.which("npm"):
        pytest.skip("no npm here")
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--fetch-retries=1", *packages]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm installs nothing here within {SECONDS} s")
    if done.returncode:
        pytest.skip(f"npm installs nothing here: {done.stderr[-200:]}")
    return folder
