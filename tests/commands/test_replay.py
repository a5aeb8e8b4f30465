"""The whole loop in small: a platform of its own, a real tiny BERT, visitors over HTTP."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from bakeoff.replay.engine import units_to_tell
from tests.support.servers import WARM
from tests.support.template import copy_template

GROUPS, PER_GROUP, UNITS = 6, 12, 160


@pytest.fixture
def logs(tmp_path):
    """Units who like one group of items each, and a few favourites of everybody."""
    rng = np.random.default_rng(1)
    names = ["heat", "rain", "sun", "night", "city", "road"]
    with (tmp_path / "items.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "title"])
        writer.writerows(
            [f"i{g * PER_GROUP + n}", f"{names[g]} {'abcdefghijkl'[n]}"]
            for g in range(GROUPS)
            for n in range(PER_GROUP)
        )
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "rating", "timestamp"])
        for unit in range(UNITS):
            group = unit % GROUPS
            liked = group * PER_GROUP + rng.permutation(PER_GROUP)
            for at, item in enumerate(liked):
                writer.writerow([f"u{unit}", f"i{item}", 5, 1000 * unit + at])
    return tmp_path


def test_it_says_how_many_users_would_tell_what_only_looks_better():
    # With four times the users the interval is half as wide.
    assert units_to_tell(0.01, -0.01, 0.03, units=100) == 400
    assert units_to_tell(0.01, 0.001, 0.019, units=100) is None
    assert units_to_tell(-0.01, -0.03, 0.01, units=100) is None


def test_a_users_own_log_closes_the_loop(logs, tiny_bert):
    home = Path(tempfile.mkdtemp(prefix="bakeoff-replay-"))
    environment = {**os.environ, "BAKEOFF_HOME": str(home), "BAKEOFF_ENCODER": str(tiny_bert)}
    out = logs / "verdicts.json"
    copy_template(home)
    try:
        done = subprocess.run(
            [
                WARM, "-m", "bakeoff", "replay", "--items", str(logs / "items.csv"),
                "--interactions", str(logs / "log.csv"), "--exit", "--json", str(out),
            ],
            capture_output=True, text=True, env=environment, timeout=900, check=False,
        )  # fmt: skip
        problems = "".join(path.read_text()[-2000:] for path in (home / "logs").glob("w*.log"))
        assert done.returncode == 0, done.stdout + done.stderr + problems
    finally:
        shutil.rmtree(home, ignore_errors=True)
    verdicts = json.loads(out.read_text())
    (experiment,) = verdicts["experiments"]
    assert (experiment["control"], experiment["decision"]) == ("popularity@1", "ship")
    assert experiment["treatment"] == verdicts["champion"] != "popularity@1"
    assert experiment["ci"][0] > 0
    assert not experiment["against_gate"]
    assert "the best of trending, latest, item-knn, ease, als, two-tower, sasrec" in done.stdout
    assert "against the gate" not in done.stdout
    assert "Acknowledged = stored" in done.stdout
    assert "NOT EQUAL" not in done.stdout
    # Nothing answers there any more: neither an address nor a login is printed after the verdict.
    assert "`bakeoff up` serves the reports" in done.stdout.splitlines()[-1]
    assert "login" not in done.stdout
    assert "report: http" not in done.stdout
    assert "Traceback" not in done.stderr + problems
