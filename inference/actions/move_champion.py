"""Make a version the champion of its surface."""

from __future__ import annotations

from inference.actions.move_alias import move_alias
from inference.models import ModelVersion, Surface


class CannotPromoteError(Exception):
    """A version that cannot become champion; the message says why.

    Attributes:
        code: for programs.
    """

    code = "cannot_promote"


class ProcessesUnreachableError(CannotPromoteError):
    """Nobody knows whether it can: the servers by which processes are asked are away for a moment."""


def move_champion(*, surface_id: int, version_id: int, by: str, reason: str) -> ModelVersion | None:
    """Move the alias, inside the caller's transaction; return the version that it was taken from.

    The version that leaves is retired and stays loadable, so that a rollback moves a pointer. A move
    against the gate's verdict is marked with it.

    Raises:
        CannotPromoteError: it is another surface's or the champion already, or the surface is archived.
    """
    # Two promotions of one surface take turns: each retires the champion that the other made.
    surface = Surface.objects.select_for_update(no_key=True).get(pk=surface_id)
    if why := surface.archived_sentence:
        raise CannotPromoteError(why)
    version = ModelVersion.objects.get(pk=version_id)
    if version.surface_id != surface_id:
        raise CannotPromoteError(f"{version.label} belongs to surface '{version.surface}'.")
    if version.alias == ModelVersion.Alias.CHAMPION:
        raise CannotPromoteError(f"{version.label} is the champion of '{version.surface}' already.")
    replaced = ModelVersion.objects.filter(surface_id=surface_id).champions().first()
    if replaced is not None:
        move_alias(
            version=replaced,
            to=ModelVersion.Alias.RETIRED,
            by=by,
            reason=f"{version.label} took its place: {reason}",
        )
    refusal = version.gate_refusal
    move_alias(
        version=version,
        to=ModelVersion.Alias.CHAMPION,
        by=by,
        reason=f"{reason} (against the gate: it {refusal})" if refusal else reason,
        evidence={"gate_refusal": refusal} if refusal else None,
    )
    return replaced
