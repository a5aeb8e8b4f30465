"""Recommendations of many users as a file, and exposures that are reported when it is sent."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from pyarrow import parquet
from uuid_utils import uuid7

from bakeoff.cli import main
from bakeoff.embedded.address import forget_address, read_address, write_address
from bakeoff.environment import read_environment
from experiments.actions.load_catalogue import write_items
from experiments.ingest.rows import Rows
from experiments.models import Exposure, Slate
from inference.actions.load_items import ItemDraft
from tests.support import builders

UNITS = [f"u{n:02}" for n in range(24)]


@pytest.fixture
def trial(lane, shop):
    """A running experiment, and units that clicked before."""
    builders.write(
        Rows(events=[builders.event(shop.project, unit=unit, item_id="i1") for unit in UNITS])
    )
    experiment = shop.run_experiment()
    lane.refresh()
    return experiment


def export(lane, shop, file, *options, key=None, status=0):
    called = [
        "export", "recommendations", "home-feed", "--to", str(file), "--url", lane.url,
        "--key", key or shop.secret, "--project", shop.project.slug, "--k", "3", *options,
    ]  # fmt: skip
    done = CliRunner().invoke(main, called)
    assert done.exit_code == status, done.output
    return done.output


def report(lane, shop, rows, key, **fields):
    slates = {row["slate_id"]: row["unit_id"] for row in rows}
    events = [
        {"name": "exposure", "unit_id": unit, "recommendation_id": slate, **fields}
        for slate, unit in slates.items()
    ]
    answer = lane.post("/v1/events", {"events": events}, key)
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_it_asks_the_platform_of_its_home(lane, shop, trial, tmp_path):
    """On whichever port that listens; another address is only what a person names."""
    home = read_environment()
    assert read_address(home) == "http://127.0.0.1:8000"
    port = int(lane.url.rpartition(":")[2])
    write_address(home, "0.0.0.0", port)
    try:
        file = tmp_path / "home.parquet"
        called = [
            "export", "recommendations", "home-feed", "--to", str(file), "--key", shop.secret,
            "--project", shop.project.slug,
        ]  # fmt: skip
        done = CliRunner().invoke(main, called)
        assert done.exit_code == 0, done.output
        assert len(parquet.read_table(file)) > 0
        doctor = CliRunner().invoke(main, ["doctor"]).output
        assert (
            "they start; the platform is ready since" in doctor or "workers and beat: worker" in doctor
        )
    finally:
        forget_address(home)
    assert read_address(home) == "http://127.0.0.1:8000"


def test_a_file_has_what_each_user_would_get_and_exposes_nobody_until_it_is_sent(
    lane, shop, trial, tmp_path
):
    file = tmp_path / "home.parquet"
    output = export(lane, shop, file, "--context", '{"channel": "email"}')
    assert "72 rows of 24 users written" in output
    rows = parquet.read_table(file).to_pylist()
    assert [row["unit_id"] for row in rows] == [unit for unit in UNITS for _ in range(3)]
    assert [row["position"] for row in rows[:3]] == [1, 2, 3]
    assert {row["variant"] for row in rows} == {"control", "treatment"}
    slates = Slate.objects.filter(project=shop.project)
    assert {str(slate.recommendation_id) for slate in slates} == {row["slate_id"] for row in rows}
    assert {slate.context["channel"] for slate in slates} == {"email"}
    assert not Exposure.objects.filter(experiment=trial).exists()
    # A page's key reports nothing but an event.
    report(lane, shop, rows, shop.public)
    assert not Exposure.objects.filter(experiment=trial).exists()
    assert report(lane, shop, rows, shop.secret)["accepted"] == 24
    exposures = Exposure.objects.filter(experiment=trial).values_list("unit_id", "variant__key")
    assert set(exposures) == {(row["unit_id"], row["variant"]) for row in rows}
    # Slates of nobody, of an experiment that has ended or of none expose nobody, and are no error.
    strangers = [{"slate_id": str(uuid7()), "unit_id": "u1"}]
    assert report(lane, shop, strangers, shop.secret)["accepted"] == 1
    assert Exposure.objects.filter(experiment=trial).count() == 24


def test_exposures_may_be_recorded_at_once_for_the_users_of_a_file(lane, shop, trial, tmp_path):
    users = tmp_path / "users.txt"
    users.write_text("u01\n\nnobody-knew\n")
    file = tmp_path / "home.parquet"
    about = {"price": 49.5, "url": "https://shop.example/1", "image_url": "https://shop.example/1.png"}
    about |= {"labels": ["red"], "properties": {"brand": "Acme"}}
    write_items(project_id=shop.project.pk, items=[ItemDraft(i, **about) for i in shop.items])
    lane.refresh()
    options = ("--users", str(users), "--record-exposures", "now", "--fields", "brand,labels")
    export(lane, shop, file, *options)
    rows = parquet.read_table(file).to_pylist()
    assert {row["unit_id"] for row in rows} == {"u01", "nobody-knew"}
    names = ("price", "url", "image_url", "labels", "brand")
    expected = (*list(about.values())[:3], '["red"]', "Acme")
    assert {tuple(row[name] for name in names) for row in rows} == {expected}
    assert Exposure.objects.filter(experiment=trial).count() == 2
    file.unlink()
    for wrong, hint in (("brnd", "Did you mean 'brand'?"), ("x", "Known are brand, group_id, labels.")):
        refused = export(lane, shop, file, "--users", str(users), "--fields", wrong, status=2)
        assert f"fields == '{wrong}', must be" in refused
        assert hint in " ".join(refused.split())
    assert not file.exists()
    assert Slate.objects.filter(project=shop.project).count() == 2  # nobody was asked about


def test_users_without_items_are_counted_and_a_failed_export_leaves_no_file(
    lane, shop, trial, tmp_path
):
    file = tmp_path / "home.parquet"
    shop.surface.rules = {"filter": {"price": {"$lt": 1}}}
    shop.surface.save()
    lane.refresh()
    assert "0 rows of 0 users written" in export(lane, shop, file)
    assert parquet.read_table(file).num_rows == 0
    file.unlink()
    refused = export(lane, shop, file, key="sk_wrong", status=1)
    assert "The key is not known." in refused
    refused = export(lane, shop, file, key=shop.public, status=1)
    assert "expose" in refused
    assert list(tmp_path.iterdir()) == []
    assert "must be one of" in export(lane, shop, file, "--project", "nowhere", status=2)
    assert "must be a JSON object" in export(lane, shop, file, "--context", "[1]", status=2)
    assert "does not exist" in export(lane, shop, tmp_path / "no" / "x.parquet", status=2)


def test_a_public_key_may_not_leave_out_exposures(lane, shop):
    body = {"surface": "home-feed", "unit_id": "u1", "expose": False}
    answer = lane.post("/v1/recommend", body, shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "secret_key_needed")
    assert lane.post("/v1/recommend", {**body, "expose": 0}, shop.secret).status_code == 400
