"""Serve a surface by a list with other parameters: a version of that order, promoted at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.actions.add_order import CannotOrderError, add_order
from experiments.actions.promote_version import promote_version
from inference.actions.move_champion import CannotPromoteError
from inference.models import ModelVersion

if TYPE_CHECKING:
    from inference.models import Surface
    from inference.serving.orders import LiveOrder

REASON = "the list's settings"


def find_order(surface: Surface, order: LiveOrder) -> ModelVersion | None:
    """Return the newest version of a surface that goes by this order, or None."""
    versions = surface.versions.filter(algorithm=order.name).order_by("-number")
    return next((one for one in versions if one.params == order.params), None)


def serve_order(*, surface: Surface, order: LiveOrder, by: str) -> ModelVersion:
    """Return the champion that goes by an order; a version that went by it before is used again.

    Raises:
        CannotOrderError: the surface ranks no items; or it cannot serve the version now, which is
            there as a candidate then, and a second try adds none.
    """
    version = find_order(surface, order) or add_order(surface=surface, order=order, by=by)
    if version.alias == ModelVersion.Alias.CHAMPION:
        return version
    # No lock is held between the two: web processes are asked before the champion moves.
    try:
        promote_version(version=version, by=by, reason=REASON)
    except CannotPromoteError as error:
        raise CannotOrderError(
            f"{version.label} is saved and does not serve: {error}",
            field="list",
            code="cannot_promote",
        ) from error
    version.refresh_from_db()
    return version
