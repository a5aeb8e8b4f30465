"""A home of 0.1.0, brought up to date: nothing is lost, and what ran counts on.

`home_0_1_0` was written by that version: a dump of its database, its artifacts, and what its own API
and tables said (`expected.json`), with one entry of its spill stream.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import httpx2
import psycopg
import pytest

from bakeoff.embedded.postgres import BINARIES
from bakeoff.environment import read_environment
from experiments.ingest.spill import STREAM
from tests.support.faults.platform import PlatformUnderTest

OLD = Path(__file__).parent / "home_0_1_0"
EXPECTED = json.loads((OLD / "expected.json").read_text())
# Of a throw-away project; kept without their prefix, so that no tracked file looks like a secret.
PUBLIC, SECRET = (f"{kind}_{EXPECTED['keys_without_prefix'][kind]}" for kind in ("pk", "sk"))
TABLES = {
    "Decision": "decision", "Event": "event", "Exposure": "exposure", "Feedback": "feedback",
    "Slate": "slate",
}  # fmt: skip
# What that version let anybody with psql write, and what no version since can read.
UNREADABLE = (
    "UPDATE accounts_project SET created_at = '-infinity'",
    "UPDATE inference_modelversion SET created_at = 'infinity' WHERE id = (SELECT min(id) FROM inference_modelversion)",
    *(
        "INSERT INTO accounts_apikey (project_id, name, kind, prefix, digest, scopes, allowed_origins, created_at) "
        f"SELECT id, 'old', 'pk', 'pk_old', 'digest{n}', '[]', '{origins}', now() FROM accounts_project LIMIT 1"
        for n, origins in enumerate(
            ("5", '["nonsense"]', '["https://a.example", "b", {"c": ["https://d"]}]', "[]")
        )
    ),
)


@pytest.fixture(scope="module")
def database():
    """The old database, restored beside those of the other tests."""
    admin = read_environment().database_url.replace("///bakeoff?", "///postgres?")
    url = admin.replace("///postgres?", "///upgraded?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE upgraded")
    dump = gzip.decompress((OLD / "database.sql.gz").read_bytes())
    restored = subprocess.run(
        [BINARIES / "psql", "--quiet", "--set=ON_ERROR_STOP=1", url],
        check=False,
        input=dump,
        capture_output=True,
    )
    assert restored.returncode == 0, restored.stderr.decode()[-2000:]
    with psycopg.connect(url, autocommit=True) as connection:
        # The dump grows older than a project keeps its facts.
        connection.execute("UPDATE accounts_project SET retention_days = 36500")
        for statement in UNREADABLE:
            connection.execute(statement)
    return url


@pytest.fixture(scope="module")
def upgraded(database, tmp_path_factory):
    platform = PlatformUnderTest(
        tmp_path_factory.mktemp("u") / "home", own_disk=False, variables={"DATABASE_URL": database}
    )
    shutil.copytree(OLD / "artifacts", platform.home / "artifacts")
    platform.public, platform.secret = PUBLIC, SECRET
    try:
        platform.start()
        yield platform
    finally:
        platform.close()


@pytest.fixture
def ask(upgraded):
    def ask(method, path, body=None, key=SECRET):
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx2.request(method, upgraded.url + path, json=body, headers=headers, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer.json()

    return ask


def test_every_row_is_there(upgraded, database):
    with psycopg.connect(database) as connection:
        for name, table in TABLES.items():
            count = connection.execute(
                f"""SELECT count(*) FROM experiments_{table} AS t JOIN accounts_project AS p
                ON p.id = t.project_id WHERE p.slug = %s""",
                [EXPECTED["project"]],
            ).fetchone()[0]
            assert count >= EXPECTED["counts"][name], name
        look = connection.execute(
            """SELECT l.action, l.result FROM experiments_look AS l JOIN experiments_experiment AS e
            ON e.id = l.experiment_id WHERE e.key = %s AND l.number = 1""",
            [EXPECTED["second"]],
        ).fetchone()
    # What was written down is never rewritten.
    assert look == (EXPECTED["look"]["action"], EXPECTED["look"]["result"])


def test_old_keys_serve_the_same_variants(ask):
    for n, (_, variant, model) in enumerate(EXPECTED["served"]):
        body = {"surface": "home-feed", "unit_id": f"live{n}"}
        answer = ask("POST", "/v1/recommend", body, PUBLIC)
        assert (answer["variant"], answer["model"]) == (variant, model)


def test_old_decisions_verify(upgraded, ask):
    decisions = ask("GET", f"/v1/experiments/{EXPECTED['first']}/decisions")
    assert [[d["action"], d["sha256"], d["previous_sha256"]] for d in decisions] == EXPECTED[
        "decisions"
    ]


def test_an_old_event_id_is_still_a_duplicate(ask):
    body = {"event_id": "live-0", "name": "click", "unit_id": "live0", "item_id": "i1"}
    assert ask("POST", "/v1/events", body, PUBLIC)["duplicates"] == 1


def test_an_old_spill_entry_drains_and_the_experiment_counts_on(upgraded, ask, database):
    upgraded.cache().xadd(STREAM, EXPECTED["spilled"])
    for n in range(10):
        ask("POST", "/v1/recommend", {"surface": "home-feed", "unit_id": f"after{n}"})
    wanted = EXPECTED["second_exposures"] + 1 + 10
    upgraded.wait_until_drained()
    with psycopg.connect(database, autocommit=True) as connection:
        # The policy asks for a look an hour, and one was taken at the start: the next is due now.
        connection.execute("UPDATE experiments_look SET taken_at = taken_at - interval '2 hours'")

    def units():
        report = ask("GET", f"/v1/experiments/{EXPECTED['second']}/report.json")
        return sum(row["units"] for row in report["variants"])

    upgraded.until(lambda: units() >= wanted, "the look after the upgrade counted everything")
    assert units() == wanted


def test_rows_that_could_not_be_read_can_be_and_no_key_opens_itself(upgraded, database):
    with psycopg.connect(database) as connection:
        origins = connection.execute(
            "SELECT allowed_origins FROM accounts_apikey WHERE name = 'old' ORDER BY digest"
        ).fetchall()
        assert [row[0] for row in origins] == [
            ["https://origin.invalid"], ["https://origin.invalid"], ["https://a.example"], [],
        ]  # fmt: skip
        years = connection.execute(
            "SELECT extract(year FROM max(v.created_at)), extract(year FROM min(p.created_at)) "
            "FROM inference_modelversion v, accounts_project p"
        ).fetchone()
        assert years == (9999, 1)
