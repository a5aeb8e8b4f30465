"""Real PostgreSQL and Valkey for the whole test run, in a home of its own.

A pytest plugin (see addopts): it must set the home before Django reads its settings.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tests.support.template import VARIABLE, copy_template, make_template, template_folder
from tests.support.warm_python import make_interpreter

HOME = Path(tempfile.mkdtemp(prefix="bakeoff-tests-"))
os.environ["BAKEOFF_HOME"] = str(HOME)
os.environ["BAKEOFF_TICK_SECONDS"] = "0.5"
os.environ["BAKEOFF_ENCODER"] = str(HOME / "tiny-bert")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["BAKEOFF_OUTGOING_ALLOW"] = "127.0.0.1"  # where endpoints of tests listen
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
# A run starts hundreds of processes: without bytecode on disk each compiles every module again, which
# doubles what a start costs.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Collecting tests makes a million objects that stay: to look through them again and again for garbage
# took a quarter of the time. `freeze_collected` looks again.
gc.disable()
for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL"):
    os.environ.pop(name, None)

# One template for a run: those that the first process starts inherit its name.
IS_FIRST = VARIABLE not in os.environ
TEMPLATE = Path(os.environ.setdefault(VARIABLE, str(template_folder())))
# Likewise one interpreter that starts warm.
WARM = Path(os.environ.get("BAKEOFF_TESTS_PYTHON") or make_interpreter())
os.environ["BAKEOFF_TESTS_PYTHON"] = str(WARM)
_started = []
_started_early = []


def freeze_collected() -> None:
    """Look for garbage again, but not among what the collected tests and their imports are."""
    gc.collect()
    gc.freeze()
    gc.enable()


def is_controller(config) -> bool:
    """Whether this process only hands tests to workers, which start servers of their own."""
    return bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")


def pytest_sessionstart(session):
    """Make the template while tests are collected."""
    if IS_FIRST and not session.config.option.collectonly:
        _started_early.append(threading.Thread(target=make_template, args=[TEMPLATE]))
        _started_early[0].start()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Start the servers: later than the tests are collected, so that workers collect meanwhile."""
    freeze_collected()
    if is_controller(session.config) or session.config.option.collectonly:
        return
    from bakeoff.embedded.home import prepare_home
    from bakeoff.embedded.postgres import start_postgres
    from bakeoff.embedded.valkey import start_valkey
    from bakeoff.environment import read_environment

    environment = read_environment()
    _started.append(prepare_home(environment))
    copy_template(HOME)
    with (HOME / "postgres" / "postgresql.auto.conf").open("a") as file:
        file.write("fsync = off\n")  # no test takes the power away
    _started.append(start_postgres(environment))
    _started.append(start_valkey(environment))


def pytest_sessionfinish():
    for child in reversed(_started[1:]):
        child.request_stop()
        child.wait_or_kill(30)
    if _started:
        _started[0].close()
    shutil.rmtree(HOME, ignore_errors=True)
    if IS_FIRST:
        shutil.rmtree(WARM.parent, ignore_errors=True)
    for thread in _started_early:
        thread.join()
