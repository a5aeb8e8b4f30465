"""Artifacts in S3, as moto's server speaks it."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from inference.serving.artifact import ArtifactError, check_artifact, save_artifact
from inference.serving.remote_store import CHUNK, RemoteStoreError, remote_of, use_remote
from tests.support.artifacts import draft_artifact
from tests.support.backups import restore, servers_of


@pytest.fixture
def roots(s3, tmp_path):
    """The caches of two machines before one bucket, and the server."""
    pair = tmp_path / "a", tmp_path / "b"
    for root in pair:
        use_remote(root, "s3://shop/models")
    yield *pair, s3
    for root in pair:
        use_remote(root, "")


def test_two_machines_share_a_bucket(roots):
    a, b, server = roots
    large = replace(draft_artifact(), files={"weights.bin": os.urandom(2 * CHUNK + 1)})
    cached, gone = save_artifact(a, large), save_artifact(a, draft_artifact(seed=1))
    check_artifact(b, cached)
    remote_of(a).probe()
    assert set(remote_of(b).digests()) == {cached, gone}
    assert remote_of(a).delete_old(2e10, lambda digest: digest == cached) == 1
    assert remote_of(b).digests() == [cached]
    with pytest.raises(ArtifactError, match="is not in s3://shop/models"):
        check_artifact(b, gone)
    server.stop()
    with pytest.raises(ArtifactError, match="s3://shop/models does not answer"):
        check_artifact(b, gone)
    check_artifact(b, cached)


def test_a_bucket_that_there_is_not_is_named(roots):
    root = roots[0]
    use_remote(root, "s3://none/shop")
    for work in (remote_of(root).probe, remote_of(root).digests):
        with pytest.raises(RemoteStoreError, match="s3://none/shop does not exist: make its bucket"):
            work()


def test_a_backup_goes_to_a_bucket_and_comes_back(console, shop, s3, tmp_path):
    place = "s3://shop/backups/one"
    # The script's processes took their environment before `s3` set its own.
    access = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    console("backup", place, **access)
    home = Path(tempfile.mkdtemp(prefix="bf-"))  # a socket's path is short
    try:
        done = restore(place, home)
        assert done.returncode == 0, done.stderr
        with servers_of(home) as url, psycopg.connect(url) as database:
            slugs = database.execute("SELECT slug FROM accounts_project").fetchall()
        assert (shop.project.slug,) in slugs
    finally:
        shutil.rmtree(home, ignore_errors=True)
    nowhere = console("backup", "s3://none/backups", status=1, **access)
    assert (
        nowhere.stderr == "Error: s3://none/backups does not exist: make its bucket or folder first.\n"
    )
