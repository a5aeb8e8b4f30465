"""Running totals of a policy: whatever comes in whichever order, they are those of all its decisions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import astuple
from datetime import timedelta

import numpy as np
import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bakeoff.accounts.models import AuditEntry
from experiments import tasks
from experiments.actions import count_decisions as counting
from experiments.actions.change_surface import patch_surface
from experiments.actions.erase_unit import erase_unit
from experiments.actions.exclude_units import exclude_units
from experiments.ingest.rows import Rows
from experiments.looks import policy_points
from experiments.looks.policy_points import MAX_POINTS
from experiments.models import Event, ExcludedUnit, Slate
from experiments.reports.policy_report import report_policy
from experiments.stats.policy_value import add_up, value_of
from inference.models import PolicyCount
from tests.support import builders
from tests.support.fast_lane import test_database_url
from tests.support.ranking import make_rank_surface, report_counted

ALPHA, HOUR = 0.05, timedelta(hours=1)


@pytest.fixture
def offers(shop, monkeypatch):
    shop.surface = make_rank_surface(shop.project)
    monkeypatch.setattr(counting, "AT_ONCE", 16)
    return shop


@pytest.fixture
def few_points(monkeypatch):
    """Points are far apart, as those of a million decisions are."""
    monkeypatch.setattr(policy_points, "MAX_POINTS", 2)
    monkeypatch.setattr(policy_points, "LATEST", 2)


def decision(shop, rng, unit, *, at=None, **fields):
    """A row of a decision whose time is over."""
    chance = float(rng.choice([0.1, 0.3, 1.0]))
    taken = rng.random() < chance
    return builders.slate(
        shop, unit, ("a",), model_version_id=int(rng.integers(1, 4)) if rng.random() < 0.8 else None,
        slots=[("a" if taken else "b", 0.0, 1, 0.5, False)], forced=bool(rng.random() < 0.05),
        context={"$rank": {"default": "a", "default_propensity": chance, "features": {"x": 1}}},
        served_at=(at or builders.now() - HOUR).isoformat(), **fields,
    )  # fmt: skip


def rewards(shop, rng, slates, *, share=1.0):
    """Rewards of some decisions, whole or in parts."""
    rows = []
    for slate in slates:
        if rng.random() >= share:
            continue
        parts = [None] if rng.random() < 0.5 else ["click", "order"]
        rows += [
            builders.event(
                shop.project, unit=slate.unit_id, name="reward", source="reward",
                value=float(rng.random()) / len(parts), at=slate.served_at,
                recommendation_id=slate.recommendation_id, properties={"part": part} if part else {},
            )
            for part in parts
        ]  # fmt: skip
    return rows


def rows_that_count(shop, *, default=0.0, stored_from=None):
    """Reward, default taken, its chance and version of each decision that counts, read one by one.

    Those by id from one on.
    """
    out = set(ExcludedUnit.objects.filter(project=shop.project).values_list("unit_id", flat=True))
    rows, earnings = [], defaultdict(list)
    for event in Event.objects.filter(project=shop.project, source="reward").order_by("event_id"):
        earnings[event.recommendation_id].append(event.value)
    for slate in Slate.objects.filter(surface=shop.surface, forced=False).order_by("recommendation_id"):
        if slate.unit_id in out or (stored_from and slate.recommendation_id < stored_from):
            continue
        about = slate.context["$rank"]
        earned = sum(earnings.get(slate.recommendation_id, [default]))
        taken = slate.slots[0][0] == about["default"]
        rows.append((earned, taken, about["default_propensity"], slate.model_version_id))
    return rows


def from_all_rows(shop, *, removed=(), **about):
    """The same as columns, after what retention removed, as it counted then."""
    rows = [*removed, *rows_that_count(shop, **about)]
    columns = [np.array(one) for one in zip(*rows, strict=True)]
    reward, taken, chance = columns[0].astype(float), columns[1].astype(bool), columns[2].astype(float)
    return reward, taken, chance, [row[3] for row in rows]


def assert_as_from_all_rows(shop, report, **about):
    *columns, versions = from_all_rows(shop, **about)
    ends = [one.value.decisions for one in report.course]
    batch = add_up(*columns, until=[*ends, len(versions)])
    assert_equal(report.value, batch[-1])
    for point, totals in zip(report.course, batch, strict=False):
        assert_equal(point.value, totals)
    for version, one in zip(dict.fromkeys(versions), report.versions, strict=True):
        rows = np.array([other == version for other in versions])
        (totals,) = add_up(*(column[rows] for column in columns), until=[int(rows.sum())])
        assert_equal(one.value, totals)


def assert_equal(value, totals):
    *numbers, interval = astuple(value)
    *others, other = astuple(value_of(totals, alpha=ALPHA))
    assert [*numbers, *interval] == pytest.approx([*others, *other], rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("few_points")
def test_counted_bit_by_bit_it_is_what_all_rows_say(offers, seed):
    rng = np.random.default_rng(seed)
    late, units = [], [f"u{n}" for n in range(12)]
    removed, stored_from = [], None
    for turn in range(10):
        slates = [decision(offers, rng, str(rng.choice(units))) for _ in range(int(rng.integers(12)))]
        held = [one for one in slates if rng.random() < 0.1]  # spilled, and drained later
        events = rewards(offers, rng, slates, share=0.7)
        events_held = [one for one in events if rng.random() < 0.1]
        now = [late.pop(int(rng.integers(len(late)))) for _ in range(min(len(late), 1))]
        late += [*held, *events_held]
        slates = [*(one for one in slates if one not in held), *of(now, "slots")]
        events = [*(one for one in events if one not in events_held), *of(now, "event_id")]
        if slates or events:
            builders.write(Rows(slates=slates, events=events))
        if turn % 5 == 3:
            exclude_units(project_id=offers.project.pk, unit_ids=[units.pop()], by="a test")
        if turn % 5 == 4:
            erase_unit(project_id=offers.project.pk, unit_id=units.pop(0), by="a test")
        if turn % 5 == 1:  # as a process of the version before erases
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM experiments_slate WHERE unit_id = %s", [units.pop(2)])
        if turn in (4, 7):
            ids = Slate.objects.filter(surface=offers.surface).order_by("recommendation_id")
            bound = ids.values_list("recommendation_id", flat=True)[len(ids) // 2]
            counts, later = [rows_that_count(offers, stored_from=one) for one in (stored_from, bound)]
            removed, stored_from = [*removed, *counts[: len(counts) - len(later)]], bound
            counting.keep_counted(offers.surface, bound)
            Slate.objects.filter(recommendation_id__lt=bound).delete()
        report = report_counted(offers.surface)
        assert_as_from_all_rows(offers, report, removed=removed, stored_from=stored_from)


def of(rows, field):
    return [one for one in rows if hasattr(one, field)]


def test_the_course_has_points_at_equal_numbers_and_a_page_reads_no_decision(offers, monkeypatch):
    rng = np.random.default_rng(9)
    slates = [decision(offers, rng, f"u{n}") for n in range(5 * MAX_POINTS)]
    builders.write(Rows(slates=slates, events=rewards(offers, rng, slates, share=0.5)))
    monkeypatch.setattr(counting, "AT_ONCE", 64)
    tasks.count_policy_decisions()
    with CaptureQueriesContext(connection) as queries:
        report = report_policy(offers.surface)
    assert not [one["sql"] for one in queries if "experiments_slate" in one["sql"]]
    ends = [one.value.decisions for one in report.course]
    assert len(ends) <= MAX_POINTS + 1
    assert {end % 8 for end in ends[:-1]} == {0}
    assert set(np.diff(ends[:-1])) == {8}
    assert_as_from_all_rows(offers, report)
    stored = len(PolicyCount.objects.get(surface=offers.surface).points)
    assert stored < 3 * MAX_POINTS


def test_other_settings_begin_anew_and_a_page_shows_nothing_of_before(offers):
    rng = np.random.default_rng(3)
    slates = [decision(offers, rng, f"u{n}") for n in range(20)]
    builders.write(Rows(slates=slates))
    assert report_counted(offers.surface).value.decisions > 0
    patch_surface(surface=offers.surface, changes={"rank": {"default_reward": 0.25}}, by="ann")
    offers.surface.refresh_from_db()
    assert report_policy(offers.surface).value.decisions == 0
    assert report_counted(offers.surface).value.decisions == 0
    # Decisions after the change count by it.
    changed = AuditEntry.objects.filter(project=offers.project, action="change surface")
    changed.update(at=builders.now() - 2 * HOUR)
    Slate.objects.filter(surface=offers.surface).update(served_at=builders.now() - HOUR)
    report = report_counted(offers.surface)
    assert report.value.served == pytest.approx(0.25)
    assert_as_from_all_rows(offers, report, default=0.25)


def test_what_was_not_committed_at_a_count_is_in_the_next(offers):
    rng = np.random.default_rng(4)
    early, late = decision(offers, rng, "early"), decision(offers, rng, "late")
    with psycopg.connect(test_database_url()) as other:
        other.execute("SELECT pg_current_xact_id()")
        builders.write(Rows(slates=[late]))
        # Its transaction began after one that may still write an earlier decision.
        assert report_counted(offers.surface).value.decisions == 0
    builders.write(Rows(slates=[early]))
    Slate.objects.filter(surface=offers.surface).update(forced=False)
    assert report_counted(offers.surface).value.decisions == 2
    assert_as_from_all_rows(offers, report_counted(offers.surface))


def test_what_is_not_over_holds_up_what_has_a_larger_id_until_it_is(offers):
    rng = np.random.default_rng(5)
    first = decision(offers, rng, "first", at=builders.now())
    builders.write(Rows(slates=[first, decision(offers, rng, "second")]))
    Slate.objects.filter(surface=offers.surface).update(forced=False)
    assert report_counted(offers.surface).value.decisions == 0
    Slate.objects.filter(unit_id="first").update(served_at=builders.now() - HOUR)
    assert report_counted(offers.surface).value.decisions == 2


def test_a_count_that_an_erasure_holds_up_is_left_to_the_next(offers):
    builders.write(Rows(slates=[decision(offers, np.random.default_rng(6), "u1")]))
    Slate.objects.filter(surface=offers.surface).update(forced=False)
    PolicyCount.objects.create(surface=offers.surface)
    with psycopg.connect(test_database_url()) as other:
        other.execute(
            "SELECT 1 FROM inference_policycount WHERE surface_id = %s FOR UPDATE", [offers.surface.pk]
        )
        assert report_counted(offers.surface).value.decisions == 0
    assert report_counted(offers.surface).value.decisions == 1
