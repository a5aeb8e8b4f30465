"""Take a treatment that does harm out of the traffic, while the others run on; one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction

from experiments.actions.propose import withdraw_proposals
from experiments.actions.record_decision import DecisionDraft, record_decision
from experiments.models import Decision, Experiment
from experiments.models.experiment import WrongStateError
from inference.actions.move_alias import move_alias
from inference.cache import cache_client
from inference.models import ModelVersion
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.models import Look


@dataclass(frozen=True, slots=True)
class Harm:
    """A treatment that does harm.

    Attributes:
        variant: its key.
        reason: what the look says of it.
        look: the look; None of what another than a look has seen.
        evidence: what else the decision keeps.
    """

    variant: str
    reason: str
    look: Look | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def drop_treatment(*, experiment: Experiment, harm: Harm, by: str) -> Decision:
    """Open an epoch in which the control has the treatment's share, and write the decision.

    Units of the treatment see the control from now on, those of other variants what they saw before.
    The totals stay, each in its epoch. The treatment's version is rejected, unless another variant
    serves it.

    Raises:
        WrongStateError: it does not run, or the treatment takes no traffic.
    """
    with transaction.atomic():
        # Shares are computed from those that are stored: no other change may come in between.
        locked = (
            Experiment.objects.select_for_update(of=("self",), no_key=True)
            .select_related("surface__project")
            .get(pk=experiment.pk)
        )
        weights = {variant.key: variant.weight for variant in locked.variants.all()}
        share = weights.get(harm.variant, 0.0)
        if share <= 0:
            raise WrongStateError(f"variant '{harm.variant}' of '{locked.key}' takes no traffic")
        weights |= {harm.variant: 0.0, locked.control.key: weights[locked.control.key] + share}
        epoch = locked.change(allocation=locked.allocation, weights=weights)
        if locked.sticky and locked.mode != Experiment.Mode.BANDIT:
            # Units keep what they met even in a variant without traffic: all forget it, and the hash
            # deals them the same again, but for those of the treatment. Not so in a bandit: its shares
            # have changed since. Its units keep all but what left (`RunningExperiment.keepable`).
            locked.sticky_since = epoch.number
            locked.save(update_fields=["sticky_since"])
        withdraw_proposals(locked, reason=harm.reason, variant=harm.variant)
        reject_version(locked, harm.variant, by=by, reason=harm.reason)
        decision = record_decision(
            DecisionDraft(
                surface=locked.surface,
                action=Decision.Action.ROLL_BACK,
                reason=f"'{harm.variant}' leaves the traffic, the others run on: {harm.reason}",
                created_by=by,
                experiment=locked,
                evidence={
                    "variant": harm.variant,
                    "epoch": epoch.number,
                    "weights": weights,
                    "policy_sha256": locked.policy_sha256,
                    "salt": locked.salt,
                    **_look(harm.look),
                    **harm.evidence,
                },
            )
        )
        transaction.on_commit(lambda: announce_change(cache_client()))
    return decision


def _look(look: Look | None) -> dict[str, Any]:
    if look is None:
        return {}
    return {"look": look.number, "inputs": look.inputs, "result": look.result}


def reject_version(experiment: Experiment, variant: str, *, by: str, reason: str) -> None:
    """Reject the version of a variant that did harm, unless it serves elsewhere."""
    version = experiment.variants.get(key=variant).model_version
    waiting = (ModelVersion.Alias.CHALLENGER, ModelVersion.Alias.CANDIDATE)
    if version is None or version.alias not in waiting:
        return
    if experiment.variants.exclude(key=variant).filter(model_version=version, weight__gt=0).exists():
        return
    move_alias(
        version=version,
        to=ModelVersion.Alias.REJECTED,
        by=by,
        reason=reason,
        evidence={"experiment": experiment.key},
    )
