"""A dump restored into another cluster counts on: nobody twice, nobody never."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from bakeoff.embedded.postgres import BINARIES, start_postgres
from bakeoff.environment import run_folder_of
from experiments.looks.roll_up import roll_up
from experiments.metrics.transaction_clock import read_clock
from tests.support import builders
from tests.support.fast_lane import test_database_url

EXPOSE = """INSERT INTO experiments_exposure
        (project_id, experiment_id, variant_id, epoch, unit_id, unit_type, exposed_at)
    SELECT {project}, {experiment}, {variant}, 1, '{label}' || n, 'unit', now()
    FROM generate_series(1, {units}) AS n"""
ROLL_UP = """
import sys, django; django.setup()
from django.db import connection, transaction
from django.utils import timezone
from experiments.looks.roll_up import roll_up
experiment, expose = int(sys.argv[1]), sys.argv[2]
counted = []
for turn in range(2):
    with transaction.atomic():
        done = roll_up(experiment, timezone.now())
    counted.append(sum(t.units for t in done.exposure_totals.all()))
    if not turn:
        with connection.cursor() as cursor:
            cursor.execute(expose)
print(counted)
"""


@pytest.fixture(scope="module")
def elsewhere():
    """Another cluster, whose ids begin anew."""
    home = Path(tempfile.mkdtemp(prefix="bf-"))
    run = run_folder_of(home)
    for folder in (home / "logs", run):
        folder.mkdir(parents=True, exist_ok=True)
    url = f"postgresql:///bakeoff?host={run}&user=bakeoff"
    child = start_postgres(replace(settings.BAKEOFF, home=home, database_url=url))
    yield url
    child.request_stop()
    child.wait_or_kill(30)
    shutil.rmtree(home, ignore_errors=True)


def expose(experiment, label: str, units: int) -> str:
    variant = experiment.variants.order_by("id").first()
    return EXPOSE.format(
        project=experiment.project_id, experiment=experiment.pk, variant=variant.pk, label=label,
        units=units,
    )  # fmt: skip


def run_sql(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def burn_ids(url: str, count: int) -> None:
    """Let the cluster's ids run past those of the dump."""
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(
            f"""DO $$ BEGIN FOR n IN 1..{count} LOOP
                PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"""
        )


@pytest.mark.parametrize("ids", ["begin anew", "are larger"])
def test_a_restored_database_counts_each_unit_once(tables, elsewhere, ids):
    experiment = builders.make_shop().run_experiment()
    run_sql(expose(experiment, "counted", 100))
    with transaction.atomic():
        roll_up(experiment.pk, builders.now())
    run_sql(expose(experiment, "waiting", 50))  # committed, and not counted at the dump
    name = ids.replace(" ", "_")
    url = elsewhere.replace("///bakeoff?", f"///{name}?")
    with psycopg.connect(elsewhere, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    if ids == "are larger":
        burn_ids(url, 20_000)
    dump = subprocess.run(
        [BINARIES / "pg_dump", "-Fc", test_database_url()], check=True, capture_output=True
    ).stdout
    subprocess.run([BINARIES / "pg_restore", "-d", url], input=dump, check=True)
    with psycopg.connect(url) as database:
        # Somebody serves on before anybody has noticed.
        database.execute(expose(experiment, "gap", 7))

    done = subprocess.run(
        [sys.executable, "-c", ROLL_UP, str(experiment.pk), expose(experiment, "after", 11)],
        env={**os.environ, "DATABASE_URL": url},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == [157, 168]


def test_at_home_the_clock_stays_as_it_is(tables):
    before = read_clock()
    assert (before.moved, before.offset) == (False, 0)
