"""Whether a tracked file looks like a secret: by its name, or by what stands in it.

Run as a script (a pre-commit hook does): names what it found, and ends with 1.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = re.compile(
    r"(^|/)(secret_key|id_(rsa|dsa|ecdsa|ed25519)|\.env(\..*)?|.*\.(pem|key|p12|pfx|jks))$"
)
CONTENTS = (
    re.compile(rb"-----BEGIN [A-Z ]*PRIVATE" + rb" KEY-----"),
    re.compile(rb"\b[ps]k_[A-Za-z0-9_-]{32}\b"),  # our own keys
    re.compile(rb"\bAKIA[0-9A-Z]{16}\b"),
    re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
)
MAX_BYTES = 1_000_000


def secrets_among(root: Path, names: list[str]) -> list[str]:
    """Return the names of files that look like secrets."""
    return [name for name in names if NAMES.search(name) or _holds_secret(root / name)]


def _holds_secret(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return False
    content = path.read_bytes()
    return any(pattern.search(content) for pattern in CONTENTS)


def tracked(root: Path) -> list[str]:
    """Return the names of the tracked files of a repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


if __name__ == "__main__":
    secrets = secrets_among(ROOT, tracked(ROOT))
    sys.exit("\n".join(f"{name} looks like a secret." for name in secrets) or 0)
