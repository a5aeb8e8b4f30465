"""Whether a variant belongs to an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.accounts.refused import RefusedError

if TYPE_CHECKING:
    from experiments.models import Experiment


class UnknownVariantError(RefusedError):
    """The experiment has no variant of this key."""


def check_variant(experiment: Experiment, variant: str) -> None:
    """Refuse the key of a variant that the experiment does not have.

    Raises:
        UnknownVariantError: as it says.
    """
    if not experiment.variants.filter(key=variant).exists():
        raise UnknownVariantError(
            f"variant == '{variant}', not found in experiment '{experiment.key}'.", field="variant"
        )
