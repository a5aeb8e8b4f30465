"""What the programs of PostgreSQL are given: passwords never by their command line, which all can read."""

from __future__ import annotations

import json
import sys

import pytest
from psycopg.conninfo import make_conninfo

from bakeoff.backup.manifest import BackupError
from bakeoff.backup.postgres_tools import dump
from tests.support.fast_lane import test_database_url

# Says what it was given, and what libpq makes of it.
PROGRAM = """#!{python}
import json, os, pathlib, sys
import psycopg
(address,) = [one.removeprefix("--dbname=") for one in sys.argv if one.startswith("--dbname=")]
with psycopg.connect(address) as connection:
    known = {{one.keyword.decode(): (one.val or b"").decode() for one in connection.pgconn.info}}
    database = connection.info.dbname
file = os.environ.get("PGSERVICEFILE", "")
mode = oct(os.stat(file).st_mode & 0o777) if file else ""
(out,) = [one.removeprefix("--file=") for one in sys.argv if one.startswith("--file=")]
seen = dict(arguments=sys.argv, key=known["sslpassword"], database=database, file=file, mode=mode)
pathlib.Path(out).write_text(json.dumps(seen))
"""


@pytest.fixture
def tools(tmp_path):
    program = tmp_path / "pg_dump"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o700)
    return tmp_path


def test_the_password_of_a_clients_key_stands_in_no_list_of_processes(tables, tools, tmp_path):
    address = make_conninfo(test_database_url(), sslpassword="hunter 2 = #'", password="hunter3")
    dump(address, "one", tmp_path / "seen", tools)
    seen = json.loads((tmp_path / "seen").read_text())
    assert "hunter" not in " ".join(seen["arguments"])
    assert (seen["key"], seen["mode"]) == ("hunter 2 = #'", "0o600")
    assert seen["database"] in test_database_url()
    assert not (tmp_path / seen["file"]).exists()


def test_an_address_without_one_needs_no_file(tables, tools, tmp_path):
    dump(test_database_url(), "one", tmp_path / "seen", tools)
    seen = json.loads((tmp_path / "seen").read_text())
    assert (seen["key"], seen["file"]) == ("", "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sslpassword": "a", "service": "mine"}, "must stand in the service's own file"),
        ({"sslpassword": "a "}, "must be one line that ends with no space"),
        ({"sslpassword": "a\nhost=evil"}, "must be one line that ends with no space"),
    ],
)
def test_what_cannot_stand_in_a_file_of_services_is_refused(tools, tmp_path, changes, sentence):
    with pytest.raises(BackupError, match=sentence) as refused:
        dump(make_conninfo("dbname=b", **changes), "one", tmp_path / "seen", tools)
    assert "evil" not in str(refused.value)
    assert not (tmp_path / "seen").exists()
