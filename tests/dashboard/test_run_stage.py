"""Where a run is: phase, step of steps, loss, time left; on its page, in the API, for a terminal."""

from __future__ import annotations

import pytest
from django.urls import reverse

from inference.models import TrainingRun
from inference.models.run_stage import RunStage
from inference.runs.outcome import RunProgress
from inference.training_process.inputs import count_texts
from inference.training_process.reporter import Pace, Reporter
from tests.support import builders
from tests.support.dashboard import sign_in


@pytest.fixture
def run(shop):
    return TrainingRun.objects.create(
        surface=shop.surface, algorithm="two-tower", trigger="a test", state="running", lease=1
    )


def train(reporter: Reporter) -> None:
    """Report as a run whose champion is fitted first: the second of three fits is in its steps."""
    part = reporter.progress.part(1, 3, "seed 0")
    part.steps("", 300)
    part.curve("", 30, 2.125)
    part.report(0.1, "step 30: loss 2.125")


def test_page_api_and_terminal_say_where_a_run_is(run, shop, lane):
    train(Reporter(run, lease=1))
    run.refresh_from_db()
    stage = run.current_stage
    assert stage == RunStage("seed 0", 30, 300, 2.125)
    assert stage.line == "seed 0, step 30 of 300, loss 2.125"
    TrainingRun.objects.filter(pk=run.pk).update(stage=stage.as_json() | {"seconds_left": 150.0})
    headers = {"Authorization": f"Bearer {shop.secret}"}
    (listed,) = lane.client.get("/v1/surfaces/home-feed/training-runs", headers=headers).json()
    assert listed["stage"] == {
        "phase": "seed 0", "step": 30, "steps": 300, "loss": 2.125, "seconds_left": 150.0,
    }  # fmt: skip
    alone = lane.client.get(f"/v1/training-runs/{run.pk}", headers=headers).json()
    assert listed.items() <= alone.items()
    assert (alone["surface"], alone["ahead"], alone["gate"]) == ("home-feed", None, None)
    page = sign_in(shop.project).get(reverse("run", args=[run.pk])).content.decode()
    for words in ("Seed 0", "30 of 300", "2.1250", "Time left"):
        assert words in page
    TrainingRun.objects.filter(pk=run.pk).update(state="passed")
    run.refresh_from_db()
    assert run.current_stage is None


def test_a_phase_without_steps_has_none_of_the_last_one_s(run, lane):
    reporter = Reporter(run, lease=1)
    train(reporter)
    reporter.write(0.9, "judging")
    run.refresh_from_db()
    assert run.current_stage.phase == "judging"
    assert (run.current_stage.step, run.current_stage.loss) == (None, None)


def test_the_time_left_goes_by_the_pace_of_this_attempt():
    pace = Pace()
    assert pace.seconds_left(0.5, 100.0) is None  # an earlier attempt has done this half
    assert pace.seconds_left(0.505, 101.0) is None  # too little to tell
    assert pace.seconds_left(0.6, 120.0) == pytest.approx(80)


def test_the_time_left_never_counts_up():
    pace, left = Pace(), []
    # Ten hundredths in ten seconds each, but for two slow ones.
    for share, now in [(0.0, 0), (0.1, 10), (0.2, 20), (0.25, 60), (0.3, 90), (0.8, 120), (0.9, 130)]:
        left.append(pace.seconds_left(share, now))
    assert left[:3] == [None, 90.0, 80.0]
    assert left[3:5] == [None, None]
    assert left[5:] == pytest.approx([30, 14.4], abs=0.1)


def test_a_run_that_embeds_texts_says_how_many_and_how_long(run, shop, lane):
    reporter = Reporter(run, lease=1)
    add = count_texts(400, reporter.note_texts)
    add(400)  # all were there: nothing to say
    run.refresh_from_db()
    assert run.current_stage is None
    add = count_texts(400, reporter.note_texts)
    add(100)
    add(32)
    run.refresh_from_db()
    assert (run.current_stage.phase, run.current_stage.step) == ("embedding texts", 100)
    assert run.current_stage.line == "embedding texts, step 100 of 400"
    page = sign_in(shop.project).get(reverse("run", args=[run.pk])).content.decode()
    for words in ("Embedding the catalogue&#x27;s texts", "100 of 400", "Embedded 100 of 400 texts"):
        assert words in page


def test_a_part_names_the_fit_of_its_steps():
    heard = []
    progress = RunProgress(steps=lambda fit, steps: heard.append((fit, steps)))
    progress.span(0.0, 0.5).part(0, 2, "seed 0").steps("", 40)
    assert heard == [("seed 0", 40)]


def test_the_api_answers_one_run_with_its_result_and_reasons(run, shop, lane):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    gate = {"checks": [{"name": "recall", "passed": False, "reason": "recall == 0.1, must be 0.2."}]}
    version = builders.make_version(shop.surface, [1, 2], algorithm="two-tower")
    version.gate = gate
    version.save()
    queued = TrainingRun.objects.create(surface=shop.surface, algorithm="ease", trigger="a test")
    TrainingRun.objects.filter(pk=run.pk).update(
        state="refused", version=version, message="recall is too low", notes=["2 rows set aside"]
    )
    ended = lane.client.get(f"/v1/training-runs/{run.pk}", headers=headers).json()
    assert (ended["state"], ended["version"], ended["gate"]) == ("refused", version.label, gate)
    assert (ended["message"], ended["notes"]) == ("recall is too low", ["2 rows set aside"])
    assert (ended["stage"], ended["recommender"]) == (None, "two-tower")
    waits = lane.client.get(f"/v1/training-runs/{queued.pk}", headers=headers).json()
    assert (waits["state"], waits["ahead"], waits["started_at"]) == ("queued", 0, None)
    for missing, status in [("0", 404), ("ease", 400)]:
        answer = lane.client.get(f"/v1/training-runs/{missing}", headers=headers)
        assert answer.status_code == status, answer.text
