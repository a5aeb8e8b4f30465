"""Give a surface a version of an order: the most popular, what trends, the latest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.lock_order import lock_surface
from experiments.actions.promote_version import confirm_champion, make_champion
from inference.actions.register_order import register_order
from inference.models import ModelVersion, Surface
from inference.serving.orders import LISTS, LiveOrder

if TYPE_CHECKING:
    from collections.abc import Mapping


class CannotOrderError(RefusedError):
    """A surface that cannot have an order; the message says why.

    Attributes:
        code: for the API.
    """

    def __init__(self, message: str, *, field: str, code: str = "invalid_order") -> None:
        """Name the rule, the field that breaks it, and the code for programs."""
        super().__init__(message, field=field)
        self.code = code


def read_order(name: str, params: Mapping[str, Any]) -> LiveOrder:
    """Return the order of a list.

    Args:
        name: popular, trending, latest or search.
        params: as far as they differ from the list's own.

    Raises:
        CannotOrderError: there is no such list, or a parameter breaks a rule.
    """
    if name not in LISTS:
        raise CannotOrderError(f"list == '{name}', must be one of {sorted(LISTS)}.", field="list")
    try:
        return LiveOrder.of(LISTS[name][0], params)
    except ValueError as error:
        raise CannotOrderError(str(error), field="list_params") from error


def list_of(version: ModelVersion) -> str | None:
    """Return the list whose live order a version is, or None."""
    return next(
        (name for name, algorithms in LISTS.items() if version.algorithm == algorithms[0]), None
    )


def add_order(*, surface: Surface, order: LiveOrder, by: str) -> ModelVersion:
    """Register a version of an order; where the surface has no champion, it is the champion.

    Raises:
        CannotOrderError: the surface ranks no items.
    """
    with transaction.atomic():
        lock_surface(surface.pk)
        version = give_order(surface=surface, order=order, by=by)
        if version.alias != ModelVersion.Alias.CHAMPION:
            record_audit(
                surface.project_id,
                actor=by,
                action="add order",
                subject=f"{version.label} for {surface}",
                detail={"params": order.params},
            )
    return version


def require_order(*, surface: Surface, order: LiveOrder, by: str) -> None:
    """Give a surface its first version; one whose champion is of this order has it already.

    Raises:
        CannotOrderError: the champion is another: to replace it is a promotion of its own.
    """
    champion = surface.versions.champions().first()
    if champion is None:
        give_order(surface=surface, order=order, by=by)
    elif (champion.algorithm, champion.params) != (order.name, order.params):
        raise CannotOrderError(
            f"surface '{surface}' has champion {champion.label} {champion.params or ''}, which is no "
            f"'{order.name}' {order.params or ''}: add a version of it by POST "
            f"/v1/surfaces/{surface}/orders, then promote it or test it.",
            field="list",
            code="has_champion",
        )


def give_order(*, surface: Surface, order: LiveOrder, by: str) -> ModelVersion:
    """Register the version inside the caller's transaction, which records it.

    Raises:
        CannotOrderError: the surface ranks no items.
    """
    if surface.kind != Surface.Kind.RECOMMEND:
        raise CannotOrderError(
            f"kind == '{surface.kind}', must be '{Surface.Kind.RECOMMEND}' for a list of items.",
            field="list",
        )
    version = register_order(surface_id=surface.pk, order=order, by=by)
    if not surface.versions.champions().exists():
        # No web process is asked first: of an order there is nothing that could not be loaded.
        decision = make_champion(version=version, by=by, reason="the surface's list", answered={})
        transaction.on_commit(lambda: confirm_champion(decision))
        version.refresh_from_db()
    return version
