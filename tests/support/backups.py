"""What tests of backups and moves share: an experiment that is cut off, a restore, and what comes then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

from bakeoff.embedded.home import prepare_home
from bakeoff.embedded.postgres import start_postgres
from bakeoff.embedded.valkey import start_valkey
from bakeoff.environment import run_folder_of
from experiments.actions.look_at_experiment import look_at_experiment
from tests.support import builders

POLICY = {"window_seconds": 60, "planned_units": 1200, "minimum_run_seconds": 0}
FIRST, LATER = {"control": 1, "treatment": 1}, {"control": 1, "treatment": 3}
# In the restored platform, by its own settings: what waited is drained, then the experiment goes on.
GO_ON = """
import json, sys, django; django.setup()
from django.db import connection
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment
from experiments.tasks import drain_spilled_rows
from tests.support import builders
drained = drain_spilled_rows()
experiment = Experiment.objects.get(pk=int(sys.argv[1]))
builders.visits(experiment, json.loads(sys.argv[2]), unit_id="later-{variant}-{n}")
look = look_at_experiment(experiment_id=experiment.pk)
print(json.dumps([drained, look.number, look.action, look.result]))
"""


def restore(
    place: Path | str, home: Path, *, tools: Path | None = None, **variables: str
) -> subprocess.CompletedProcess:
    """As somebody does on another machine: bundled servers, unless variables name others."""
    names = ("DATABASE_URL", "REDIS_URL", "BROKER_URL")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [sys.executable, "-m", "bakeoff", "restore", str(place), *(["--tools", str(tools)] if tools else [])],
        env=environment | {"BAKEOFF_HOME": str(home)} | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def move(home: Path, target: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """As somebody does who has stopped the platform."""
    return subprocess.run(
        [sys.executable, "-m", "bakeoff", "move", "--to", "-", *arguments], input=f"{target}\n",
        env=without_servers() | {"BAKEOFF_HOME": str(home)} | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def without_servers() -> dict[str, str]:
    names = ("DATABASE_URL", "REDIS_URL", "BROKER_URL")
    return {name: value for name, value in os.environ.items() if name not in names}


def prepare_experiment(shop):
    """An experiment with a look behind it, and rows that were committed and not counted yet."""
    experiment = shop.run_experiment(**POLICY)
    builders.visits(experiment, FIRST, units=300)
    assert look_at_experiment(experiment_id=experiment.pk).number == 1
    builders.visits(experiment, FIRST, units=50, unit_id="uncounted-{variant}-{n}")
    return experiment


@contextmanager
def servers_of(home: Path):
    """The bundled servers of a home; yields the address of its database."""
    url = f"postgresql:///bakeoff?host={quote(str(run_folder_of(home)), safe='')}&user=bakeoff"
    environment = replace(settings.BAKEOFF, home=home, database_url=url)
    lock, servers = prepare_home(environment), []
    try:
        servers += [start_postgres(environment), start_valkey(environment)]
        yield url
    finally:
        for server in reversed(servers):
            server.request_stop()
            server.wait_or_kill(60)
        lock.close()


def go_on(home: Path, experiment: int) -> list:
    """Let the experiment of a restored platform go on: drained commits, number, action and result."""
    variables = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-c", GO_ON, str(experiment), json.dumps(LATER)],
        env=variables | {"BAKEOFF_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def go_on_in(home: Path, target: str, experiment: int) -> list:
    """Let the experiment go on in a database that was moved: number, action and result of its look."""
    cache = f"unix://{settings.BAKEOFF.run_folder / 'valkey.sock'}?db=7"
    done = subprocess.run(
        [sys.executable, "-c", GO_ON, str(experiment), json.dumps(LATER)], check=False,
        env={**os.environ, "BAKEOFF_HOME": str(home), "DATABASE_URL": target, "REDIS_URL": cache},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[1:]
