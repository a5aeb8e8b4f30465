"""Where two people approve, nobody shows what is tested to more users alone; less waits for nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bakeoff.accounts.models import AuditEntry
from bakeoff.alerts.models import Alert
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.change_shares import Change, change_shares
from experiments.actions.decide_proposal import approve_proposal, decline_proposal
from experiments.actions.edit_draft import edit_draft
from experiments.actions.propose_exposure import ExposureAwaitsApprovalError
from experiments.actions.start_experiment import start_experiment
from experiments.actions.step_ramp import continue_ramp, hold_ramp, step_ramp
from experiments.actions.stop_experiment import stop_experiment
from experiments.actions.switch_experiment import switch
from experiments.models import Experiment, ExposureTotal, Proposal
from experiments.models.experiment import WrongStateError
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import report_path, sign_in

RAMP = [
    {"share": 0.05, "minimum_seconds": 0, "units": 1},
    {"share": 0.2, "minimum_seconds": 60},
    {"share": 0.5, "minimum_seconds": 0},
]


@pytest.fixture
def guarded(shop):
    builders.set_programme(shop, approval="two_persons", holdback_share=0, ramp=RAMP)
    return shop


@pytest.fixture
def ramping(guarded):
    """An automatic experiment at its first step: the loop starts it by the agreed programme."""
    builders.make_version(guarded.surface, [1] * 10, algorithm="ease")
    started = advance_challenger(surface=guarded.surface)
    assert started is not None
    assert not guarded.surface.proposals.exists()
    return started


def again(experiment):
    return Experiment.objects.get(pk=experiment.pk)


def draft(shop):
    return shop.define(builders.make_version(shop.surface, [1] * 10))


def by_api(lane, shop, path, **body):
    answer = lane.post(path, body, shop.secret)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "needs_approval")
    return answer.json()["error"]["message"]


def on_page(shop, path, **body):
    return sign_in(shop.project, role="operator").post(path, body, follow=True).content.decode()


def approve(experiment, message):
    """The second person approves the proposal that a refusal names."""
    proposal = Proposal.objects.get(experiment=experiment, state="open")
    assert (proposal.kind, proposal.approvals.count()) == ("expose", 1)
    assert "second person" in message
    assert f"approve proposal {proposal.pk}" in message
    approved = approve_proposal(proposal=proposal, by="ben")
    assert approved.state == "approved"


def test_a_start_waits_in_every_face(lane, guarded):
    experiment = draft(guarded)
    message = by_api(lane, guarded, f"/v1/experiments/{experiment.key}/start")
    for repeated in (
        run("experiments", "start", experiment.key, "--project", guarded.project.slug, status=1),
        on_page(guarded, report_path(experiment, "act/start/")),
    ):
        assert "second person" in repeated
    assert again(experiment).state == "draft"
    (alert,) = Alert.objects.filter(project=guarded.project, event="decision_needed")
    assert alert.summary.startswith(
        f"Proposed: show more users {experiment.key} on surface 'home-feed'"
    )
    approve(experiment, message)
    assert again(experiment).state == "running"
    entries = AuditEntry.objects.filter(project=guarded.project, subject=experiment.key, action="start")
    assert entries.count() == 1


def test_a_draft_that_was_edited_since_is_not_started(guarded):
    experiment = draft(guarded)
    with pytest.raises(ExposureAwaitsApprovalError):
        start_experiment(experiment=experiment, by="ann")
    edit_draft(
        experiment=experiment,
        edit=lambda one: replace(one, policy={**one.policy, "alpha": 0.2}),
        by="ann",
    )
    proposal = Proposal.objects.get(experiment=experiment)
    with pytest.raises(WrongStateError, match="was edited since it was proposed"):
        approve_proposal(proposal=proposal, by="ben")
    proposal.refresh_from_db()
    assert (again(experiment).state, proposal.state) == ("draft", "open")
    assert "edited" in proposal.refusal


@pytest.mark.parametrize("face", ["api", "page"])
def test_a_larger_share_waits_and_a_smaller_one_does_not(lane, ramping, guarded, face):
    if face == "api":
        message = by_api(lane, guarded, f"/v1/experiments/{ramping.key}/ramp", allocation=0.8)
    else:
        message = on_page(guarded, report_path(ramping, "act/ramp/"), allocation="80")
        autopilot = f"/p/{guarded.project.slug}/surfaces/home-feed/autopilot/"
        shown = sign_in(guarded.project, role="operator").get(autopilot).content.decode()
        assert "Traffic: 10% → 80%" in shown
    assert again(ramping).allocation == 0.1
    approve(ramping, message)
    assert again(ramping).allocation == 0.8
    lower = Change(allocation=0.2, accept_moves=True)
    change_shares(experiment=ramping, change=lower, by="ann")
    assert again(ramping).allocation == 0.2


def test_a_larger_weight_of_the_treatment_waits(ramping):
    more = Change(weights={"control": 0.4, "treatment": 0.6}, accept_moves=True)
    with pytest.raises(ExposureAwaitsApprovalError):
        change_shares(experiment=ramping, change=more, by="ann")
    less = Change(weights={"control": 0.6, "treatment": 0.4}, accept_moves=True)
    change_shares(experiment=ramping, change=less, by="ann")


@pytest.mark.parametrize("face", ["api", "page", "shell"])
def test_an_early_step_and_a_lifted_hold_wait_and_a_hold_does_not(lane, ramping, guarded, face):
    hold_ramp(experiment=ramping, by="ann")
    path = "surfaces/home-feed/autopilot/"
    if face == "api":
        message = by_api(lane, guarded, f"/v1/{path}ramp/continue", at_once=False)
    elif face == "page":
        message = on_page(guarded, f"/p/{guarded.project.slug}/{path}ramp/continue/")
    else:
        message = run(
            "autopilot", "home-feed", "--continue", "--project", guarded.project.slug, status=1
        )
    assert (again(ramping).ramp_hold, again(ramping).allocation) == ("held by ann", 0.1)
    approve(ramping, message)
    expected = 0.1 if face == "api" else 0.4
    assert (again(ramping).ramp_hold, again(ramping).allocation) == ("", expected)


def test_turned_on_again_waits_and_turned_off_does_not(lane, ramping, guarded):
    switch(experiment=ramping, enabled=False, by="ann")
    message = by_api(lane, guarded, f"/v1/experiments/{ramping.key}/switch", enabled=True)
    page = on_page(guarded, report_path(ramping, "act/turn-on/"))
    assert "a second person must approve" in page
    assert again(ramping).enabled is False
    approve(ramping, message)
    assert again(ramping).enabled is True


def test_the_steps_of_the_programme_wait_for_nobody(ramping):
    for variant in ramping.variants.all():
        ExposureTotal.objects.create(experiment=ramping, variant=variant, epoch=1, segment="", units=40)
    assert step_ramp(again(ramping)) is not None
    assert again(ramping).allocation == 0.4


def test_another_change_takes_the_earlier_ones_place_and_an_end_withdraws_it(ramping):
    for allocation in (0.3, 0.3, 0.5):
        with pytest.raises(ExposureAwaitsApprovalError):
            change_shares(experiment=ramping, change=Change(allocation=allocation), by="ann")
    proposals = ramping.proposals.order_by("pk")
    assert list(proposals.values_list("state", flat=True)) == ["withdrawn", "open"]
    stop_experiment(experiment=ramping, by="ann")
    assert not proposals.open_now().exists()


def test_what_has_changed_since_is_proposed_again_and_a_declined_one_changes_nothing(ramping):
    with pytest.raises(ExposureAwaitsApprovalError):
        continue_ramp(experiment=ramping, by="ann")
    less = Change(allocation=0.05, accept_moves=True)
    change_shares(experiment=ramping, change=less, by="ann")
    proposal = Proposal.objects.get(experiment=ramping)
    with pytest.raises(WrongStateError, match=r"has changed since proposal .* \(allocation\)"):
        approve_proposal(proposal=proposal, by="ben")
    decline_proposal(proposal=proposal, by="ben")
    assert again(ramping).allocation == 0.05
    assert again(ramping).state == "running"
