"""Bots and internal units count nowhere, and say so when a variant makes more of them."""

from __future__ import annotations

from datetime import timedelta

from experiments.actions.exclude_units import exclude_busy_units, exclude_units
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.ingest.rows import ExclusionRow, Rows
from experiments.models import Decision, ExcludedUnit
from experiments.reports.activity import read_activity
from tests.support import builders


def expose(experiment, units: dict[str, str]) -> None:
    variants = {variant.key: variant for variant in experiment.variants.select_related("experiment")}
    rows = [builders.exposure(variants[key], unit=unit) for unit, key in units.items()]
    builders.write(Rows(exposures=rows))


def exclude(shop, units) -> None:
    builders.write(Rows(exclusions=[ExclusionRow(shop.project.pk, unit, "bot") for unit in units]))


def test_a_variant_that_makes_bots_halts_the_experiment(shop):
    experiment = shop.run_experiment(window_seconds=0.001)
    units = {f"u{n}": "treatment" if n % 2 else "control" for n in range(400)}
    expose(experiment, units)
    look = look_at_experiment(experiment_id=experiment.pk)
    assert look.action == Decision.Action.KEEP_RUNNING
    exclude(shop, [unit for unit, key in units.items() if key == "treatment"][:60])
    look = look_at_experiment(experiment_id=experiment.pk)
    assert look.action == Decision.Action.HALT
    assert look.reason.startswith(("excluded units", "sample ratio mismatch"))


def test_bots_in_equal_shares_are_left_out_and_nothing_else_happens(shop):
    experiment = shop.run_experiment(window_seconds=0.001)
    units = {f"u{n}": "treatment" if n % 2 else "control" for n in range(400)}
    exclude(shop, ["u0", "u1"])
    expose(experiment, units)
    look_at_experiment(experiment_id=experiment.pk)
    exclude(shop, [f"u{n}" for n in range(40)])
    look = look_at_experiment(experiment_id=experiment.pk)
    assert look.action == Decision.Action.KEEP_RUNNING
    assert [counts for counts, _ in look.inputs["excluded"]] == [{"control": 20, "treatment": 20}]
    assert [counts for counts, _ in look.inputs["exposures"]] == [{"control": 180, "treatment": 180}]
    (metric,) = look.inputs["metrics"]
    assert {key: totals["n"] for key, totals in metric["epochs"][0].items()} == {
        "control": 180, "treatment": 180,
    }  # fmt: skip


def test_a_list_is_taken_in_once_and_written_into_the_audit_trail(shop, lane):
    assert exclude_units(project_id=shop.project.pk, unit_ids=["a", "b", "a"], by="a test") == 2
    answer = lane.client.post(
        "/v1/units/exclude", json={"unit_ids": ["b", "c"]}, headers={"X-API-Key": shop.secret}
    )
    assert answer.json() == {"excluded": 1}
    assert shop.project.audit_entries.filter(action="exclude").count() == 2
    bad = lane.client.post(
        "/v1/units/exclude", json={"unit_ids": [""]}, headers={"X-API-Key": shop.secret}
    )
    assert bad.status_code == 400


def test_days_and_weeks_are_the_projects_own(shop, lane):
    from datetime import UTC, datetime

    def happen(*times):
        rows = [
            builders.event(shop.project, unit=f"u{n}", at=at, event_id=str(at))
            for n, at in enumerate(times)
        ]
        builders.write(Rows(events=rows))

    # Summer time began in Berlin on 2025-03-30, a Sunday.
    happen(
        "2025-03-29T22:30:00Z", "2025-03-29T23:30:00Z", "2025-03-30T21:30:00Z", "2025-03-30T22:30:00Z"
    )
    now = datetime(2025, 4, 1, tzinfo=UTC)

    def read(zone, per):
        rows = read_activity(
            project_id=shop.project.pk, zone=zone, per=per, now=now, back=timedelta(days=5)
        )
        return {row["begins"]: row["events"] for row in rows}

    assert read("Europe/Berlin", "day") == {"2025-03-29": 1, "2025-03-30": 2, "2025-03-31": 1}
    assert read("UTC", "day") == {"2025-03-29": 2, "2025-03-30": 2}
    assert read("Europe/Berlin", "week") == {"2025-03-24": 3, "2025-03-31": 1}
    headers = {"X-API-Key": shop.secret}
    wrong = lane.client.patch("/v1/project", json={"timezone": "Mars/Base"}, headers=headers)
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "timezone")
    right = lane.client.patch("/v1/project", json={"timezone": "Asia/Shanghai"}, headers=headers)
    assert right.json()["timezone"] == "Asia/Shanghai"
    assert lane.client.get("/v1/activity?per=week", headers=headers).json() == []


def test_a_flood_leaves_out_a_unit_only_when_a_secret_key_sends_it(shop):
    shop.project.max_events_per_minute = 30
    shop.project.save()

    def events(unit, count, *, trusted):
        return [builders.event(shop.project, unit=unit, trusted=trusted) for _ in range(count)]

    robot, person = events("robot", 31, trusted=True), events("person", 30, trusted=True)
    builders.write(Rows(events=[*robot, *person, *events("victim", 31, trusted=False)]))
    exclude_busy_units()
    exclude_busy_units()
    excluded = ExcludedUnit.objects.filter(project=shop.project)
    assert [(row.unit_id, row.reason) for row in excluded] == [("robot", "rate")]
