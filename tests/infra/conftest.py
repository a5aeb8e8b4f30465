"""What `make test-infra` runs: Bakeoff beside Debian's servers. A skip here is a failure."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from inference.serving import remote_store
from tests.support import debian_servers as servers
from tests.support.backups import prepare_experiment, restore


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


@pytest.fixture(scope="module")
def prepare(empty_platform, tmp_path_factory):
    """Make a home with a bundled database that holds a shop, and its experiment."""
    homes = []

    def make(console, shop) -> tuple[Path, object]:
        experiment = prepare_experiment(shop)
        folder = tmp_path_factory.mktemp("backup") / "one"
        console("backup", folder)
        homes.append(Path(tempfile.mkdtemp(prefix="bf-")))  # a socket's path is short
        done = restore(folder, homes[-1])
        assert done.returncode == 0, done.stderr
        return homes[-1], experiment

    yield make
    for home in homes:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def s3(monkeypatch):
    """moto's server of S3, which the store's settings name, with the bucket `shop`."""
    import boto3
    from moto import server as moto_server

    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in {
        "AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    remote_store._open.cache_clear()
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="shop")
    yield server
    remote_store._open.cache_clear()
    server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {call.excinfo.value if call.excinfo else ''}"
    return report
