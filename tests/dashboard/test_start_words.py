"""The page that asks whether to start says the traffic, the duration and versions that are out of use."""

from __future__ import annotations

import pytest
from django.db import connection

from bakeoff.dashboard import start_words
from experiments.ingest.rows import Rows
from tests.support import builders
from tests.support.dashboard import report_path, sign_in


@pytest.fixture
def read(shop):
    """A reader of the page for a draft with these fields."""

    def read(key="mine", **fields):
        draft = builders.define_experiment(builders.draft(shop, shop.surface, key, **fields))
        page = sign_in(shop.project, role="operator").get(f"{report_path(draft)}act/start/")
        assert page.status_code == 200
        return page.content.decode().replace("&#x27;", "'")

    return read


def visit(shop, users=100):
    slates = [builders.slate(shop, f"u{n}", served_at=builders.minutes_ago(5)) for n in range(users)]
    builders.write(Rows(slates=slates))


def test_traffic_is_that_of_the_layers_range(shop, read):
    layer = shop.project.layers.create(key="layer")
    assert "80% of the traffic on 'home-feed'" in read(layer=layer, slot=(0.0, 0.8))
    assert "40% of the traffic on 'home-feed'" in read(
        "half", layer=layer, slot=(0.0, 0.8), allocation=0.5
    )
    assert "100% of the traffic on 'home-feed'" in read("all")


def test_the_duration_is_that_of_last_weeks_traffic(shop, read):
    policy = {"planned_units": 2000, "minimum_run_seconds": 0.0}
    assert "unknown, as last week nobody came; 2,000 users are planned." in read(policy=policy)
    visit(shop)  # 100 users a day
    assert "about 20 days for 2,000 users, at last week's traffic." in read("full", policy=policy)
    assert "about 40 days for 2,000 users" in read("half", policy=policy, allocation=0.5)
    long = policy | {"planned_units": 200_000}
    assert "more than half a year for 200,000 users" in read("long", policy=long)
    weeks = policy | {"minimum_run_seconds": 28 * 86_400.0}
    assert "about 28 days for 2,000 users" in read("weeks", policy=weeks)


def test_a_slow_database_costs_the_duration_alone(shop, read, monkeypatch):
    def wait(_surface):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")

    monkeypatch.setattr(start_words, "visitors_per_day", wait)
    monkeypatch.setattr(start_words, "MAX_SECONDS", 0.01)
    page = read()
    assert "100% of the traffic on 'home-feed'" in page
    assert "Expected duration" not in page


def test_a_switchback_takes_its_blocks(read):
    policy = {"block_seconds": 3600.0, "carry_over_seconds": 600.0, "planned_units": 240}
    page = read(mode="switchback", policy=policy)
    assert "Expected duration: 10 days, for 240 blocks of time." in page


@pytest.mark.parametrize("alias", ["retired", "rejected"])
def test_a_treatment_that_is_out_of_use_is_warned_of(shop, read, alias):
    draft = builders.draft(shop, shop.surface, "odd")
    experiment = builders.define_experiment(draft)
    version = experiment.variants.get(is_control=False).model_version
    start = f"{report_path(experiment)}act/start/"
    client = sign_in(shop.project, role="operator")
    assert "Warning" not in client.get(start).content.decode()
    version.alias = alias
    version.save()
    page = client.get(start).content.decode().replace("&#x27;", "'")
    assert f"Warning: {version} of 'Treatment' is {alias.capitalize()}." in page
