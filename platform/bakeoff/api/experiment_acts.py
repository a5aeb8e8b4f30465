"""Acts on an experiment: start, ramp, switch, stop, ship, and links that show a variant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Router, Schema, Status

from bakeoff.api.access import actor_of, person_of
from bakeoff.api.draft_fields import find_experiment
from bakeoff.api.errors import Problem
from bakeoff.api.experiment_schemas import DecisionOut, ExperimentOut
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.change_shares import Change, WouldReshuffleError, change_shares
from experiments.actions.check_variant import UnknownVariantError, check_variant
from experiments.actions.explain_assignment import link_of
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.stop_experiment import ship_experiment, stop_experiment
from experiments.actions.switch_experiment import switch
from experiments.models import Experiment
from experiments.models.experiment import WrongStateError
from inference.actions.move_champion import CannotPromoteError, ProcessesUnreachableError
from inference.cache import cache_client
from inference.serving.changes import wait_until_read

router = Router(tags=["experiments"])


class ReasonIn(RequestSchema):
    """A person's reason."""

    reason: str = Field("", max_length=1000)


class ShipIn(ReasonIn):
    """What is shipped, and why."""

    variant: str


@router.post("/experiments/{key}/start", response={200: ExperimentOut})
def start(request: HttpRequest, key: str) -> Any:
    """Start it: the rule is fixed, traffic is split.

    The answer waits until every web process serves it, or says `"confirmed": false` after seconds.
    """
    try:
        experiment = start_experiment(
            experiment=find_experiment(request, key), by=actor_of(request), person=person_of(request)
        )
    except CannotStartError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    except WrongStateError as error:
        raise Problem(409, error.code, f"{error}.") from error
    return _confirm(experiment)


def _confirm(experiment: Experiment) -> Experiment:
    """Wait until web processes serve a change: who asks next must meet it."""
    experiment.confirmed = not wait_until_read(cache_client())
    return experiment


class ChangeIn(RequestSchema):
    """What changes while it runs; a field that is not named stays."""

    allocation: float | None = Field(None, gt=0, le=1)
    weights: dict[str, float] | None = None
    accept_moves: bool = False
    forget_kept: bool = False
    block_earlier: bool = False


@router.post("/experiments/{key}/ramp", response={200: ExperimentOut})
def ramp(request: HttpRequest, key: str, payload: ChangeIn) -> Any:
    """Change its shares: a new epoch begins. What would move units is refused unless it is accepted."""
    experiment = find_experiment(request, key)
    try:
        change_shares(
            experiment=experiment,
            change=Change(**payload.dict()),
            by=actor_of(request),
            person=person_of(request),
        )
    except WrongStateError as error:
        raise Problem(409, error.code, f"{error}.") from error
    except WouldReshuffleError as error:
        raise Problem(409, "would_reshuffle", str(error), "accept_moves") from error
    except ValueError as error:
        raise Problem(422, "invalid_value", str(error), "weights") from error
    return _confirm(find_experiment(request, key))


class SwitchIn(RequestSchema):
    """The kill switch."""

    enabled: bool


@router.post("/experiments/{key}/switch", response={200: ExperimentOut})
def set_enabled(request: HttpRequest, key: str, payload: SwitchIn) -> Any:
    """Switch it off for everybody at once, or on again; its variants stay as they were dealt."""
    try:
        switch(
            experiment=find_experiment(request, key),
            enabled=payload.enabled,
            by=actor_of(request),
            person=person_of(request),
        )
    except WrongStateError as error:
        raise Problem(409, error.code, f"{error}.") from error
    return _confirm(find_experiment(request, key))


class LinkIn(RequestSchema):
    """Which variant people may see, and for how many days."""

    variant: str = Field(min_length=1, max_length=64)
    days: float = Field(7.0, gt=0, le=90)


class LinkOut(Schema):
    """A token: `force` in a request, or `?bakeoff_force=TOKEN` on a page with the embed."""

    token: str
    query: str
    until: datetime


@router.post("/experiments/{key}/links", response={201: LinkOut})
def make_link(request: HttpRequest, key: str, payload: LinkIn) -> Any:
    """Make a link that shows a variant to anyone who has it; their events are not analysed."""
    experiment = find_experiment(request, key)
    try:
        check_variant(experiment, payload.variant)
    except UnknownVariantError as error:
        raise Problem(422, "unknown_variant", str(error), error.field) from error
    until = timezone.now() + timedelta(days=payload.days)
    token = link_of(experiment, payload.variant, int(until.timestamp()))
    return Status(201, {"token": token, "query": f"bakeoff_force={token}", "until": until})


@router.post("/experiments/{key}/stop", response={200: DecisionOut})
def stop(request: HttpRequest, key: str, payload: ReasonIn) -> Any:
    """Stop it without a verdict; the champion stays."""
    try:
        decision = stop_experiment(
            experiment=find_experiment(request, key), by=actor_of(request), reason=payload.reason
        )
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    wait_until_read(cache_client())
    return decision


@router.post("/experiments/{key}/ship", response={200: DecisionOut})
def ship(request: HttpRequest, key: str, payload: ShipIn) -> Any:
    """Stop it and promote one of its variants."""
    experiment = find_experiment(request, key)
    try:
        return ship_experiment(
            experiment=experiment,
            variant=payload.variant,
            by=actor_of(request),
            reason=payload.reason,
            person=person_of(request),
        )
    except UnknownVariantError as error:
        raise Problem(422, "unknown_variant", str(error), error.field) from error
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    except ProcessesUnreachableError as error:
        raise Problem(503, "cannot_ask", str(error)) from error
    except CannotPromoteError as error:
        raise Problem(409, error.code, str(error)) from error
