"""Homes of older versions, brought up to date: nothing is lost, and what ran counts on.

Each folder was written by the version that it is named after (0.1.0, the last commit before columns
were renamed, the last before the autopilot): a dump of its database, its artifacts, and what its own
API and tables said (`expected.json`), with one entry of its spill stream. This version's own code
answers for each home; the oldest is also served by a whole platform.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg
import pytest
import redis

from bakeoff.embedded.postgres import BINARIES
from bakeoff.environment import read_environment
from experiments.ingest.spill import STREAM
from experiments.programme.serving_metrics import SERVING_METRICS
from inference.serving.beats import Beat, forget_beat, write_beat
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM

HERE = Path(__file__).parent
HOMES = ("home_0_1_0", "home_7c2a1f9", "home_091b158")
TABLES = {
    "Decision": "decision", "Event": "event", "Exposure": "exposure", "Feedback": "feedback",
    "Slate": "slate",
}  # fmt: skip
# What the first two let anybody with psql write, and what no version since can read.
LAX = ("home_0_1_0", "home_7c2a1f9")
OLDEST = pytest.mark.parametrize("old", HOMES[:1], indirect=True)
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
# What a renamed column held is held by the new one: new SQL of the old columns of `expected.json`.
COLUMNS = {
    "project.most_events_per_minute": "SELECT max_events_per_minute FROM accounts_project WHERE slug = %(project)s",
    "metric": """SELECT key, event, denominator, lookback_seconds, direction = 'increase'
        FROM experiments_metric WHERE event !~ '^slate' ORDER BY id""",
    "experiment.lesson": "SELECT key, learnings FROM experiments_experiment ORDER BY id",
    "decision": "SELECT created_by, created_at::text FROM experiments_decision ORDER BY id",
    "share": "SELECT created_by FROM experiments_reportshare ORDER BY id",
    "surface": "SELECT retrain_algorithm FROM inference_surface ORDER BY id",
    "run": "SELECT algorithm FROM inference_trainingrun ORDER BY id",
    "version": "SELECT algorithm, number FROM inference_modelversion ORDER BY id",
    "observation": """SELECT sum(value), sum(denominator), sum(covariate), sum(denominator_covariate),
        sum(uncapped_value) FROM experiments_observation""",
    "total": """SELECT sum(sum_value), sum(sum_value_squared), sum(sum_value_times_denominator),
        sum(sum_denominator_times_denominator_covariate), sum(sum_denominator_covariate),
        sum(sum_uncapped_value_squared) FROM experiments_total""",
    "doubled": "SELECT sum(crossover_units)::text FROM experiments_exposuretotal",
    "specs": "SELECT spec::text FROM experiments_experimentmetric ORDER BY id",
}


@dataclass
class Home:
    folder: Path
    expected: dict
    database: str

    def key(self, kind: str) -> str:
        # Of a throw-away project; kept without their prefix, so that no tracked file looks like a secret.
        return f"{kind}_{self.expected['keys_without_prefix'][kind]}"


@pytest.fixture(scope="module", params=HOMES)
def old(request):
    """The old database, restored beside those of the other tests."""
    admin = read_environment().database_url.replace("///bakeoff?", "///postgres?")
    url = admin.replace("///postgres?", f"///{request.param}?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {request.param}")
    folder = HERE / request.param
    restored = subprocess.run(
        [BINARIES / "psql", "--quiet", "--set=ON_ERROR_STOP=1", url],
        check=False,
        input=gzip.decompress((folder / "database.sql.gz").read_bytes()),
        capture_output=True,
    )
    assert restored.returncode == 0, restored.stderr.decode()[-2000:]
    with psycopg.connect(url, autocommit=True) as connection:
        # The dump grows older than a project keeps its facts.
        connection.execute("UPDATE accounts_project SET retention_days = 36500")
        for statement in UNREADABLE if request.param in LAX else ():
            connection.execute(statement)
    return Home(folder, json.loads((folder / "expected.json").read_text()), url)


@pytest.fixture(scope="module")
def platform(old, tmp_path_factory):
    """A platform of this version for the old home, not started yet."""
    platform = PlatformUnderTest(
        tmp_path_factory.mktemp("u") / "home", own_disk=False,
        variables={"DATABASE_URL": old.database}, interpreter=WARM,
    )  # fmt: skip
    platform.home.mkdir(exist_ok=True)
    shutil.copytree(old.folder / "artifacts", platform.home / "artifacts")
    platform.public, platform.secret = old.key("pk"), old.key("sk")
    yield platform
    platform.close()


@pytest.fixture(scope="module")
def migrated(old, platform):
    """The variables of a process in the upgraded home."""
    variables = os.environ | {"DATABASE_URL": old.database, "BAKEOFF_HOME": str(platform.home)}
    variables["DJANGO_SETTINGS_MODULE"] = "bakeoff.settings"
    # The tests' own, in a part of it where nobody else writes.
    variables["REDIS_URL"] = read_environment().redis_url.replace("db=0", "db=7")
    migrate = [WARM, "-m", "bakeoff", "migrate"]
    cache = redis.Redis.from_url(variables["REDIS_URL"])
    older = Beat("worker-loop@older", 1, (), 1, "", 0.0, time.time())
    write_beat(cache, older)
    for command in (migrate, [WARM, "-m", "bakeoff", "up", "--port", "0"]):
        refused = subprocess.run(command, env=variables, check=False, capture_output=True, text=True)
        assert refused.returncode == 1
        assert refused.stderr.startswith("Error: Stop what works on the database first"), refused.stderr
        assert "change: worker-loop@older." in refused.stderr
    offline = [*migrate, "--offline"]
    done = subprocess.run(offline, env=variables, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    forget_beat(cache, older.name)
    return variables


@pytest.fixture(scope="module")
def upgraded(platform, migrated):
    platform.start()
    return platform


@pytest.fixture
def ask(upgraded, old):
    def ask(method, path, body=None, key=None):
        headers = {"Authorization": f"Bearer {key or old.key('sk')}"}
        answer = httpx2.request(method, upgraded.url + path, json=body, headers=headers, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer.json()

    return ask


def test_renamed_columns_hold_what_the_old_ones_held(old, migrated):
    known = old.expected.get("columns", {})
    with psycopg.connect(old.database, options="-c timezone=UTC") as connection:
        for name, rows in known.items():
            found = connection.execute(COLUMNS[name], {"project": old.expected["project"]}).fetchall()
            assert [list(row) for row in found] == rows, name
    assert set(known) in (set(), set(COLUMNS))


def test_surfaces_go_on_with_the_metric_of_their_newest_automatic_experiment(old, migrated):
    with psycopg.connect(old.database) as connection:
        primary_metrics = connection.execute(
            """SELECT s.key, m.key FROM experiments_programme AS p
            JOIN inference_surface AS s ON s.id = p.surface_id
            JOIN experiments_metric AS m ON m.id = p.primary_metric_id"""
        ).fetchall()
    # In the two older ones people started all experiments.
    assert primary_metrics == ([("home-feed", "clicks")] if old.folder.name == "home_091b158" else [])


def test_projects_have_each_serving_metric_once(old, migrated):
    with psycopg.connect(old.database) as connection:
        keys = connection.execute(
            """SELECT array_agg(m.key::text ORDER BY m.id) FROM experiments_metric AS m
            JOIN accounts_project AS p ON p.id = m.project_id
            WHERE m.event ~ '^slate[.]' AND p.slug = %s""",
            [old.expected["project"]],
        ).fetchone()[0]
    assert sorted(keys) == sorted(one.key for one in SERVING_METRICS)


def test_this_version_recomputes_drains_and_serves_as_the_old_one_did(old, migrated):
    script = [WARM, "-m", "tests.upgrade.recompute", str(old.folder)]
    done = subprocess.run(
        script, cwd=HERE.parents[1], env=migrated, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["decisions"] == old.expected["decisions"]
    assert found["looks"]
    assert all(found["looks"] + found["versions"] + found["policies"]), found
    assert set(found["directions"]) <= {"increase", "decrease"}
    if "columns" in old.expected:
        assert found["directions"] == ["increase", "increase", "decrease"]
    assert found["drained"] == [1, 0]
    assert found["units"] == old.expected["second_exposures"] + 1
    assert found["served"] == [[variant, model] for _, variant, model in old.expected["served"]]
    assert found["duplicates"] == 1
    assert found["chain"] == old.expected["decisions"]


def test_every_row_is_there(migrated, old):
    expected = old.expected
    with psycopg.connect(old.database) as connection:
        for name, table in TABLES.items():
            count = connection.execute(
                f"""SELECT count(*) FROM experiments_{table} AS t JOIN accounts_project AS p
                ON p.id = t.project_id WHERE p.slug = %s""",
                [expected["project"]],
            ).fetchone()[0]
            assert count >= expected["counts"][name], name
        look = connection.execute(
            """SELECT l.action, l.result FROM experiments_look AS l JOIN experiments_experiment AS e
            ON e.id = l.experiment_id WHERE e.key = %s AND l.number = %s""",
            [expected["second"], expected["look"].get("number", 1)],
        ).fetchone()
    # What was written down is never rewritten.
    assert look == (expected["look"]["action"], expected["look"]["result"])


@OLDEST
def test_old_keys_serve_the_same_variants(ask, old):
    for n, (_, variant, model) in enumerate(old.expected["served"]):
        body = {"surface": "home-feed", "unit_id": f"live{n}"}
        answer = ask("POST", "/v1/recommend", body, old.key("pk"))
        assert (answer["variant"], answer["model"]) == (variant, model)


@OLDEST
def test_an_old_spill_entry_drains_and_the_experiment_counts_on(upgraded, ask, old):
    upgraded.cache().xadd(STREAM, old.expected["spilled"])
    for n in range(10):
        ask("POST", "/v1/recommend", {"surface": "home-feed", "unit_id": f"after{n}"})
    wanted = old.expected["second_exposures"] + 1 + 10
    upgraded.wait_until_drained()
    with psycopg.connect(old.database, autocommit=True) as connection:
        # The policy asks for a look an hour, and one was taken at the start: the next is due now.
        connection.execute("UPDATE experiments_look SET taken_at = taken_at - interval '2 hours'")

    def units():
        report = ask("GET", f"/v1/experiments/{old.expected['second']}/report.json")
        return sum(row["units"] for row in report["variants"])

    upgraded.until(lambda: units() >= wanted, "the look after the upgrade counted everything")
    assert units() == wanted


@pytest.mark.parametrize("old", LAX, indirect=True)
def test_rows_that_could_not_be_read_can_be_and_no_key_opens_itself(migrated, old):
    with psycopg.connect(old.database) as connection:
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
