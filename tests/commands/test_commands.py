"""Commands against the real servers of the test run; the database is the tests' own."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys

import pytest

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.models import ApiKey
from bakeoff.data_files.rows import DatasetError
from bakeoff.replay.dataset import by_unit
from bakeoff.replay.log_files import Columns, read_dataset
from bakeoff.replay.plan import make_replay_plan
from experiments.models import Event, Experiment, Unit
from inference.models import Item
from tests.support import builders
from tests.support.commands import run


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def test_help_lists_every_command():
    output = run("--help")
    for command in ("up", "doctor", "demo", "replay", "load", "train", "promote", "rollback"):
        assert command in output


def test_items_users_and_events_are_loaded_and_bad_rows_set_aside(tmp_path, project):
    slug = ["--project", project.slug]
    items = write_csv(
        tmp_path / "items.csv",
        [{"item_id": "a", "title": "Heat", "year": "1995"}, {"item_id": "", "title": "x", "year": ""}],
    )
    output = run("load", "items", items, *slug)
    assert "1 item loaded" in output
    assert "1 row is rejected" in output
    assert "must be a text of 1 to 200 characters" in (tmp_path / "items.csv.rejected.csv").read_text()
    assert Item.objects.get(project=project).properties == {"year": 1995}

    users = write_csv(tmp_path / "users.csv", [{"user_id": "u1", "country": "DE"}])
    run("load", "users", users, *slug)
    assert Unit.objects.get(project=project).attributes == {"country": "DE"}

    rows = [
        {"event_id": "1", "name": "click", "unit_id": "u1", "item_id": "a", "value": "", "occurred_at": "2020-01-01T00:00:00Z"},
        {"event_id": "2", "name": "rating", "unit_id": "u1", "item_id": "", "value": "4.5", "occurred_at": "1577836800"},
        {"event_id": "3", "name": "rating", "unit_id": "u1", "item_id": "a", "value": "inf", "occurred_at": "0"},
        {"event_id": "4", "name": "rating", "unit_id": "u1", "item_id": "a", "value": "1", "occurred_at": "soon"},
    ]  # fmt: skip
    events = write_csv(tmp_path / "events.csv", rows)
    assert "2 new events, 0 already loaded" in run("load", "events", events, *slug)
    assert "0 new events, 2 already loaded" in run("load", "events", events, *slug)
    assert set(Event.objects.filter(project=project).values_list("source", flat=True)) == {"loaded"}


def test_a_load_refuses_what_the_lanes_refuse_and_guesses_nothing(tmp_path, project):
    slug = ["--project", project.slug]
    good = {
        "event_id": "1",
        "name": "click",
        "unit_id": "u",
        "value": "",
        "occurred_at": "2020-01-01",
        "properties": "",
    }
    bad = [
        {"occurred_at": "20261101"},
        {"occurred_at": "9999-12-31"},
        {"occurred_at": "1_577_836_800"},
        {"value": "1_000"},
        {"value": "1e308"},
        {"value": "nan"},
        {"name": "n" * 101},
        {"properties": '{"v": NaN}'},
        {"properties": '{"v": "cut \\ud83d"}'},
        {"properties": '{"v": ' + "[" * 60 + "]" * 60 + "}"},
    ]
    rows = [good, *({**good, "event_id": f"bad-{n}", **fields} for n, fields in enumerate(bad))]
    output = run("load", "events", write_csv(tmp_path / "events.csv", rows), *slug)
    assert "1 new event," in output
    assert f"{len(bad)} rows are rejected" in output
    reasons = (tmp_path / "events.csv.rejected.csv").read_text()
    assert (
        "occurred_at == '20261101', must be ISO 8601 or seconds since 1970, from 1990-01-01" in reasons
    )
    assert "value == '1_000', must be a number in [-1e+15, 1e+15]" in reasons
    assert Event.objects.get(project=project).occurred_at.year == 2020


def test_an_item_has_the_same_bounds_in_a_file_and_in_a_request(tmp_path, project, lane):
    _, secret = ApiKey.make(project, SECRET, name="secret")
    lane.refresh()
    drafts = [
        {"item_id": "long", "title": "", "text": "x" * 20_001},
        {"item_id": "titled", "title": "t" * 501, "text": ""},
        {"item_id": "nul", "title": "", "text": "a\0b"},
        {"item_id": "fits", "title": "t" * 500, "text": "x" * 20_000},
    ]
    put = [
        lane.client.put("/v1/items", json={"items": [one]}, headers={"X-API-Key": secret})
        for one in drafts
    ]
    assert [answer.status_code for answer in put] == [400, 400, 400, 200]
    output = run("load", "items", write_csv(tmp_path / "items.csv", drafts), "--project", project.slug)
    assert "1 item loaded" in output
    assert "3 rows are rejected" in output
    assert list(Item.objects.filter(project=project).values_list("item_id", flat=True)) == ["fits"]


def test_a_load_that_was_interrupted_goes_on_where_it_was(tmp_path, project, monkeypatch):
    from experiments.ingest import load_events as module

    rows = [
        {"event_id": str(n), "name": "click" if n % 4 else "", "unit_id": f"u{n}", "occurred_at": "2020-01-01",
         "properties": json.dumps({"n": n})}
        for n in range(20)
    ]  # fmt: skip
    events = write_csv(tmp_path / "events.csv", rows)
    slug = ["--project", project.slug]
    monkeypatch.setattr(module, "CHUNK", 4)
    load_chunk, calls = module._load_chunk, []

    def break_at_the_third(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return load_chunk(*arguments)

    monkeypatch.setattr(module, "_load_chunk", break_at_the_third)
    run("load", "events", events, *slug, status=1)
    assert Event.objects.filter(project=project).count() == 8
    monkeypatch.setattr(module, "_load_chunk", load_chunk)
    output = run("load", "events", events, *slug)
    assert "Resuming after row 11" in output
    assert "7 new events, 0 already loaded" in output
    assert Event.objects.get(project=project, event_id="19").properties == {"n": 19}
    rejected = (tmp_path / "events.csv.rejected.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in rejected] == ["event_id", "0", "4", "8", "12", "16"]
    assert not (tmp_path / "events.csv.progress.json").exists()
    assert "0 new events, 15 already loaded" in run("load", "events", events, *slug)


def test_a_changed_file_is_loaded_from_its_start(tmp_path, project):
    row = {
        "event_id": "1",
        "name": "click",
        "unit_id": "u",
        "occurred_at": "2020-01-01",
        "properties": "[1]",
    }
    events = write_csv(tmp_path / "events.csv", [row, {**row, "event_id": "2", "properties": ""}])
    place = tmp_path / "events.csv.progress.json"
    place.write_text('{"of": {"size": 1, "modified": 1}, "rows": 2}')
    output = run("load", "events", events, "--project", project.slug)
    assert "1 new event," in output
    assert "must be a JSON object" in output


def test_a_missing_file_is_wrong_usage(project):
    output = run("load", "items", "/nowhere.csv", "--project", project.slug, status=2)
    assert "file '/nowhere.csv' does not exist" in output


def test_an_unknown_project_is_wrong_usage(tables):
    assert "must be one of" in run("models", "home", "--project", "nobody", status=2)


def test_the_registry_from_a_shell(shop):
    slug = ["--project", shop.project.slug]
    builders.make_version(shop.surface, [1] * 10)
    assert "popularity@2" in run("models", "home-feed", *slug)
    assert "popularity@2 is the champion" in run("promote", "home-feed", "popularity@2", *slug)
    assert "popularity@1 is the champion" in run("rollback", "home-feed", "popularity@1", *slug)
    assert "already" in run("rollback", "home-feed", "popularity@1", *slug, status=1)
    experiment = shop.run_experiment()
    back = ("rollback", "home-feed", "popularity@2", *slug)
    assert "has a running experiment: stop it first" in run(*back, status=1)
    assert "popularity@2 is the champion" in run(*back, "--stop-experiment")
    experiment.refresh_from_db()
    assert experiment.state == "ended"
    assert "must be one of" in run("promote", "home-feed", "oracle@1", *slug, status=2)
    assert "surface == 'nowhere'" in run("models", "nowhere", *slug, status=2)
    assert "no liked items" in run("train", "home-feed", *slug, status=1)


def test_experiments_from_a_shell(shop):
    slug = ["--project", shop.project.slug]
    builders.make_version(shop.surface, [1] * 10)
    define = ["experiments", "define", "trial", "--surface", "home-feed", "--control", "popularity@1",
              "--treatment", "popularity@2", "--metric", "clicks", "--name", "A trial", *slug]  # fmt: skip
    assert "breaker_alpha == 0.06, must be in [0, 0.05]" in run(
        *define, "--breaker-alpha", "0.06", status=2
    )
    run(*define, "--breaker-alpha", "0.01")
    assert Experiment.objects.get(project=shop.project, key="trial").breaker_alpha == 0.01
    assert "exists already" in run(*define, status=2)
    assert "trial runs" in run("experiments", "start", "trial", *slug)
    assert "must be draft" in run("experiments", "start", "trial", *slug, status=1)
    run("experiments", "stop", "trial", *slug)
    assert "A trial" in run("experiments", "list", *slug)


def test_keys_from_a_shell(lane, shop):
    slug = ["--project", shop.project.slug]
    text = run("keys", "make", *slug).strip()
    assert text.startswith("pk_")
    key = shop.project.api_keys.order_by("-id").first()
    assert text[:8] in run("keys", "list", *slug)
    output = run(
        "keys", "change", str(key.pk), "--scope", "ingest", "--origin", "https://a.example", *slug
    )
    assert "may ingest, from https://a.example" in " ".join(output.split())
    key.refresh_from_db()
    assert (key.scopes, key.allowed_origins) == (["ingest"], ["https://a.example"])
    run("keys", "revoke", str(key.pk), *slug)
    lane.refresh()
    assert lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u"}, text).status_code == 401


def test_the_doctor_finds_the_servers_well():
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "doctor"], capture_output=True, text=True, check=False
    )
    assert "PostgreSQL 18 answers" in done.stdout
    assert "append-only file" in done.stdout
    assert re.search(r"texts that wait for their vectors: \d", done.stdout)


def test_the_doctor_names_a_database_that_is_away(monkeypatch):
    import os

    environment = {**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "doctor"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 1
    assert "ISSUE   PostgreSQL does not answer: check DATABASE_URL" in done.stdout


# Datasets of many shapes


def dataset(tmp_path, items, interactions, columns=None, positive=4.0):
    items = write_csv(tmp_path / "items.csv", items)
    log = write_csv(tmp_path / "log.csv", interactions)
    from pathlib import Path

    return read_dataset(Path(items), Path(log), columns or Columns(), positive=positive)


ITEMS = [
    {"movieId": "1", "title": "Heat", "genres": "Crime"},
    {"movieId": "2", "title": "Sun", "genres": "War"},
]


def test_usual_column_names_are_guessed(tmp_path):
    rows = [
        {"userId": "u", "movieId": "2", "rating": "3.5", "timestamp": "200"},
        {"userId": "u", "movieId": "1", "rating": "4", "timestamp": "100"},
    ]
    history = dataset(tmp_path, ITEMS, rows)
    assert [i.item_id for i in history.interactions] == ["1", "2"]
    assert [history.likes(i) for i in history.interactions] == [True, False]


def test_columns_may_be_named_and_times_be_dates(tmp_path):
    items = [{"sku": "1", "what": "Heat", "more": "Crime"}]
    rows = [
        {"who": "u", "sku": "1", "when": "2020-01-02"},
        {"who": "v", "sku": "1", "when": "2020-01-01T00:00:00+00:00"},
    ]
    columns = Columns(item_id="sku", text=("what", "more"), user_id="who", timestamp="when")
    history = dataset(tmp_path, items, rows, columns)
    assert [i.unit_id for i in history.interactions] == ["v", "u"]
    assert (history.items[0].title, history.items[0].text) == ("Heat", "Crime")
    assert history.likes(history.interactions[0])
    assert not history.has_ratings


def test_milliseconds_are_understood_and_file_order_without_times(tmp_path):
    rows = [{"user_id": "u", "movieId": "1", "timestamp": "1700000000000"}]
    assert dataset(tmp_path, ITEMS, rows).interactions[0].at == 1_700_000_000
    rows = [{"user_id": "u", "movieId": "2"}, {"user_id": "u", "movieId": "1"}]
    assert [i.item_id for i in dataset(tmp_path, ITEMS, rows).interactions] == ["2", "1"]


@pytest.mark.parametrize(
    ("items", "rows", "columns", "message"),
    [
        (ITEMS, [{"a": "u", "movieId": "1"}], Columns(), "name one with --user-id"),
        (ITEMS, [{"user_id": "u", "movieId": "1"}], Columns(user_id="x"), "has no column 'x', it has"),
        (
            ITEMS,
            [{"user_id": "u", "movieId": "1", "rating": "good"}],
            Columns(),
            "the first because rating == 'good', must be a number",
        ),
        (
            ITEMS,
            [{"user_id": "u", "movieId": "1", "timestamp": "soon"}],
            Columns(),
            "the first because timestamp == 'soon', must be seconds since 1970 or ISO 8601",
        ),
        (ITEMS, [{"user_id": "u", "movieId": "9"}], Columns(), "names an item of"),
        ([{"movieId": "1"}], [{"user_id": "u", "movieId": "1"}], Columns(), "name one with --text"),
    ],
)
def test_a_file_that_cannot_be_used_names_why(tmp_path, items, rows, columns, message):
    with pytest.raises(DatasetError, match=message):
        dataset(tmp_path, items, rows, columns)


def test_parquet_is_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"item_id": [1, 2], "title": ["Heat", "Sun"]}), tmp_path / "i.parquet")
    pq.write_table(
        pa.table({"user_id": [7, 7], "item_id": [1, 2], "rating": [5, 1]}), tmp_path / "l.parquet"
    )
    history = read_dataset(tmp_path / "i.parquet", tmp_path / "l.parquet", Columns(), positive=4)
    assert [i.unit_id for i in history.interactions] == ["7", "7"]


def test_the_plan_keeps_past_and_future_and_the_two_experiments_apart(tmp_path):
    rows = [
        {"user_id": f"u{u}", "movieId": str(i), "rating": "5", "timestamp": str(i)}
        for u in range(20)
        for i in range(20)
    ]
    items = [{"movieId": str(i), "title": f"t{i}"} for i in range(20)]
    history = dataset(tmp_path, items, rows)
    plan = make_replay_plan(history, seed=1, max_users=100)
    past = by_unit(plan.past)
    for first, second in zip(plan.first, plan.second, strict=True):
        before = {i.item_id for i in past[first.unit_id]}
        assert len(before) == 16
        assert not before & (set(first.likes) | set(second.likes))
        assert not set(first.likes) & set(second.likes)
        assert len(first.likes) + len(second.likes) == 4
    assert make_replay_plan(history, seed=1, max_users=100) == plan
    assert make_replay_plan(history, seed=2, max_users=100) != plan
