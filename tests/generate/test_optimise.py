"""`bakeoff optimise`: a strong model proposes prompts; the best is checked, and serves nobody before."""

from __future__ import annotations

import threading

import pytest
from click.testing import CliRunner
from django.conf import settings
from django.db import connection
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry
from bakeoff.cli import main
from experiments.actions.erase_unit import erase_unit
from experiments.actions.load_data_set import DataSetRowDraft, load_data_set
from experiments.actions.optimise_prompt import CannotOptimiseError, optimise_prompt
from experiments.models import VersionCheck
from experiments.tasks import check_waiting_versions
from inference.actions.cancel_training import cancel_training
from inference.actions.read_prompt import read_prompt
from inference.actions.train_in_child import claim_training
from inference.day_spending import spending_today
from inference.models import ModelVersion, TrainingRun
from inference.runs import search_prompt
from inference.serving.generate_settings import SURFACE
from inference.training.questions import Questions
from inference.training.snapshot import read_snapshot
from inference.training_process.attempt import attempt_run
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.provider import refuses, says
from tests.support.waiting import wait_until

HOLDS_ORDER = ({"type": "contains", "value": "order"},)
PARAMS = {"provider": "test", "model": "strong", "data_set": "typical", "proposals": 2}


def obeys(exchange) -> None:
    """Answer well where the prompt asks for it."""
    ready = exchange.body["messages"][0]["content"]
    says("Your order is on its way." if "order" in ready else "No idea.")(exchange)


@pytest.fixture
def ready(chat, provider):
    """A surface with an answer that a user edited, one without consent, and a data set."""
    chat.set(store="full")
    provider.by_model["small"] = says("No idea.")
    for user, consent in (("u1", "granted"), ("u2", "denied")):
        chat.ask(user=user, metadata={"consent": consent})
        edited(chat, user)
    provider.by_model["small"] = obeys
    provider.by_model["strong"] = says("```\nSay where the order is.\n```")
    rows = [DataSetRowDraft([{"role": "user", "content": f"Question {n}"}]) for n in range(80)]
    load_data_set(surface=chat.surface, key="typical", rows=rows, assertions=HOLDS_ORDER, by="a test")
    return chat


def edited(chat, user: str) -> None:
    row = builders.FeedbackRow(
        project_id=chat.project.pk, feedback_id=f"edit-{user}", unit_id=user, kind="edit", value=0.5,
        recommendation_id=str(chat.last().pk), item_id="", text="It is in the next parcel.", tags=[],
        redacted=[], withdrawn=False, trainable=user == "u1", state="ok",
        received_at=builders.now().isoformat(), trusted=True,
    )  # fmt: skip
    builders.write(builders.Rows(feedback=[row]))


def work(run: TrainingRun) -> TrainingRun:
    lease = claim_training(run.pk)
    assert lease is not None
    attempt_run(run.pk, lease)
    run.refresh_from_db()
    return run


def work_when_queued(chat) -> None:
    runs = TrainingRun.objects.filter(surface=chat.surface, state=TrainingRun.State.QUEUED)
    try:
        wait_until(runs.exists)
        work(runs.get())
    finally:
        connection.close()


def test_the_best_proposal_waits_for_its_check_and_serves_nobody(ready, provider):
    worker = threading.Thread(target=work_when_queued, args=(ready,))
    worker.start()
    words = ["optimise", "support", "--provider", "test", "--model", "strong", "--proposals", "2"]
    done = CliRunner().invoke(main, [*words, "--rows", "10", "--project", ready.project.slug])
    worker.join()
    assert done.exit_code == 0, done.output
    assert "prompt@2 scores 1.000, the champion 0.000; it waits for its check" in done.output
    run = TrainingRun.objects.get(surface=ready.surface)
    version = run.version
    assert (version.alias, version.gate, version.passed_gate) == ("candidate", {}, False)
    assert (
        read_prompt(settings.BAKEOFF.artifacts, version).messages[0].content
        == "Say where the order is."
    )
    proposed = [one for one in provider.requests if one["model"] == "strong"]
    assert len(proposed) == 1  # the second time there is nothing that could be better
    question = proposed[0]["messages"][0]["content"]
    assert "You help." in question
    assert "A person wrote this instead: It is in the next parcel." in question
    assert "The answer breaks the rule contains 'order'" in question
    spent = spending_today(SURFACE, str(ready.surface.pk))
    # Live answers count where a budget is set; here none is, so these are the search's: 15 tokens each.
    assert spent.tokens == 15 * (len(provider.requests) - 2)
    assert AuditEntry.objects.filter(project=ready.project, action="optimise").count() == 1
    page = sign_in(ready.project, role="viewer").get(reverse("run", args=[run.pk]))
    assert "prompt@2 scores 1.000" in page.content.decode()
    assert ready.ask().json()["bakeoff"]["version"] == "prompt@1"
    check_waiting_versions()
    assert VersionCheck.objects.get(version=version).state == "passed"
    version.refresh_from_db()
    assert (version.alias, version.passed_gate) == ("candidate", True)


def test_what_was_refused_is_not_read_and_erasure_deletes_what_was(ready, capsys):
    run = optimise_prompt(surface=ready.surface, params=PARAMS, by="a test")
    rows = read_snapshot(settings.BAKEOFF.snapshots, run.snapshot.sha256, Questions)
    assert [unit for unit in rows.unit_ids if unit] == ["u1"]
    assert rows.messages[0] == [{"role": "user", "content": "Where is my order?"}]  # its own are gone
    erase_unit(project_id=ready.project.pk, unit_id="u1", by="a test")
    work(run)
    assert "is gone: a unit in it was erased" in capsys.readouterr().err


def test_a_search_that_was_killed_asks_for_nothing_twice(ready, provider, monkeypatch):
    run = optimise_prompt(surface=ready.surface, params=PARAMS | {"rows": 10}, by="a test")
    with monkeypatch.context() as patched:
        patched.setattr(search_prompt.PromptSpace, "report", killed_after(12))
        with pytest.raises(KeyboardInterrupt):
            work(run)
    before = len(provider.requests)
    TrainingRun.objects.filter(pk=run.pk).update(state=TrainingRun.State.QUEUED)
    assert work(run).state == "passed", run.message
    bodies = [str(sorted(one.items())) for one in provider.requests[2:]]
    assert len(provider.requests) > before
    assert len(set(bodies)) >= len(bodies) - 4  # those that were on their way when it was killed


def killed_after(answers: int):
    reports = []

    def report(_space) -> None:
        reports.append(1)
        if len(reports) == answers:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget_tokens": 30, "rows": 20}, "the run's tokens are spent: "),
        ({"model": "away"}, "no answer: provider 'test' answered 503"),
    ],
)
def test_a_search_that_cannot_be_made_says_why(ready, provider, monkeypatch, capsys, change, message):
    monkeypatch.setattr("inference.judging.completion.PAUSE_SECONDS", 0.01)
    provider.by_model["away"] = refuses(503)
    work(optimise_prompt(surface=ready.surface, params={"rows": 5} | PARAMS | change, by="a test"))
    assert capsys.readouterr().err.startswith(message)  # the worker makes it the run's message


@pytest.mark.parametrize(
    ("change", "proposals"), [({"budget_tokens": 15 * 5}, 0), ({"model": "wrong"}, 2)]
)
def test_a_search_that_finds_nothing_better_ends_without_a_version(ready, provider, change, proposals):
    provider.by_model["wrong"] = says("```\n{{ secret }}\n```")  # no variable of the champion
    run = optimise_prompt(surface=ready.surface, params={"rows": 5} | PARAMS | change, by="a test")
    done = work(run)
    better = "proposals is better than the champion: 0.000"
    assert (done.state, done.message) == ("refused", f"none of {proposals} {better}")
    assert not ModelVersion.objects.filter(surface=ready.surface, alias="candidate").exists()


def test_a_cancelled_search_publishes_nothing(ready):
    run = optimise_prompt(surface=ready.surface, params=PARAMS | {"rows": 5}, by="a test")
    lease = claim_training(run.pk)
    cancel_training(run=run, by="a test")
    attempt_run(run.pk, lease)
    run.refresh_from_db()
    assert (run.state, run.version) == ("cancelled", None)


def test_settings_that_break_a_rule_are_refused(ready, monkeypatch):
    for change, message in (
        ({"provider": "none"}, r"provider == 'none', must be one of \['test'\]"),
        ({"model": ""}, "model == '', must name a model"),
        ({"data_set": "no"}, r"data_set == 'no', must be one of \['typical'\]"),
        ({"proposals": 0}, r"proposals == 0, must be in \[1, 100\]"),
        ({"budget_money": float("nan")}, "budget_money == nan, must be in"),
    ):
        with pytest.raises(CannotOptimiseError, match=message):
            optimise_prompt(surface=ready.surface, params=PARAMS | change, by="a test")
    monkeypatch.setattr("experiments.actions.optimise_prompt.PACKAGE", "no_such_package")
    with pytest.raises(CannotOptimiseError, match=r"pip install 'bakeoff\[optimise\]'"):
        optimise_prompt(surface=ready.surface, params=PARAMS, by="a test")
