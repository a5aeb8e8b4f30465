"""`bakeoff analyze --records`: the same numbers before and after months are archived."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
from django.conf import settings

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.archive.place import FolderPlace
from experiments.models import ArchivedMonth, ExcludedUnit, Experiment
from tests.support import archives, builders
from tests.support.builders import Rows

MONTHS = iter(date(2000, n, 1) for n in range(1, 12))


@pytest.fixture
def place():
    root = settings.BAKEOFF.home / "archive"
    shutil.rmtree(root, ignore_errors=True)
    yield FolderPlace(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def past(shop, place):
    """An experiment of an old month that has ended: users clicked in it and in the month after."""
    month = next(MONTHS)
    experiment = shop.run_experiment(window_seconds=40 * 86_400.0, minimum_run_seconds=40 * 86_400.0)
    archives.make_month(shop, month)
    archives.make_month(shop, next(MONTHS))
    at = datetime(month.year, month.month, 12, tzinfo=UTC)
    rows = Rows()
    for variant in experiment.variants.select_related("experiment"):
        for n in range(20):
            unit = f"{variant.key}-{n}"
            rows.exposures.append(builders.exposure(variant, unit=unit, at=at.isoformat()))
            for click in range(n % 3 + (variant.key == "treatment")):
                when = at + timedelta(days=12 * click)
                rows.events.append(
                    builders.event(
                        shop.project, unit=unit, at=when.isoformat(), event_id=f"{unit}-{click}"
                    )
                )
            outside = at + timedelta(days=41)
            rows.events.append(builders.event(shop.project, unit=unit, at=outside.isoformat()))
    builders.write(rows)
    ExcludedUnit.objects.create(project=shop.project, unit_id="control-2", reason="a bot")
    Experiment.objects.filter(pk=experiment.pk).update(started_at=at)
    yield experiment, month
    ArchivedMonth.objects.filter(project=shop.project).delete()


def analyze(console, shop, experiment, **kwargs):
    project = ("--project", shop.project.slug)
    done = console("analyze", experiment.key, "--records", *project, "--format", "json", **kwargs)
    return orjson.loads(done.stdout)


def test_archived_months_count_as_before(past, shop, place, console):
    experiment, month = past
    before = analyze(console, shop, experiment)
    look_at_experiment(experiment_id=experiment.pk, now=builders.now())
    Experiment.objects.filter(pk=experiment.pk).update(state="ended", ended_at=builders.now())
    archives.archive(month, place)
    (rows,) = ({row.rows for row in archives.files_of(shop) if row.table == "events"},)
    assert max(rows) > 40
    assert analyze(console, shop, experiment) == before
    archives.archive(month.replace(month=month.month + 1), place)
    assert analyze(console, shop, experiment) == before
    units = {one["variant"]: one["units"] for one in before["variants"]} if "variants" in before else {}
    assert not units or units == {"control": 19, "treatment": 20}


def test_a_file_that_is_not_whole_is_refused(past, shop, place, console):
    experiment, month = past
    Experiment.objects.filter(pk=experiment.pk).update(state="ended", ended_at=builders.now())
    archives.archive(month, place)
    events = next(row for row in archives.files_of(shop) if row.table == "events")
    (place.root / events.name).write_bytes(b"PAR1")
    project = ("--project", shop.project.slug)
    output = console("analyze", experiment.key, "--records", *project, status=2).output
    assert "is cut or damaged" in output
    (place.root / events.name).unlink()
    output = console("analyze", experiment.key, "--records", *project, status=2).output
    assert "it is not there" in output


def test_what_cannot_be_counted_so_is_refused(shop, console):
    experiment = shop.run_experiment()
    project = ("--project", shop.project.slug)
    output = console("analyze", experiment.key, "--records", *project, status=2).output
    assert f"exposures of '{experiment.key}' == 0, must be at least one" in output
    Experiment.objects.filter(pk=experiment.pk).update(mode="bandit")
    output = console("analyze", experiment.key, "--records", *project, status=2).output
    assert f"mode == 'bandit' of '{experiment.key}', must be 'split'" in output
    Experiment.objects.filter(pk=experiment.pk).update(mode="split")
    output = console(
        "analyze", experiment.key, "--records", "--predict", "pre", *project, status=2
    ).output
    assert "must be rows of units" in output
    words = ("--metric", "bought:proportion", *project)
    output = console("analyze", experiment.key, "--records", *words, status=2).output
    assert "metric with --records, must be left out: metrics are the experiment's own" in output
    metric = experiment.metrics.get()
    metric.spec = metric.spec | {"event": "feedback.thumb"}
    metric.save()
    output = console("analyze", experiment.key, "--records", *project, status=2).output
    assert "feedback.thumb" in output
