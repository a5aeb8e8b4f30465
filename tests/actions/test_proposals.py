"""People approve or decline what the platform proposes; losses wait for nobody."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from bakeoff.accounts.models import AuditEntry
from bakeoff.alerts.models import Alert
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.decide_proposal import (
    CannotDecideError,
    approve_proposal,
    decline_proposal,
)
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.propose import ProposalDraft, propose
from experiments.actions.stop_experiment import ship_experiment, stop_experiment
from experiments.models import Decision, Experiment, Proposal
from experiments.models.experiment import WrongStateError
from inference.actions.move_champion import CannotPromoteError
from inference.models import ModelVersion
from tests.support import builders


@pytest.fixture
def shop(tables):
    shop = builders.make_shop()
    shop.surface.policy = builders.QUICK_POLICY
    shop.surface.save()
    return shop


def proposed(shop, approval="propose") -> Proposal:
    """Let a challenger win where people approve."""
    builders.set_programme(shop, approval=approval, holdback_share=0)
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    experiment = advance_challenger(surface=shop.surface)
    builders.visits(experiment, {"control": 1, "treatment": 2})
    assert look_at_experiment(experiment_id=experiment.pk).action == "ship"
    return Proposal.objects.get(experiment=experiment)


def champion(shop):
    return shop.surface.versions.champions().get().label


def audit(shop):
    rows = AuditEntry.objects.filter(project=shop.project).order_by("id")
    return [(entry.actor, entry.action) for entry in rows][-2:]


def test_a_winner_is_proposed_and_one_person_ships_it(shop):
    proposal = proposed(shop)
    assert champion(shop) == "popularity@1"
    assert (proposal.state, proposal.version.label, proposal.required_approvals) == (
        "open",
        "ease@1",
        1,
    )
    (alert,) = Alert.objects.filter(project=shop.project, event="decision_needed")
    assert alert.summary.startswith("Proposed: ship ease@1 on surface 'home-feed'; one person must")
    builders.visits(proposal.experiment, {"control": 1, "treatment": 2}, unit_id="more-{variant}-{n}")
    look_at_experiment(experiment_id=proposal.experiment_id)
    assert Proposal.objects.filter(project=shop.project).count() == 1  # it is open already
    approved = approve_proposal(proposal=proposal, by="ann", note="well done")
    assert (approved.state, approved.refusal) == ("approved", "")
    assert champion(shop) == "ease@1"
    decision = Decision.objects.get(experiment=proposal.experiment)
    assert (decision.action, decision.created_by) == ("ship", "ann")
    assert decision.evidence["approvals"] == ["ann"]
    assert decision.evidence["look"] == 1
    with pytest.raises(CannotDecideError, match="is approved, must be open"):
        approve_proposal(proposal=proposal, by="ben")


def test_two_different_persons_must_approve(shop):
    proposal = proposed(shop, "two_persons")
    assert approve_proposal(proposal=proposal, by="ann").state == "open"
    assert audit(shop)[-1] == ("ann", "approve")
    with pytest.raises(CannotDecideError, match=r"'ann' has approved proposal .* a second person"):
        approve_proposal(proposal=proposal, by="ann")
    with pytest.raises(WrongStateError, match="needs two approvals to ship"):
        ship_experiment(experiment=proposal.experiment, variant="treatment", by="ann")
    assert champion(shop) == "popularity@1"
    assert approve_proposal(proposal=proposal, by="ben").state == "approved"
    assert champion(shop) == "ease@1"
    assert Decision.objects.get(experiment=proposal.experiment).evidence["approvals"] == ["ann", "ben"]


def test_what_is_declined_ends_and_the_champion_stays(shop):
    proposal = proposed(shop)
    declined = decline_proposal(proposal=proposal, by="ann", reason="too slow")
    assert (declined.state, declined.outcome) == ("declined", "declined by ann: too slow")
    experiment = Experiment.objects.get(pk=proposal.experiment_id)
    assert experiment.state == Experiment.State.ENDED
    assert (champion(shop), proposal.version.moves.last().after) == ("popularity@1", "candidate")


def test_a_proposal_is_withdrawn_when_its_experiment_ends_otherwise(shop):
    proposal = proposed(shop)
    stop_experiment(experiment=proposal.experiment, by="ann")
    proposal.refresh_from_db()
    assert (proposal.state, proposal.outcome) == (
        "withdrawn",
        "the experiment ended: stopped by a person",
    )
    for act in (approve_proposal, decline_proposal):
        with pytest.raises(CannotDecideError, match="is withdrawn, must be open"):
            act(proposal=proposal, by="ann")


def test_what_cannot_be_served_stays_open_with_its_reason(shop):
    proposal = proposed(shop)
    version = ModelVersion.objects.get(pk=proposal.version_id)
    right = version.artifact_sha256
    ModelVersion.objects.filter(pk=version.pk).update(artifact_sha256="0" * 64)
    with pytest.raises(CannotPromoteError):
        approve_proposal(proposal=proposal, by="ann")
    proposal.refresh_from_db()
    assert proposal.state == "open"
    assert proposal.refusal.startswith("ease@1 cannot be served")
    assert champion(shop) == "popularity@1"
    ModelVersion.objects.filter(pk=version.pk).update(artifact_sha256=right)
    assert approve_proposal(proposal=proposal, by="ann").state == "approved"


def test_a_loss_waits_for_nobody(shop):
    builders.set_programme(shop, approval="two_persons")
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    experiment = advance_challenger(surface=shop.surface)
    builders.visits(experiment, {"control": 2, "treatment": 1})
    assert look_at_experiment(experiment_id=experiment.pk).action == "roll_back"
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.ENDED
    assert not Proposal.objects.filter(project=shop.project).exists()


def test_an_automatic_experiment_without_a_winner_ends_though_people_approve(shop):
    builders.set_programme(shop, approval="propose")
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    experiment = advance_challenger(surface=shop.surface)
    builders.visits(experiment, {"control": 1, "treatment": 1}, units=1600)
    assert look_at_experiment(experiment_id=experiment.pk).action == "stop_inconclusive"
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.ENDED


def test_a_former_champion_is_restored_by_approval(shop):
    shop.surface.policy = {}
    shop.surface.save()
    builders.set_programme(shop, approval="automatic")
    former = builders.make_version(shop.surface, [3] * 10, algorithm="als", alias="retired")
    draft = ProposalDraft(shop.surface, "restore", "the gain is gone", version=former)
    proposal = propose(draft)
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    running = advance_challenger(surface=shop.surface)
    assert approve_proposal(proposal=proposal, by="ann").state == "approved"
    assert champion(shop) == "als@1"
    running.refresh_from_db()
    assert running.state == Experiment.State.ENDED
    decision = Decision.objects.filter(project=shop.project).first()
    assert (decision.action, decision.reason) == ("promote", "the gain is gone (approved by ann)")


def test_of_two_last_approvals_at_once_one_ships(shop):
    proposal = proposed(shop)
    both, outcomes = threading.Barrier(2), []

    def approve(by: str) -> None:
        try:
            both.wait(60)
            outcomes.append(
                approve_proposal(proposal=Proposal.objects.get(pk=proposal.pk), by=by).state
            )
        except (CannotDecideError, WrongStateError) as error:
            outcomes.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=approve, args=(by,)) for by in ("ann", "ben")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) in (["CannotDecideError", "approved"], ["WrongStateError", "approved"])
    assert Decision.objects.filter(experiment=proposal.experiment).count() == 1
