"""What `make test-infra` runs: Bakeoff beside Debian's servers. A skip here is a failure."""

from __future__ import annotations

import pytest

from tests.support import debian_servers as servers


@pytest.fixture
def folder(tmp_path_factory):
    """A short folder: a socket's path must stay under 100 bytes."""
    return tmp_path_factory.mktemp("i")


@pytest.fixture
def postgres15(folder):
    """Debian's PostgreSQL 15: somebody else's server."""
    server = servers.debian_postgres(folder)
    yield server
    server.stop()


@pytest.fixture
def pgbouncer(folder, postgres15):
    """PgBouncer in transaction mode in front of `postgres15`."""
    server = servers.debian_pgbouncer(folder, postgres15)
    yield server
    server.stop()


@pytest.fixture
def redis70(folder):
    """Debian's Redis 7.0, which does not know WAITAOF."""
    server = servers.debian_redis(folder)
    yield server
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {call.excinfo.value if call.excinfo else ''}"
    return report
