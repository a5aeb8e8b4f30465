"""A run's log: what its processes wrote, bounded, without secrets, also when they fail or are killed."""

from __future__ import annotations

import json
import logging
import signal
import threading

import pytest
from django.db import DatabaseError
from django.urls import reverse
from django.utils import timezone

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.models import ApiKey
from experiments.actions.retrain_surface import retrain_surface
from inference.actions import train_in_child
from inference.actions.write_run_log import LogLine, write_run_log
from inference.models import TrainingRun
from inference.models.run_log import MAX_LINES, MAX_TEXT
from inference.models.run_stage import RunStage
from inference.tasks import run_training
from inference.training_process import run_log
from inference.training_process.run_log import STAGE_SECONDS, RunLog
from tests.support import builders, commands
from tests.support.dashboard import sign_in
from tests.support.learning import train


@pytest.fixture
def run(shop) -> TrainingRun:
    return TrainingRun.objects.create(surface=shop.surface, algorithm="ease", trigger="a test")


def lines_of(run):
    return [(line.level, line.text) for line in run.log_lines.all()]


def test_the_last_lines_stay_and_are_cut(run):
    first = [LogLine("info", f"line {n}") for n in range(MAX_LINES)]
    write_run_log(run.pk, first, attempt=1)
    write_run_log(run.pk, [LogLine("error", "x" * 2000), LogLine("info", " ")], attempt=2)
    stored = list(run.log_lines.all())
    assert len(stored) == MAX_LINES
    assert (stored[0].text, stored[0].attempt) == ("line 1", 1)
    assert (len(stored[-1].text), stored[-1].text[-1], stored[-1].attempt) == (MAX_TEXT, "…", 2)


def test_a_line_is_one_line_of_printable_text(run):
    write_run_log(run.pk, [LogLine("info", "a\0b\x1b[31mred\nnext")], attempt=1)
    assert lines_of(run) == [("info", "a b [31mred next")]


def test_a_shell_shows_the_last_lines(run):
    shell = ["runs", "log", str(run.pk), "--project", run.surface.project.slug]
    assert commands.run(*shell) == "Nothing logged yet.\n"
    write_run_log(run.pk, [LogLine("info", f"line {n}") for n in range(3)], attempt=1)
    write_run_log(run.pk, [LogLine("error", "[red] out of memory")], attempt=2)
    rows = json.loads(commands.run(*shell, "--json", "--lines", "2"))
    assert [(one["attempt"], one["level"], one["text"]) for one in rows] == [
        (1, "info", "line 2"),
        (2, "error", "[red] out of memory"),
    ]
    printed = commands.run(*shell, "--lines", str(10**30)).splitlines()
    assert len(printed) == 4
    assert printed[3].endswith(" error [red] out of memory")
    assert "lines" in commands.run(*shell, "--lines", "0", status=2)


def test_a_phase_has_a_line_and_then_one_now_and_then(run):
    log = RunLog(run.pk, 1)
    for now, step in ((0.0, 1), (1.0, 2), (STAGE_SECONDS, 30)):
        log.note_stage(RunStage("seed 0", step, 40, 0.5), 0.1, now)
    log.note_stage(RunStage("judging"), 0.9, STAGE_SECONDS + 1)
    log.store()
    assert lines_of(run) == [
        ("info", "10% seed 0, step 1 of 40, loss 0.500"),
        ("info", "10% seed 0, step 30 of 40, loss 0.500"),
        ("info", "90% judging"),
    ]


def test_what_libraries_log_is_in_it(run):
    log = RunLog(run.pk, 1)
    logger = logging.getLogger("inference.some_library")
    logger.addHandler(log)
    try:
        logger.warning("slow: %s", 3)
        try:
            raise ValueError("it broke")
        except ValueError:
            logger.exception("gave up")
    finally:
        logger.removeHandler(log)
    log.store()
    lines = lines_of(run)
    assert lines[:2] == [
        ("warning", "inference.some_library: slow: 3"),
        ("error", "inference.some_library: gave up"),
    ]
    assert lines[-1] == ("error", "ValueError: it broke")
    log.store()
    assert lines_of(run) == lines  # each line once


def test_lines_wait_while_postgresql_is_away(run, monkeypatch):
    log = RunLog(run.pk, 1)
    log.say("before")

    def away(*_args, **_options):
        raise DatabaseError("away")

    with monkeypatch.context() as patched:
        patched.setattr(run_log, "write_run_log", away)
        patched.setattr(run_log.connection, "close", lambda: None)
        log.store()
    log.say("after")
    log.store()
    assert lines_of(run) == [("info", "before"), ("info", "after")]


@pytest.mark.parametrize("fails", [False, True])
def test_what_other_threads_log_during_a_write_is_stored_too(run, monkeypatch, fails):
    """As many lines as may wait, and twenty more while they are being stored."""
    log = RunLog(run.pk, 1)
    for n in range(MAX_LINES):
        log.say(f"line {n}")

    def write(*args, **options):
        thread = threading.Thread(target=lambda: [log.say(f"meanwhile {n}") for n in range(20)])
        thread.start()
        thread.join()
        if fails:
            raise DatabaseError("away")
        write_run_log(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(run_log, "write_run_log", write)
        patched.setattr(run_log.connection, "close", lambda: None)
        log.store()
    log.store()
    texts = [line.text for line in run.log_lines.all()]
    assert texts == [
        *(f"line {n}" for n in range(20, MAX_LINES)),
        *(f"meanwhile {n}" for n in range(20)),
    ]


def test_a_run_that_passes_logs_its_phases_and_its_end(learner):
    run = train(learner, "popularity")
    assert run.state == TrainingRun.State.PASSED, run.message
    texts = [line.text for line in run.log_lines.all()]
    assert texts[0] == f"popularity on {run.snapshot.rows:,} rows"
    assert any("registering" in text for text in texts)
    assert texts[-1] == f"the version is registered: {run.message}"
    assert {line.attempt for line in run.log_lines.all()} == {1}


def test_a_run_that_fails_logs_why(learner):
    run = retrain_surface(surface=learner, algorithm="two-tower", trigger="a test")
    # As an earlier release queued it: today's refuses it at once.
    TrainingRun.objects.filter(pk=run.pk).update(params={"width": "wide"})
    run_training(run.pk)
    run.refresh_from_db()
    assert run.state == TrainingRun.State.FAILED
    assert lines_of(run)[-1] == ("error", run.message)


@pytest.mark.parametrize(
    ("status", "level"), [(-signal.SIGTERM, "warning"), (-signal.SIGKILL, "error"), (1, "error")]
)
def test_how_an_attempt_ended_is_logged_by_the_worker(run, status, level):
    train_in_child._log_end(run.pk, run.lease, status, "it ended")
    assert lines_of(run) == [(level, "it ended")]
    train_in_child._log_end(run.pk, run.lease + 1, status, "another's lease")
    assert len(lines_of(run)) == 1


def test_the_page_and_the_api_show_it(shop, lane, run):
    lane.refresh()
    client = sign_in(shop.project)
    address = reverse("run", args=[run.pk])
    assert (
        "Nothing logged yet: the run is queued, and begins when a worker is free"
        in client.get(address).content.decode()
    )
    write_run_log(run.pk, [LogLine("info", "<b>one</b>"), LogLine("error", "two")], attempt=1)
    page = client.get(address).content.decode()
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    assert f"{address}?part=log" in page  # it goes on while the run does
    part = client.get(f"{address}?part=log").content.decode()
    assert part.count("data-level=") == 2
    assert "<html" not in part
    TrainingRun.objects.filter(pk=run.pk).update(state="failed")
    assert f"{address}?part=log" not in client.get(address).content.decode()
    headers = {"Authorization": f"Bearer {shop.secret}"}
    path = f"/v1/training-runs/{run.pk}/log"
    rows = lane.client.get(path, headers=headers).json()
    assert [(row["level"], row["text"], row["attempt"]) for row in rows] == [
        ("info", "<b>one</b>", 1),
        ("error", "two", 1),
    ]
    other = ApiKey.make(builders.make_project(), SECRET, name="a test")[1]
    lane.refresh()
    assert lane.client.get(path, headers={"Authorization": f"Bearer {other}"}).status_code == 404
    assert sign_in(builders.make_project()).get(f"{address}?part=log").status_code == 404


def test_a_queued_run_says_what_it_waits_for(shop, run):
    # Runs of all projects wait in turn: of this one alone.
    TrainingRun.objects.exclude(pk=run.pk).delete()
    other = builders.make_shop()
    client, address = sign_in(shop.project), reverse("run", args=[run.pk])
    show = ["runs", "show", str(run.pk), "--project", shop.project.slug]
    output = commands.run(*show)
    assert "It waits for a worker: is one running?" in output
    assert "?." not in output
    assert "Waiting for a worker." in client.get(address).content.decode()
    started = timezone.now()
    TrainingRun.objects.create(surface=other.surface, algorithm="als", trigger="a test")
    works = TrainingRun.objects.create(
        surface=other.surface, algorithm="ease", trigger="a test", state="running", started_at=started
    )
    printed = " ".join(commands.run(*show).split())
    assert f"It waits behind run {works.pk} (surface 'home-feed', since {started:%Y-%m-%d}" in printed
    page = client.get(address).content.decode()
    assert "Waiting behind a run of another project (since" in page
    assert f"/runs/{works.pk}/" not in page
    TrainingRun.objects.filter(pk=works.pk).update(surface=shop.surface, algorithm="item-knn")
    page = client.get(address).content.decode()
    assert f"Waiting behind run {works.pk} (surface home-feed, since" in page
    assert "Nothing logged yet: the run is queued, and begins when a worker is free" in page
    TrainingRun.objects.filter(pk=run.pk).update(state="cancelled", ended_at=started)
    page = client.get(address).content.decode()
    assert "data-waits" not in page
    assert "No gate result: the run ended before its gate." in page
