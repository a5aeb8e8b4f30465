"""Halt an experiment with a variant that some web process cannot serve: its comparison is void."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.carry_out import Verdict, carry_out
from experiments.models import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.models import Experiment


def halt_unservable(
    *, experiment: Experiment, unserved: Mapping[int, Sequence[str]]
) -> Decision | None:
    """End it at once, whatever its policy leaves to an operator: half of its users get no model.

    Args:
        experiment: that runs.
        unserved: versions that cannot be loaded, by id, and the web processes that say so.

    Returns:
        The decision, or None when every variant is served.

    Raises:
        WrongStateError: it does not run any more.
    """
    for variant in experiment.variants.select_related("model_version"):
        version = variant.model_version
        if version is not None and version.pk in unserved:
            reason = (
                f"variant '{variant.key}' cannot serve: {version.label} cannot be loaded by web "
                f"process {unserved[version.pk][0]}"
            )
            verdict = Verdict(action=Decision.Action.HALT, reason=reason)
            return carry_out(experiment=experiment, verdict=verdict, by=PLATFORM)
    return None
