"""What experiments share: layers, the holdout, saved groups; and what a unit gets, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from ninja import Field, Router, Schema
from pydantic import ConfigDict

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.field_types import KEY
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.explain_assignment import assignments_of
from experiments.actions.put_group import put_group as write_group
from experiments.actions.put_holdout import put_holdout as change_holdout
from experiments.actions.put_layer import put_layer as make_layer
from experiments.models import Experiment, Holdout, Layer, SavedGroup
from experiments.models.experiment import WrongStateError
from experiments.reports.interaction_effect import interaction_effects

router = Router(tags=["assignment"])


class LayerIn(RequestSchema):
    """A layer to be."""

    key: str = Field(min_length=1, max_length=64, pattern=KEY)


class LayerSlotOut(Schema):
    """A range that an experiment takes."""

    experiment: str
    state: str
    low: float
    high: float


class LayerOut(LayerIn):
    """A layer and who stands where in it."""

    model_config = ConfigDict(extra="ignore")

    slots: list[LayerSlotOut]

    @staticmethod
    def resolve_slots(layer: Layer) -> list[dict[str, Any]]:
        """List the experiments that have not ended."""
        return [
            {"experiment": e.key, "state": e.state, "low": e.slot_low, "high": e.slot_high}
            for e in layer.experiments.exclude(state=Experiment.State.ENDED).order_by("slot_low")
        ]


@router.get("/layers", response={200: list[LayerOut]})
def list_layers(request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the project's layers with their ranges."""
    rows = Layer.objects.filter(project=project_of(request)).order_by("key")
    return page_of(request, rows, LayerOut, limit=limit, offset=offset)


@router.put("/layers", response={200: LayerOut})
def put_layer(request: HttpRequest, payload: LayerIn) -> Any:
    """Make a layer; its hash never changes."""
    return make_layer(project=project_of(request), key=payload.key, by=actor_of(request))


class HoldoutIn(RequestSchema):
    """The share of units that no experiment takes."""

    share: float = Field(ge=0, le=0.5)


@router.get("/holdout", response={200: HoldoutIn})
def show_holdout(request: HttpRequest) -> Any:
    """Show the holdout."""
    return Holdout.objects.filter(project=project_of(request)).first() or {"share": 0.0}


@router.put("/holdout", response={200: HoldoutIn})
def put_holdout(request: HttpRequest, payload: HoldoutIn) -> Any:
    """Change the holdout; refused while an experiment runs."""
    try:
        return change_holdout(project=project_of(request), share=payload.share, by=actor_of(request))
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.", "share") from error


class GroupIn(RequestSchema):
    """A saved group to be: values of an attribute, or a condition."""

    key: str = Field(min_length=1, max_length=64, pattern=KEY)
    attribute: str = Field("id", max_length=100)
    values: list[str | float | bool] = Field(default_factory=list, max_length=10_000)
    condition: dict[str, Any] = Field(default_factory=dict)


@router.get("/groups", response={200: list[GroupIn]})
def list_groups(request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the project's saved groups."""
    rows = SavedGroup.objects.filter(project=project_of(request)).order_by("key")
    return page_of(request, rows, GroupIn, limit=limit, offset=offset)


@router.put("/groups", response={200: GroupIn})
def put_group(request: HttpRequest, payload: GroupIn) -> Any:
    """Make a group, or change it: experiments that name it follow at once."""
    try:
        return write_group(project=project_of(request), by=actor_of(request), **payload.dict())
    except ValidationError as error:
        raise Problem(422, "invalid_condition", error.messages[0], "condition") from error


class InteractionEffectOut(Schema):
    """How much the effect of one experiment depends on another."""

    experiment: str
    treatment: str
    other: str
    other_treatment: str
    metric: str
    units: int
    contrast: float
    interval: tuple[float, float]
    p_value: float


@router.get("/interactions", response={200: list[InteractionEffectOut]})
def list_interactions(request: HttpRequest) -> Any:
    """Compare every two running experiments that share units."""
    return interaction_effects(project_of(request).pk)


class AssignmentQuery(RequestSchema):
    """Whose assignments, and what a request would say."""

    unit_id: str = Field(min_length=1, max_length=200)
    context: dict[str, Any] = Field(default_factory=dict)


class StepOut(Schema):
    """One rule's outcome."""

    name: str
    passed: bool
    said: str


class AssignmentOut(Schema):
    """One experiment as the unit meets it."""

    experiment: str
    variant: str | None
    reason: str
    met: str | None
    since: datetime | None
    steps: list[StepOut]


@router.post("/units/assignments", response={200: list[AssignmentOut]})
def explain_unit(request: HttpRequest, payload: AssignmentQuery) -> Any:
    """Tell which running experiments a unit is in, since when, and why or why not."""
    return assignments_of(project_of(request).pk, payload.unit_id, payload.context)
