"""What pages, the API and the shell show of a surface's autopilot, from the first version to a holdback."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.translation import override

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.change_queue import hold_challenger
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.step_ramp import hold_ramp
from experiments.models import Metric
from experiments.reports.autopilot_json import autopilot_as_json
from experiments.reports.impact import impact_of
from experiments.reports.pipeline import read_pipeline
from experiments.reports.read_autopilot import read_autopilot
from experiments.reports.stored_text import is_listed, show_stored
from inference.models import TrainingRun
from tests.support import builders

STEPS = [{"share": 0.05, "minimum_seconds": 60}, {"share": 0.5, "minimum_seconds": 0}]


@pytest.fixture
def shop(tables):
    shop = builders.make_shop()
    shop.surface.policy = builders.QUICK_POLICY
    shop.surface.save()
    return shop


def read(shop):
    return read_autopilot(shop.surface, timezone.now())


def states(shop):
    return {row.name: row.state for row in read(shop).pipeline}


def stages(row):
    return {stage.stage: stage.state for stage in row.stages}


def test_without_a_primary_metric_it_says_that_nothing_starts(shop):
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    report = read(shop)
    assert report.now.state == "no_primary_metric"
    assert report.now.sentence == ("No primary metric: no automatic experiment starts. ease@1 waits.")
    assert report.warnings[0] == "No primary metric: no automatic experiment starts."
    assert [row.version.label for row in report.queue] == ["ease@1"]
    assert states(shop) == {"ease@1": "waiting", "popularity@1": "champion"}


def test_a_challenger_from_its_training_to_its_verdict(shop):
    builders.set_programme(shop, ramp=STEPS)
    run = TrainingRun.objects.create(
        surface=shop.surface, algorithm="als", trigger="a test", state="running", progress=0.5
    )
    assert (read(shop).now.state, read(shop).year.gain) == ("idle", None)
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    assert read(shop).now.state == "ready"
    experiment = advance_challenger(surface=shop.surface)
    report = read(shop)
    assert (report.now.state, report.now.experiment) == ("ramping", experiment)
    needed = experiment.ramp[0]["units"]
    assert f"next step after {needed} users or 1 minute, whichever is later" in report.now.sentence
    training, row, champion = report.pipeline
    assert (training.run, training.state, training.stages[0].label) == (run.pk, "training", "50%")
    assert (row.name, row.state) == ("ease@1 against popularity@1", "ramping")
    assert stages(row) == {
        "trained": "done", "gate": "done", "shadow": "skipped", "ramp": "now", "verdict": "none",
        "holdback": "none",
    }  # fmt: skip
    hold_ramp(experiment=experiment, by="ann", reason="the campaign")
    report = read(shop)
    assert report.now.state == "held"
    assert report.now.sentence.endswith("is held at 5%: held by ann: the campaign.")
    assert report.pipeline[1].stages[3].label == "Held at 5%"
    builders.visits(experiment, {"control": 1, "treatment": 2})
    assert look_at_experiment(experiment_id=experiment.pk).action == "ship"
    report = read(shop)
    assert report.champion.version.label == "ease@1"
    assert report.champion.shipped_at.lift == pytest.approx(2 / 3)
    assert report.champion.holdback.outcome == "running"
    assert report.champion.holdback.total_days == pytest.approx(28)
    assert (report.year.tested, report.year.shipped, report.year.rolled_back) == (1, 1, 0)
    gain = report.year.gain
    assert gain.metric == shop.metric.key
    assert gain.lift.low < gain.lift.estimate < gain.lift.high
    assert gain.lift == impact_of(shop.project).surfaces[0].total
    assert autopilot_as_json(report)["year"]["gain"]["ci"] == (gain.lift.low, gain.lift.high)
    row = report.pipeline[1]
    assert (row.state, stages(row)["verdict"], stages(row)["holdback"]) == ("champion", "done", "now")
    assert autopilot_as_json(report)["champions"][0]["version"] == "ease@1"
    assert champion.state == "champion"


def test_what_left_the_queue_says_how(shop):
    builders.set_programme(shop, paused=True)
    builders.make_version(shop.surface, [1] * 10, algorithm="old")
    held = builders.make_version(shop.surface, [1] * 10, algorithm="held")
    builders.make_version(shop.surface, [1] * 10, algorithm="old")
    hold_challenger(version=held, by="ann")
    builders.make_version(shop.surface, [1] * 10, algorithm="bad", alias="rejected")
    assert advance_challenger(surface=shop.surface) is None
    assert states(shop) == {
        "bad@1": "refused", "old@2": "waiting", "held@1": "on_hold", "old@1": "superseded",
        "popularity@1": "champion",
    }  # fmt: skip
    assert read(shop).now.state == "paused"


def test_people_see_what_needs_their_approval(shop):
    builders.set_programme(shop, approval="two_persons")
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    experiment = advance_challenger(surface=shop.surface)
    builders.visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    report = read(shop)
    assert report.now.state == "proposed"
    assert (report.proposals[0].required_approvals, report.pipeline[0].state) == (2, "proposed")


def test_more_challengers_need_no_more_queries(shop):
    def count():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            read_pipeline(shop.surface, timezone.now())
        return len(queries)

    builders.make_version(shop.surface, [1] * 10)
    before = count()
    for _ in range(5):
        builders.make_version(shop.surface, [1] * 10)
    assert count() == before


def test_its_stored_sentences_have_words_for_pages(shop):
    Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    builders.set_programme(shop, ramp=STEPS, guardrails=[{"metric": "orders", "margin": 0.03}])
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    experiment = advance_challenger(surface=shop.surface)
    report = read(shop)
    sentences = [report.now.sentence, *report.warnings]
    hold_ramp(experiment=experiment, by="ann", reason="the campaign")
    report = read(shop)
    sentences += [report.now.sentence, *(need.sentence for need in report.ramp.needs)]
    assert len(sentences) > 6
    assert [one for one in sentences if not is_listed(one)] == []
    with override("zh-hans"):
        assert show_stored("1 minute at this step") == "在此步骤停留 1 分钟"
