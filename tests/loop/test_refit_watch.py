"""A refit that became champion without a test is watched, and undone where it answers worse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bakeoff.alerts.models import Alert
from bakeoff.breaker_watch import watch_experiments
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.watch_refit import watch_refit, watched_refits
from experiments.ingest.rows import Rows
from experiments.looks import answer_shares, latency_before
from experiments.models import Decision
from experiments.sql import min_uuid7
from inference.models import ModelVersion
from tests.support import builders
from tests.support.refits import make_refit, make_refreshed_shop


@dataclass
class Refreshed:
    """A shop whose champion became so as a refit a moment ago."""

    shop: builders.Shop
    refit: ModelVersion
    number: int = 0

    def answers(self, users, **fields) -> None:
        rows = Rows()
        for _ in range(users):
            self.number += 1
            slate = {"model_version_id": self.refit.pk, **fields}
            rows.slates.append(builders.slate(self.shop, f"v{self.number}", **slate))
        builders.write(rows)

    @property
    def champion(self) -> ModelVersion:
        return self.shop.surface.versions.champions().get()


@pytest.fixture
def refreshed(tables):
    shop = make_refreshed_shop()
    rows = Rows()
    for n in range(400):
        failed = "timeout" if n % 100 == 0 else None
        rows.slates.append(builders.slate(shop, f"u{n}", fallback=failed, latency_ms=2.0))
    builders.write(rows)
    refit = make_refit(shop)
    advance_challenger(surface=shop.surface)
    assert shop.surface.versions.champions().get() == refit
    return Refreshed(shop, refit)


def watch() -> None:
    watch_experiments(timedelta(0))


def test_how_the_champion_before_answered_is_frozen(refreshed):
    before = Decision.objects.get(surface=refreshed.shop.surface).evidence["before"]
    assert before == {
        "users": 400, "errors": 4, "fallbacks": 4, "slow": 0, "median_ms": 2.0, "slow_ms": 20.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "users"),
    [({"fallback": "model_error"}, 5), ({"latency_ms": 300.0}, 5)],
)
def test_a_broken_refit_is_undone_after_a_few_answers(refreshed, fields, users):
    refreshed.answers(users, **fields)
    watch()
    assert refreshed.champion == refreshed.shop.champion
    refreshed.refit.refresh_from_db()
    assert refreshed.refit.alias == "rejected"
    undone = Decision.objects.filter(surface=refreshed.shop.surface).first()
    assert (undone.action, undone.promoted) == ("roll_back", refreshed.shop.champion)
    assert undone.evidence["refit_breaker"]["tests"]
    assert Alert.objects.filter(project=refreshed.shop.project, event="breaker_trip").count() == 1
    watch()
    advance_challenger(surface=refreshed.shop.surface)  # it is not promoted again
    assert refreshed.champion == refreshed.shop.champion


def test_one_user_who_always_fails_undoes_nothing(refreshed):
    rows = Rows()
    fields = {"model_version_id": refreshed.refit.pk, "fallback": "model_error"}
    rows.slates += [builders.slate(refreshed.shop, "unlucky", **fields) for _ in range(200)]
    builders.write(rows)
    watch()
    assert refreshed.champion == refreshed.refit


def test_answers_as_before_undo_nothing(refreshed):
    for _ in range(5):
        refreshed.answers(99)
        refreshed.answers(1, fallback="timeout")
        refreshed.answers(50, fallback="default_list")  # newcomers are no failure
        watch()
    assert refreshed.champion == refreshed.refit


def test_a_refit_that_a_web_process_cannot_load_is_undone(refreshed):
    decision = watched_refits().get(surface=refreshed.shop.surface)
    assert watch_refit(decision=decision, unserved={refreshed.refit.pk: ["web-1"]}) is not None
    assert refreshed.champion == refreshed.shop.champion


def test_without_a_breaker_nothing_is_watched(refreshed):
    builders.set_programme(refreshed.shop, breaker_alpha=0)
    refreshed.answers(20, fallback="model_error")
    watch()
    assert refreshed.champion == refreshed.refit


def test_answers_are_found_by_their_surface(tables):
    """Among millions of a project's slates, the plan must not read all that the project has."""
    statements = {
        "first": (answer_shares._FIRST, {"slow": 1.0, "version": 1}),
        "latencies": (latency_before._LATENCIES, {"cap": 10.0, "version": 1}),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for name, (statement, values) in statements.items():
            since = min_uuid7(timezone.now())
            cursor.execute("EXPLAIN " + statement, {"surface": 1, "since": since, "limit": 9, **values})
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "surface_id_recommendation_id" in plan, (name, plan)
            assert "project_id" not in plan, (name, plan)
