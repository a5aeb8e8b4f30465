"""Rules of a request, bound without holding up the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bakeoff.gateway.http.errors import ApiError
from experiments.slate_rules.long_work import work_for, work_for_condition
from experiments.slate_rules.request_rules import bind_rules
from experiments.slate_rules.rule_error import RuleError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from experiments.slate_rules.filters import Filters
    from experiments.slate_rules.long_work import Work
    from experiments.slate_rules.request_rules import RequestRules
    from experiments.slate_rules.rules import SlateRules

# Each may bring up the next: a column is read, then its values are tested. While items come faster
# than they are read, the rest is done within the event loop: no request waits for ever.
MAX_ROUNDS = 3


async def bind(
    stored: SlateRules,
    requested: SlateRules,
    filters: Filters,
    *,
    context: Mapping[str, Any],
    exclude: Collection[str],
    named: Collection[str] = (),
) -> RequestRules:
    """Return the rules of a surface and a request, after what takes long was done in a thread.

    Raises:
        ApiError: 400, one of the request's cannot be followed.
    """
    for _ in range(MAX_ROUNDS):
        work = [*work_for(filters, stored, context), *work_for(filters, requested, context)]
        if not work:
            break
        await asyncio.to_thread(_do, work)
    try:
        return bind_rules(stored, requested, filters, context=context, exclude=exclude, named=named)
    except RuleError as error:
        raise ApiError(400, "invalid_value", str(error), field=error.field) from error


async def make_ready(filters: Filters, conditions: Iterable[Mapping[str, Any]]) -> None:
    """Do in a thread what would take long when these filters are asked for."""
    conditions = list(conditions)
    for _ in range(MAX_ROUNDS):
        work = [one for condition in conditions for one in work_for_condition(filters, condition, {})]
        if not work:
            return
        await asyncio.to_thread(_do, work)


def _do(work: Iterable[Work]) -> None:
    for one in work:
        one()


def require_fields(filters: Filters, names: Sequence[str] | None) -> None:
    """Refuse a field of an answer that nearly has the name of one that items have.

    Raises:
        ApiError: 400, with the name that is meant.
    """
    try:
        for name in names or ():
            filters.require_field(name)
    except RuleError as error:
        raise ApiError(400, "invalid_value", str(error), field=error.field) from error
