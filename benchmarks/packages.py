"""What the npm packages cost a page: each import, bundled and minified by esbuild, gzip -9."""

from __future__ import annotations

import gzip
from pathlib import Path

from benchmarks.results import Row, write_result
from tests.support.npm import BUNDLES, SCRIPTS, SOURCE, install_packages


def run(size: str, home: str) -> None:
    packages = install_packages(Path(home))
    rows = []
    for file, limit in SCRIPTS.items():
        (script,) = (packages.workspace / "sdk").glob(f"*/{file}")
        rows.append(_row(f"/sdk/v1 {file}", script.read_bytes(), limit))
    for source, limit in BUNDLES.items():
        rows.append(_row(source.removeprefix("export "), packages.minified(source), limit))
    notes = f"Versions of the lock file in clients/{SOURCE.name}; React itself is outside."
    write_result("packages", size, rows, notes)


def _row(what: str, script: bytes, limit: int) -> Row:
    packed = len(gzip.compress(script, 9)) / 1000
    return Row(what, packed, "kB", limit=limit / 1000, target=f"ours <= {limit / 1000}", higher_is_better=False)  # fmt: skip
