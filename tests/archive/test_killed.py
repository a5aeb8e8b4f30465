"""`bakeoff archive` is killed by SIGKILL: the next call ends with each row once, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bakeoff.accounts.models import AuditEntry
from experiments.archive.state import check_file
from experiments.models import ArchivedMonth, Event, Slate
from tests.support import archives
from tests.support.fast_lane import test_database_url
from tests.support.killed_archive import POINTS

ROOT = Path(__file__).parents[2]
MONTHS = iter(date(1990 + n // 12, n % 12 + 1, 1) for n in range(60))
UNITS = 40
TABLES = ("events", "slates")


@pytest.fixture
def month(shop):
    one = next(MONTHS)
    archives.make_month(shop, one, units=UNITS)
    yield one
    ArchivedMonth.objects.filter(project=shop.project).delete()


def call(*words: str, place) -> subprocess.CompletedProcess[str]:
    variables = {"DATABASE_URL": test_database_url(), "BAKEOFF_ARCHIVE": str(place.root)}
    return subprocess.run(
        [sys.executable, "-m", *words, "--months", "3"],
        cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip


def ids_in_postgres(shop) -> dict[str, Counter]:
    events = Event.objects.filter(project=shop.project).values_list("event_id", flat=True)
    slates = Slate.objects.filter(project=shop.project).values_list("recommendation_id", flat=True)
    return {"events": Counter(events), "slates": Counter(str(one) for one in slates)}


def ids_in_archive(shop, place) -> dict[str, Counter]:
    """What the files that count hold."""
    columns = {"events": "event_id", "slates": "recommendation_id"}
    found = {table: Counter() for table in TABLES}
    for row in ArchivedMonth.objects.filter(project=shop.project, archived_at__isnull=False):
        values = pq.read_table(place.root / row.name)[columns[row.table]].to_pylist()
        found[row.table].update(str(value) for value in values)
    return found


@pytest.mark.parametrize("point", POINTS)
def test_a_call_that_is_killed_loses_and_doubles_nothing(shop, month, tmp_path, point):
    place = archives.folder(tmp_path)
    before = ids_in_postgres(shop)
    assert {table: len(ids) for table, ids in before.items()} == dict.fromkeys(TABLES, UNITS)
    killed = call("tests.support.killed_archive", point, place=place)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # Where it was killed, each row counts once: here or there.
    here, there = ids_in_postgres(shop), ids_in_archive(shop, place)
    assert {table: here[table] + there[table] for table in TABLES} == before
    done = call("bakeoff", "archive", place=place)
    assert done.returncode == 0, done.stderr
    assert ids_in_archive(shop, place) == before
    assert ids_in_postgres(shop) == {table: Counter() for table in TABLES}
    files = archives.files_of(shop)
    assert [(row.table, row.rows) for row in files] == [(table, UNITS) for table in TABLES]
    assert [check_file(place, row) for row in files] == ["", ""]
    # No half of a file stays beside it, and the trail names each table once.
    assert {path.name for path in place.root.rglob("*") if path.is_file()} == {
        "store_id", "rows.parquet",
    }  # fmt: skip
    trail = AuditEntry.objects.filter(project=shop.project, action="archive")
    assert sorted(trail.values_list("subject", flat=True)) == [
        f"{table} of {month:%Y-%m}" for table in TABLES
    ]
