"""Carry a verdict out: end the experiment, move the champion, write the decision; one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.close_holdback import close_overtaken
from experiments.actions.drop_treatment import reject_version
from experiments.actions.lock_order import lock_surface
from experiments.actions.open_holdback import Promotion, open_holdback
from experiments.actions.promote_version import confirm_champion, promotion_evidence
from experiments.actions.propose import withdraw_proposals
from experiments.actions.record_decision import DecisionDraft, evidence_of, record_decision
from experiments.actions.serve_rules import serve_rules
from experiments.models import Decision, Experiment, Look
from inference.actions.check_servable import check_servable
from inference.actions.move_alias import move_alias
from inference.actions.move_champion import move_champion
from inference.models import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be carried out."""

    action: str
    reason: str
    variant: str | None = None
    look: Look | None = None
    approvals: tuple[str, ...] = ()  # people who approved it, where people do
    evidence: Mapping[str, Any] = field(default_factory=dict)  # beside the look's, or in its place

    @classmethod
    def of(cls, look: Look) -> Verdict:
        """Return what a look says."""
        return cls(
            action=look.action, reason=look.reason, variant=look.parsed_result.variant, look=look
        )


def carry_out(*, experiment: Experiment, verdict: Verdict, by: str) -> Decision:
    """End the experiment as its verdict says.

    `ship` promotes the variant's version; after any other verdict the champion stays and the
    challengers go back to being candidates, or rejected when they were worse.

    Raises:
        WrongStateError: it does not run.
        CannotPromoteError: a web process cannot serve what is to be shipped; the experiment runs on.
    """
    answered = check_winner(experiment, verdict)
    # End, promotion, losers and record in one: an interrupted verdict is carried out anew, not halfway.
    with transaction.atomic():
        decision = end_by_verdict(experiment=experiment, verdict=verdict, by=by, answered=answered)
    confirm_champion(decision)
    return decision


def end_by_verdict(
    *, experiment: Experiment, verdict: Verdict, by: str, answered: Mapping[str, float]
) -> Decision:
    """End it inside the caller's transaction; `answered` can serve the winner.

    Raises:
        WrongStateError: it does not run.
    """
    if verdict.action == Decision.Action.SHIP and experiment.exclusive:
        lock_surface(experiment.surface_id)  # the champion may move, and holdbacks end with it
    # A look and a person may end it at once: one of them finds that it runs no more.
    locked = (
        Experiment.objects.select_for_update(of=("self",), no_key=True)
        .select_related("surface__project")
        .get(pk=experiment.pk)
    )
    locked.end()
    promoted = replaced = None
    withdraw_proposals(locked, reason=f"the experiment ended: {verdict.reason}")
    evidence = evidence_of(locked, verdict.look) | dict(verdict.evidence)
    if verdict.approvals:
        evidence["approvals"] = list(verdict.approvals)
    if verdict.action == Decision.Action.SHIP:
        locked.shipped_variant = verdict.variant or ""
        locked.save(update_fields=["shipped_variant"])
        winner = locked.variants.select_related("model_version", "rules").get(key=verdict.variant)
        promoted = winner.model_version
        if winner.rules is not None:
            serve_rules(version=winner.rules, by=by)
            evidence["rules"] = winner.rules.number
        # A flag's variant has no model: what is shipped is its value.
        if promoted is not None and promoted.alias != ModelVersion.Alias.CHAMPION:
            replaced = move_champion(
                surface_id=locked.surface_id,
                version_id=promoted.pk,
                by=by,
                reason=verdict.reason,
            )
            evidence |= promotion_evidence(promoted, answered)
            close_overtaken(surface_id=locked.surface_id, by=by)
            if replaced is not None:
                evidence |= open_holdback(Promotion(locked, promoted=promoted, former=replaced))
    _retire_losers(locked, verdict, by)
    return record_decision(
        DecisionDraft(
            surface=locked.surface,
            action=verdict.action,
            reason=verdict.reason,
            created_by=by,
            experiment=locked,
            promoted=promoted,
            replaced=replaced,
            evidence=evidence,
        )
    )


def check_winner(experiment: Experiment, verdict: Verdict) -> dict[str, float]:
    """Let every web process answer with what is to be shipped, before the transaction: it waits.

    Raises:
        CannotPromoteError: one cannot.
    """
    if verdict.action != Decision.Action.SHIP or experiment.state != Experiment.State.RUNNING:
        return {}
    version = experiment.variants.get(key=verdict.variant).model_version
    if version is None or version.alias == ModelVersion.Alias.CHAMPION:
        return {}
    return check_servable(version)


def _retire_losers(experiment: Experiment, verdict: Verdict, by: str) -> None:
    worse = verdict.action == Decision.Action.ROLL_BACK
    leaving = verdict.look.parsed_result.leaving if verdict.look is not None else {}
    for variant, reason in leaving.items():
        reject_version(experiment, variant, by=by, reason=reason)
    losers = ModelVersion.objects.filter(
        pk__in=experiment.treatments.values("model_version_id"),
        alias__in=(ModelVersion.Alias.CHALLENGER, ModelVersion.Alias.CANDIDATE),
    )
    preferred = experiment.treatments.filter(key__in=_going_on(experiment, verdict))
    losers = losers.exclude(pk__in=preferred.values("model_version_id"))
    for version in losers:
        move_alias(
            version=version,
            to=ModelVersion.Alias.REJECTED if worse else ModelVersion.Alias.CANDIDATE,
            by=by,
            reason=verdict.reason,
            evidence={"experiment": experiment.key},
        )


def _going_on(experiment: Experiment, verdict: Verdict) -> list[str]:
    """Return the treatments that wait for their test: what interleaving preferred, proven or not.

    A person's own interleaving that ends without a verdict leaves the champion in peace, as every test
    does. Of what the platform screens, what looked better is worth its test, and where a look finds
    that the champion failed, no challenger is to blame. A version that cannot be loaded ends it without
    a look: if its challengers waited on, the same screening would start and halt again at once.
    """
    if verdict.action == Decision.Action.PREFER:
        return [verdict.variant or ""]
    if verdict.look is None or experiment.owner != PLATFORM:
        return []
    if verdict.action == Decision.Action.HALT:
        screened = experiment.mode == Experiment.Mode.INTERLEAVE
        return [one.key for one in experiment.treatments] if screened else []
    if verdict.action != Decision.Action.STOP_INCONCLUSIVE:
        return []
    result = verdict.look.parsed_result
    return [
        one.variant
        for one in result.preferences
        if one.preference > 0 and one.variant not in result.leaving
    ]
