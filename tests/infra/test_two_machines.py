"""Under load: a machine, the object store, a cable and the primary go away and come back; nothing is lost."""

from __future__ import annotations

import shutil
import time

import pyarrow.parquet as pq
import pytest

from tests.support.two_machines import (
    Deployment,
    assert_answered,
    is_answered_by_model,
    make_shop,
)
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    deployment = Deployment(tmp_path_factory.mktemp("m"))  # a socket's path is short
    try:
        deployment.start()
        make_shop(deployment)
        wait_until(lambda: is_answered_by_model(deployment), "the model serves")
        yield deployment
    finally:
        deployment.close()


@pytest.fixture
def load(deployment, request):
    load = deployment.load(seed=len(request.node.name))
    load.start()
    deployment.go_on(load)
    yield load
    load.stop()


def test_a_machine_loses_its_power_and_comes_back_empty_while_the_store_is_away(deployment, load):
    two = deployment.two
    switches = [time.monotonic()]
    two.lose_power()
    deployment.go_on(load, seconds=6)
    assert not deployment.is_up(two)
    deployment.store.unplug()
    shutil.rmtree(deployment.folder / two.name)  # a new machine: nothing is cached
    two.plug()
    deployment.start_programs(two)
    deployment.wait_until_up(two)
    deployment.go_on(load)
    deployment.store.plug()
    wait_until(lambda: is_answered_by_model(deployment), "the new machine has the model")
    deployment.go_on(load)
    ledger = load.stop()
    deployment.assert_stored(deployment.primary, ledger)
    assert_answered(ledger, switches)


def test_a_machine_loses_its_cable_for_a_while(deployment, load):
    switches = [time.monotonic()]
    deployment.two.unplug()
    deployment.go_on(load, seconds=8)
    assert not deployment.is_up(deployment.two)
    deployment.two.plug()
    deployment.wait_until_up(deployment.two)
    deployment.go_on(load, seconds=2)
    ledger = load.stop()
    deployment.assert_stored(deployment.primary, ledger)
    assert_answered(ledger, switches)


def test_the_standby_loses_its_cable_for_a_while(deployment, load):
    """No commit can be promised without it: rows wait in the cache, and answers go on."""
    deployment.standby.unplug()
    deployment.go_on(load, seconds=8)
    spilled = load.ledger.spilled
    deployment.standby.plug()
    deployment.wait_until_drained()
    deployment.go_on(load)
    ledger = load.stop()
    assert spilled
    deployment.assert_stored(deployment.primary, ledger)
    assert_answered(ledger, [])


def test_an_export_reads_the_standby_once_it_has_all_and_leaves_nothing_out(deployment, load):
    deployment.go_on(load)
    load.stop()
    deployment.wait_until_drained()
    log = deployment.folder / "standby-postgres.log"
    with deployment.database(deployment.standby) as standby:
        standby.autocommit = True
        for folder, follows in (("first", True), ("second", False)):
            standby.execute(f"SELECT pg_wal_replay_{'resume' if follows else 'pause'}()")
            before = log.read_text().count(" FROM experiments_event WHERE project_id")
            done = deployment.command(deployment.one, "export", "data", "--to", folder)
            after = log.read_text().count(" FROM experiments_event WHERE project_id")
            with deployment.database(deployment.primary) as primary:
                stored = primary.execute("SELECT count(*) FROM experiments_event").fetchone()[0]
            assert done.returncode == 0, done.stderr
            written = sum(
                pq.read_metadata(one).num_rows for one in (deployment.folder / folder).glob("events/*")
            )
            assert written == stored
            assert (after > before) == follows, done.stderr
        standby.execute("SELECT pg_wal_replay_resume()")


def test_the_primary_loses_its_power_and_the_standby_is_promoted(deployment, load):
    primary, standby = deployment.primary, deployment.standby
    switches = [time.monotonic()]
    primary.lose_power()
    time.sleep(1)  # what runs the database finds out
    deployment.promote(standby)
    deployment.go_on(load, seconds=8)
    deployment.wait_until_drained()
    primary.plug()
    deployment.follow(primary, standby)  # the first of the two hosts takes no writes from now on
    switches.append(time.monotonic())
    deployment.one.kill("web")
    deployment.start_programs(deployment.one, "web")
    deployment.wait_until_up(deployment.one, deployment.two)
    deployment.go_on(load)
    ledger = load.stop()
    deployment.assert_stored(standby, ledger)
    assert_answered(ledger, switches)
    checked = deployment.command(deployment.one, "config", "check")
    assert "synchronous" not in checked.stdout
    assert "DATABASE" not in checked.stdout
    with deployment.database(standby) as connection:
        connection.autocommit = True
        connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        connection.execute("SELECT pg_reload_conf()")
    checked = deployment.command(deployment.one, "doctor")
    assert checked.returncode == 1
    assert "ISSUE   synchronous_standby_names is empty: a fail-over can lose commits" in checked.stdout
