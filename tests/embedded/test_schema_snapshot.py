"""The snapshot of a first start and the migrations that it stands for (decision 0081)."""

from __future__ import annotations

from bakeoff.embedded.schema_snapshot import load_snapshot
from bakeoff.schema_version import migration_files
from tests.support.schema_snapshot import digest_of, named_migrations

# A first start applies what the snapshot lacks, at a fraction of a second each.
MAX_BEHIND = 20
RENEW = "python -m tests.support.schema_snapshot"


def test_no_migration_changed_since_the_snapshot_was_written():
    digests = {f"{app}.{path.stem}": digest_of(path) for app, path in migration_files()}
    assert {name: digests.get(name) for name in named_migrations()} == named_migrations(), RENEW


def test_what_the_snapshot_lacks_is_newer_than_what_it_has_and_little():
    named = named_migrations()
    assert named
    lacking = [(app, path.stem) for app, path in migration_files() if f"{app}.{path.stem}" not in named]
    for app, name in lacking:
        newest = max(one for one in named if one.startswith(f"{app}."))
        assert f"{app}.{name}" > newest, RENEW
    assert len(lacking) <= MAX_BEHIND, RENEW


def test_a_database_that_has_tables_is_left_alone(tables):
    assert not load_snapshot()
