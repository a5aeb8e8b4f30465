"""Where two people approve, nobody promotes alone by hand; back to a former champion nobody waits."""

from __future__ import annotations

import pytest

from bakeoff.accounts.models import AuditEntry
from bakeoff.alerts.models import Alert
from experiments.actions.change_programme import change_programme
from experiments.actions.decide_proposal import approve_proposal, decline_proposal
from experiments.actions.promote_version import promote_version
from experiments.actions.refresh_champion import refresh_champion
from experiments.models import Experiment, Proposal
from inference.actions.move_champion import CannotPromoteError
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import report_path, sign_in


@pytest.fixture
def guarded(shop):
    builders.set_programme(shop, approval="two_persons", holdback_share=0)
    return shop


def champion(shop):
    return shop.surface.versions.champions().get().label


def promote_by_api(lane, shop, version, **body):
    path = f"/v1/surfaces/home-feed/models/{version.algorithm}/{version.number}/promote"
    answer = lane.post(path, {"reason": "by hand", **body}, shop.secret)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "needs_approval")
    return answer.json()["error"]["message"]


def promote_in_shell(_, shop, version):
    return run("promote", "home-feed", version.label, "--project", shop.project.slug, status=1)


def promote_on_page(_, shop, version):
    browser = sign_in(shop.project, role="operator")
    answer = browser.post(f"/p/{shop.project.slug}/models/{version.pk}/promote/", {"reason": "by hand"})
    assert answer.status_code == 409
    return answer.content.decode()


@pytest.mark.parametrize("promote", [promote_by_api, promote_in_shell, promote_on_page])
def test_a_promotion_by_hand_waits_for_a_second_person(lane, guarded, promote):
    version = builders.make_version(guarded.surface, [1] * 10, algorithm="ease")
    for _ in range(2):  # who asks again approves nothing
        message = promote(lane, guarded, version)
        proposal = Proposal.objects.get(project=guarded.project)
        assert str(proposal.pk) in message
        assert "second person" in message
        assert champion(guarded) == "popularity@1"
        assert proposal.approvals.count() == 1
    (alert,) = Alert.objects.filter(project=guarded.project, event="decision_needed")
    assert "; a second person must approve." in alert.summary
    assert AuditEntry.objects.filter(project=guarded.project, action="propose").count() == 1
    approved = approve_proposal(proposal=proposal, by="ben")
    assert (approved.state, champion(guarded)) == ("approved", "ease@1")
    decision = guarded.surface.decisions.first()
    assert len(decision.evidence["approvals"]) == 2
    assert "refit" not in decision.evidence  # nothing was compared: it is watched as no refit


def test_a_rollback_and_the_champion_that_is_there_wait_for_nobody(lane, guarded):
    first, version = guarded.champion, builders.make_version(guarded.surface, [1] * 10, algorithm="a")
    message = promote_by_api(lane, guarded, version)
    assert message.startswith("a@1 waits for a second person on surface 'home-feed': approve proposal")
    approve_proposal(proposal=Proposal.objects.get(project=guarded.project), by="ben")
    promote_version(version=first, by="ann", reason="it burns")
    assert champion(guarded) == "popularity@1"
    with pytest.raises(CannotPromoteError, match="champion of 'home-feed' already"):
        promote_version(version=first, by="ann", reason="again")


def test_what_a_test_found_is_not_shipped_by_one_person_either(lane, guarded):
    experiment = guarded.run_experiment()
    lane.refresh()
    ship = f"/v1/experiments/{experiment.key}/ship"
    answer = lane.post(ship, {"variant": "treatment"}, guarded.secret)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "needs_approval")
    browser = sign_in(guarded.project, role="operator")
    address = report_path(experiment, "act/ship/")
    refused = browser.post(address, {"variant": "treatment"})
    assert "shipping it needs a reason" in refused.content.decode()
    page = browser.post(address, {"variant": "treatment", "reason": "Ann's call"}, follow=True)
    proposal = Proposal.objects.get(experiment=experiment)
    assert f"approve proposal {proposal.pk}" in page.content.decode()
    assert Experiment.objects.get(pk=experiment.pk).state == Experiment.State.RUNNING
    approve_proposal(proposal=proposal, by="ben")
    decision = experiment.decisions.get()
    assert (decision.action, decision.promoted.label) == ("ship", "popularity@2")


def test_the_tests_of_a_surface_end_with_the_second_approval(lane, guarded):
    experiment = guarded.run_experiment()
    version = builders.make_version(guarded.surface, [1] * 10, algorithm="ease")
    promote_by_api(lane, guarded, version, stop_experiment=True)
    assert Experiment.objects.get(pk=experiment.pk).state == Experiment.State.RUNNING
    approve_proposal(proposal=Proposal.objects.get(project=guarded.project), by="ben")
    assert champion(guarded) == "ease@1"
    assert Experiment.objects.get(pk=experiment.pk).state == Experiment.State.ENDED


def test_a_proposal_by_hand_outlives_the_loop_and_is_declined_alone(lane, guarded):
    version = builders.make_version(guarded.surface, [1] * 10, algorithm="ease")
    promote_by_api(lane, guarded, version)
    proposal = Proposal.objects.get(project=guarded.project)
    refresh_champion(guarded.surface)
    proposal.refresh_from_db()
    assert proposal.state == "open"
    decline_proposal(proposal=proposal, by="ben", reason="not yet")
    version.refresh_from_db()
    assert (champion(guarded), version.alias) == ("popularity@1", "challenger")  # it is tested still


def test_what_has_become_champion_otherwise_is_proposed_no_more(lane, guarded):
    version = builders.make_version(guarded.surface, [1] * 10, algorithm="ease")
    promote_by_api(lane, guarded, version)
    agreed = {"approval": "automatic"}
    change_programme(surface=guarded.surface, changes=agreed, by="ann", approvals=("ann", "ben"))
    promote_version(version=version, by="ann", reason="a test")
    proposal = Proposal.objects.get(project=guarded.project)
    assert (proposal.state, proposal.outcome) == ("withdrawn", "it is the champion")


def test_a_person_with_the_platforms_name_is_one_person(guarded):
    version = builders.make_version(guarded.surface, [1] * 10, algorithm="ease")
    with pytest.raises(CannotPromoteError, match="waits for a second person"):
        promote_version(version=version, by="platform", reason="a name like any other")
    assert champion(guarded) == "popularity@1"
