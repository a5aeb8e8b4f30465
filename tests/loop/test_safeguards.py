"""Nobody gets round the second person: who weakens what guards users needs the second one too."""

from __future__ import annotations

import pytest

from bakeoff.accounts.models import ApiKey, AuditEntry
from bakeoff.alerts.models import Alert
from experiments.actions.change_programme import (
    CannotChangeProgrammeError,
    ChangeAwaitsApprovalError,
    change_programme,
)
from experiments.actions.decide_proposal import (
    CannotDecideError,
    approve_proposal,
    decline_proposal,
)
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment, Metric, Proposal, programme_of
from experiments.programme.safeguards import weakened_settings
from experiments.programme.settings import settings_of
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.commands import run
from tests.support.dashboard import sign_in
from tests.support.form_reader import read_form

ORDERS = {"metric": "orders", "margin": 0.03}


@pytest.fixture
def guarded(shop):
    Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    builders.set_programme(shop, approval="two_persons", holdback_share=0, guardrails=[ORDERS])
    return shop


def settings(shop):
    return settings_of(programme_of(shop.surface))


def patch(lane, key: str, **changes):
    headers = {"Authorization": f"Bearer {key}"}
    return lane.client.patch("/v1/surfaces/home-feed/autopilot", json=changes, headers=headers)


def test_a_second_key_of_another_owner_approves_a_weaker_rule(lane, guarded):
    _, ann = ApiKey.make(guarded.project, "sk", name="ann's", owner="ann")
    _, other = ApiKey.make(guarded.project, "sk", name="ann's other", owner="ann")
    _, ben = ApiKey.make(guarded.project, "sk", name="ben's", owner="ben")
    for key in (ann, other):  # who asks again, with another key, approves nothing
        answer = patch(lane, key, approval="automatic", cooldown_days=3)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "needs_approval")
    proposal = Proposal.objects.get(project=guarded.project)
    assert answer.json()["error"]["message"] == (
        "approval of surface 'home-feed' would guard users less: a second person must approve proposal "
        f"{proposal.pk}."
    )
    assert settings(guarded)["approval"] == "two_persons"
    assert settings(guarded)["cooldown_days"] == 0  # all of it waits
    path = f"/v1/surfaces/home-feed/autopilot/proposals/{proposal.pk}/approve"
    assert lane.post(path, {"reason": ""}, other).status_code == 409
    approved = lane.post(path, {"reason": "agreed"}, ben)
    assert (approved.status_code, approved.json()["state"]) == (200, "approved")
    assert approved.json()["changed"]["approval"] == ["two_persons", "automatic"]
    assert (settings(guarded)["approval"], settings(guarded)["cooldown_days"]) == ("automatic", 3)
    entry = AuditEntry.objects.filter(project=guarded.project, action="change programme").first()
    assert entry.detail["approvals"] == ["ann", "ben"]
    (alert,) = Alert.objects.filter(project=guarded.project, event="decision_needed")
    assert alert.summary.startswith(
        "Proposed: change cooldown_days, approval on surface 'home-feed'; a"
    )


def test_the_page_proposes_shows_and_approves_it_and_keeps_its_history(lane, guarded):
    page = f"/p/{guarded.project.slug}/surfaces/home-feed/autopilot/"
    ann = sign_in(guarded.project, role="operator")
    body = read_form(ann.get(f"{page}edit/").content.decode(), "programme")
    sent = ann.post(f"{page}edit/", body | {"approval": ["automatic"]}, follow=True).content.decode()
    proposal = Proposal.objects.get(project=guarded.project)
    assert "would guard users less (Approval): a second person must approve" in sent
    assert f'data-proposal="{proposal.pk}"' in sent
    assert "Approval: Two people approve → Automatic" in sent
    again = ann.post(f"{page}proposals/{proposal.pk}/approve/", follow=True).content.decode()
    assert "has already approved proposal" in again
    assert settings(guarded)["approval"] == "two_persons"
    ben = sign_in(guarded.project, role="operator")
    done = ben.post(f"{page}proposals/{proposal.pk}/approve/", follow=True).content.decode()
    assert settings(guarded)["approval"] == "automatic"
    history = done.partition('id="history"')[2]
    assert history.index("approved by operator-") < history.index("orders 3%")
    assert 'data-setting="Approval"' in history


def test_the_shell_waits_too_and_lists_what_waits(guarded):
    slug = guarded.project.slug
    refusal = run("autopilot", "home-feed", "--project", slug, "--approval", "propose", status=2)
    assert "a second person must approve proposal" in refusal
    assert settings(guarded)["approval"] == "two_persons"
    assert "settings approval, 1 of 2 approvals" in run("autopilot", "home-feed", "--project", slug)


DEFAULT = {
    "approval": "two_persons",
    "guardrails": [ORDERS],
    "breaker_alpha": 0.001,
    "ramp": [
        {"share": 0.01, "minimum_seconds": 60},
        {"share": 0.1, "minimum_seconds": 600, "units": 500},
        {"share": 0.5, "minimum_seconds": 0},
    ],
}


def ramp(*steps):
    names = ("share", "minimum_seconds", "units")
    return {"ramp": [dict(zip(names, step, strict=False)) for step in steps]}


@pytest.mark.parametrize(
    ("changes", "weaker"),
    [
        ({"approval": "propose"}, ["approval"]),
        ({"guardrails": []}, ["guardrails"]),
        ({"guardrails": [{"metric": "orders", "margin": 0.031}]}, ["guardrails"]),
        # Those of serving are always on, at 20 %.
        ({"guardrails": [ORDERS, {"metric": "serving-errors", "margin": 0.5}]}, ["guardrails"]),
        ({"breaker_alpha": 0.0}, ["breaker_alpha"]),
        ({"breaker_alpha": 0.0001}, ["breaker_alpha"]),
        ({"guardrails": [ORDERS, {"metric": "serving-errors", "margin": 0.1}]}, []),
        ({"guardrails": [{"metric": "orders", "margin": 0.01}], "breaker_alpha": 0.01}, []),
        ({"primary_metric": "orders", "guardrails": []}, []),  # its losses are watched anyway
        ({"paused": True, "cooldown_days": 9.0}, []),
        (ramp((0.02, 60), (0.1, 600, 500), (0.5, 0)), ["ramp"]),  # more at the start
        (ramp((0.01, 30), (0.1, 600, 500), (0.5, 0)), ["ramp"]),  # earlier
        (ramp((0.01, 60), (0.5, 0)), ["ramp"]),  # without a step
        (ramp((0.01, 60, 10), (0.1, 600, 500), (0.5, 0)), ["ramp"]),  # after so many users
        (ramp((0.01, 60), (0.1, 600, 400), (0.5, 0)), ["ramp"]),
        (ramp((0.01, 60), (0.1, 600), (0.5, 0)), []),  # as many as show its harm
        (ramp((0.005, 90), (0.01, 60), (0.1, 900, 600), (0.4, 0)), []),
    ],
)
def test_what_guards_less_than_before(changes, weaker):
    before = {**DEFAULT, "primary_metric": "clicks"}
    assert weakened_settings(before, {**before, **changes}, kind="recommend") == weaker


@pytest.mark.parametrize(
    "changes",
    [{"guardrails": []}, {"guardrails": [{"metric": "orders", "margin": 1.0}]}, {"breaker_alpha": 0}],
)
def test_fewer_and_wider_safeguards_wait_and_stricter_ones_do_not(guarded, changes):
    before = settings(guarded)
    with pytest.raises(ChangeAwaitsApprovalError):
        change_programme(surface=guarded.surface, changes=changes, by="ann")
    assert settings(guarded) == before
    stricter = {"guardrails": [{**ORDERS, "margin": 0.01}], "paused": True}
    change_programme(surface=guarded.surface, changes=stricter, by="ann")
    assert settings(guarded)["paused"] is True


def test_where_one_person_approves_one_person_decides_the_rule(shop):
    builders.set_programme(shop, approval="propose")
    change_programme(surface=shop.surface, changes={"approval": "automatic"}, by="ann")
    assert settings(shop)["approval"] == "automatic"
    assert not Proposal.objects.filter(project=shop.project).exists()


def test_a_declined_change_changes_nothing_and_others_wait_beside_it(guarded):
    for changes in ({"approval": "automatic"}, {"guardrails": []}):
        with pytest.raises(ChangeAwaitsApprovalError):
            change_programme(surface=guarded.surface, changes=changes, by="ann")
    guardrails, approval = Proposal.objects.filter(project=guarded.project)
    decline_proposal(proposal=approval, by="ben", reason="no")
    assert settings(guarded)["approval"] == "two_persons"
    with pytest.raises(CannotDecideError, match="is declined, must be open"):
        approve_proposal(proposal=approval, by="ben")
    approve_proposal(proposal=guardrails, by="ben")
    assert settings(guarded)["guardrails"] == []


def test_a_change_that_breaks_a_rule_by_now_stays_open_with_its_reason(guarded):
    with pytest.raises(ChangeAwaitsApprovalError):
        change_programme(
            surface=guarded.surface,
            changes={"guardrails": [{"metric": "orders", "margin": 0.5}]},
            by="ann",
        )
    Metric.objects.filter(project=guarded.project, key="orders").delete()
    proposal = Proposal.objects.get(project=guarded.project)
    with pytest.raises(CannotChangeProgrammeError):
        approve_proposal(proposal=proposal, by="ben")
    proposal.refresh_from_db()
    assert proposal.state == "open"
    assert "must be a metric of this project" in proposal.refusal


def test_an_experiment_of_ones_own_does_not_promote_alone(guarded):
    """Whatever its policy says: who defines one could choose a rule that ships anything."""
    experiment = guarded.run_experiment(**QUICK_POLICY)
    assert experiment.parsed_policy.promote
    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    assert Experiment.objects.get(pk=experiment.pk).state == Experiment.State.RUNNING
    proposal = Proposal.objects.get(experiment=experiment)
    assert (proposal.kind, proposal.required_approvals) == ("ship", 2)
    approve_proposal(proposal=proposal, by="ann")
    approve_proposal(proposal=proposal, by="ben")
    assert experiment.decisions.get().action == "ship"


def test_a_loss_of_ones_own_experiment_waits_for_nobody(guarded):
    experiment = guarded.run_experiment(**QUICK_POLICY)
    visits(experiment, {"control": 2, "treatment": 1})
    look_at_experiment(experiment_id=experiment.pk)
    assert experiment.decisions.get().action == "roll_back"


def test_a_proposal_obeys_the_rule_that_has_become_stricter(shop):
    builders.set_programme(shop, approval="propose")
    proposal = builders.propose_treatment(shop.run_experiment())
    change_programme(surface=shop.surface, changes={"approval": "two_persons"}, by="ann")
    assert approve_proposal(proposal=proposal, by="ann").state == "open"
    assert approve_proposal(proposal=proposal, by="ben").state == "approved"
