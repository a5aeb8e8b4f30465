"""One file of vectors for every side that hashes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from bakeoff_client import assignment as client_side

from experiments import assignment as server_side

CLIENTS = Path(__file__).parents[2] / "clients"
VECTORS = json.loads((CLIENTS / "vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("side", [server_side, client_side])
def test_python_hashes_as_the_vectors_say(side):
    for row in VECTORS:
        salt, unit = row["salt"], row["unit"]
        assert list(side.buckets_of(salt, unit)) == row["sha256"]
        for version in (1, 2):
            assert side.growthbook_bucket(salt, unit, version) == row[f"growthbook_v{version}"]


def test_javascript_hashes_as_the_vectors_say(tmp_path):
    if not shutil.which("node"):
        pytest.skip("no node here")
    (tmp_path / "hash.mjs").write_text(
        (CLIENTS / "js/packages/js/src/hash.js").read_text(encoding="utf-8")
    )
    (tmp_path / "run.mjs").write_text(
        'import { bucketsOf, growthbookBucket } from "./hash.mjs";\n'
        "const rows = JSON.parse(process.argv[2]);\n"
        "for (const row of rows) {\n"
        "  row.sha256 = await bucketsOf(row.salt, row.unit);\n"
        "  row.growthbook_v1 = growthbookBucket(row.salt, row.unit, 1);\n"
        "  row.growthbook_v2 = growthbookBucket(row.salt, row.unit, 2);\n"
        "}\nprocess.stdout.write(JSON.stringify(rows));\n"
    )
    blank = [{"salt": row["salt"], "unit": row["unit"]} for row in VECTORS]
    done = subprocess.run(
        ["node", "run.mjs", json.dumps(blank)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == VECTORS
