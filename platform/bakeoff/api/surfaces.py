"""Surfaces."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status
from pydantic import ConfigDict

from bakeoff.accounts.models import AuditEntry
from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.field_types import KEY, Id, Name, Properties
from bakeoff.api.lookup import get_or_404
from bakeoff.api.models import VersionOut
from bakeoff.api.paging import ROWS, Archived, Limit, Offset, page_of
from bakeoff.api.renamed import OldName
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.add_order import CannotOrderError, add_order, list_of, read_order
from experiments.actions.change_surface import (
    ArchivedError,
    CannotChangeSurfaceError,
    KindIsFixedError,
    SurfaceExistsError,
    WouldResetError,
    patch_surface,
    put_surface,
)
from experiments.reports.surface_history import history_of, read_change
from inference.models import Surface
from inference.serving.orders import LiveOrder
from inference.training.label_names import MAX_LABEL, MAX_LABELS

router = Router(tags=["surfaces"])
Texts = list[str]  # a surface has a field of the name `list`


class SurfaceFields(RequestSchema):
    """What may be set of a surface."""

    old_names = (OldName("retrain_recommender", "retrain_algorithm"),)

    kind: str = Field("recommend", pattern="^(recommend|classify|flag|generate|rank)$")
    static_list: list[Id] = Field(default_factory=list, max_length=1000)
    candidates: int = Field(200, ge=1, le=5000)
    exploration: float = Field(0.0, ge=0, le=10)
    liked_events: list[Id] = Field(default_factory=list, max_length=20)
    credited_events: list[Name] = Field(default_factory=lambda: ["conversion"], max_length=20)
    attribution_seconds: int = Field(7 * 86_400, ge=0, le=31_536_000)
    labels: list[Annotated[str, Field(min_length=1, max_length=MAX_LABEL)]] = Field(
        default_factory=list,
        max_length=MAX_LABELS,
        description="Of a surface that labels text: the only ones that are learnt, when there are any.",
    )
    retrain_algorithm: str = ""
    retrain_every_seconds: int = Field(86_400, ge=60, le=31_536_000)
    retrain_params: dict[str, Any] = Field(default_factory=dict)
    retrain_on_drift: bool = False
    start_experiments: bool = True
    shadow_share: float = Field(0.1, ge=0, le=1)
    shadow_first: int = Field(0, ge=0, le=1_000_000)
    policy: dict[str, Any] = Field(default_factory=dict)
    rules: Properties = Field(
        default_factory=dict,
        description="Of every slate: filter, boost, bury, pin, caps, diversity, freshness, repeat, "
        "new_item_share, new_item_days.",
    )

    costs: Properties = Field(
        default_factory=dict,
        description="Of a surface that labels text: true label to answered label to cost; 1 for each "
        "mistake that is not named.",
    )
    abstain_cost: float | None = Field(
        None, description="What asking a person costs; null: a label is always decided on."
    )

    event_weights: Properties = Field(
        default_factory=dict,
        description="What a like counts by its event, in training and at the gate: liked event to a "
        'number above 0, or to {"per_value": number}; 1 for each that is not named.',
    )

    context_features: list[Id] = Field(
        default_factory=list,
        max_length=8,
        description="What models may read of a request: country, device, language, platform, hour, "
        "weekday, or context.NAME for what `context` calls NAME.",
    )

    slices: list[Id] = Field(
        default_factory=list,
        max_length=10,
        description="Of a surface that labels text: features by whose values groups are compared.",
    )
    max_gap: float | None = Field(
        None, description="Between two groups' rates, in (0, 1]; null: no limit at the gate."
    )

    text_classifier: str = Field(
        "",
        max_length=64,
        description="Key of a surface of kind classify whose champion, no endpoint, labels what users "
        "write about this surface; themes show the share of each label.",
    )
    theme_namer: str = Field(
        "",
        max_length=64,
        description="Key of a surface of kind generate whose champion names themes, from redacted "
        "quotes that its provider gets; empty: themes are named by their words.",
    )

    generate: dict[str, Any] = Field(
        default_factory=dict,
        description="Of a surface that generates: public, store, cache, budgets, prices, guardrails.",
    )

    rank: dict[str, Any] = Field(
        default_factory=dict,
        description="Of a surface that chooses among actions: control_share, explore, wait_seconds, "
        "min_reward, max_reward, default_reward, sample, apprentice.",
    )


class OrderIn(RequestSchema):
    """An order of items that needs no training."""

    list: Literal["popular", "trending", "latest", "search"]
    list_params: dict[str, Any] = Field(
        default_factory=dict,
        description="Of popular and trending half_life_hours and by_value; of search word_weight and "
        "vector_weight.",
    )


class SurfaceIn(SurfaceFields):
    """A whole surface; with a `list`, its first version is of that order."""

    key: str = Field(min_length=1, max_length=64, pattern=KEY)
    list: Literal["popular", "trending", "latest", "search"] | None = None
    list_params: dict[str, Any] = Field(default_factory=dict)

    @property
    def order(self) -> LiveOrder | None:
        """The order of which the first version is to be.

        Raises:
            CannotOrderError: a parameter breaks a rule.
        """
        return None if self.list is None else read_order(self.list, self.list_params)


class SurfacePatch(SurfaceFields):
    """What is to change: a field that is not named stays as it is."""


class SurfaceOut(SurfaceIn):
    """A surface and its champion.

    Its numbers and lists have no bounds: a row that was written by other means than this API is shown
    as it is, so that it can be put right.
    """

    model_config = ConfigDict(extra="ignore")

    kind: str
    static_list: Texts
    candidates: int
    exploration: float
    liked_events: Texts
    credited_events: Texts
    attribution_seconds: int
    labels: Texts
    retrain_every_seconds: int
    shadow_share: float
    shadow_first: int
    slices: Texts
    key: str
    champion: str | None = None
    archived_at: datetime | None = None

    @staticmethod
    def resolve_champion(surface: Surface) -> str | None:
        """Name the champion."""
        champion = surface.versions.champions().first()
        return champion.label if champion else None

    @staticmethod
    def resolve_list(surface: Surface) -> str | None:
        """Name the order that the champion is a version of."""
        champion = surface.versions.champions().first()
        return list_of(champion) if champion else None

    @staticmethod
    def resolve_list_params(surface: Surface) -> dict[str, Any]:
        """Return the parameters of that order."""
        champion = surface.versions.champions().first()
        return champion.params if champion and list_of(champion) else {}


class FieldChangeOut(Schema):
    """One setting before and after."""

    field: str
    before: Any = None
    after: Any = None


class SurfaceChangeOut(Schema):
    """Settings that were changed together.

    `part` is "surface" for its own fields, "autopilot" or "judging". Of a surface that was created,
    `is_creation`, the changes are the fields that were given another value than their default.
    """

    id: int
    at: datetime
    by: str
    part: Literal["surface", "autopilot", "judging"]
    is_creation: bool
    approvals: Texts
    changes: list[FieldChangeOut]

    @staticmethod
    def resolve_by(entry: AuditEntry) -> str:
        """Name who acted."""
        return entry.actor

    @staticmethod
    def resolve_part(entry: AuditEntry) -> str:
        """Say which settings the entry is about."""
        return read_change(entry).part

    @staticmethod
    def resolve_is_creation(entry: AuditEntry) -> bool:
        """Say whether the surface was created."""
        return read_change(entry).is_creation

    @staticmethod
    def resolve_approvals(entry: AuditEntry) -> Any:
        """Name who had approved it."""
        return list(read_change(entry).approvals)

    @staticmethod
    def resolve_changes(entry: AuditEntry) -> Any:
        """Return the settings that differ."""
        return read_change(entry).changes


@router.get("/surfaces", response={200: list[SurfaceOut]})
def list_surfaces(
    request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0, *, archived: Archived = False
) -> Any:
    """List the project's surfaces, but for archived ones; or those alone."""
    rows = Surface.objects.filter(project=project_of(request), archived_at__isnull=not archived)
    rows = rows.order_by("key")
    return page_of(request, rows, SurfaceOut, limit=limit, offset=offset)


@router.get("/surfaces/{key}", response={200: SurfaceOut})
def show_surface(request: HttpRequest, key: str) -> Any:
    """Show a surface."""
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


@router.get("/surfaces/{key}/history", response={200: list[SurfaceChangeOut]})
def list_surface_changes(
    request: HttpRequest, key: str, limit: Limit = ROWS, offset: Offset = 0
) -> Any:
    """List who changed which settings of a surface, newest first: its own, autopilot and judging."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    return page_of(request, history_of(surface), SurfaceChangeOut, limit=limit, offset=offset)


@router.put("/surfaces", response={200: SurfaceOut})
def write_surface(request: HttpRequest, payload: SurfaceIn, *, replace: bool = False) -> Any:
    """State a whole surface: make it, or change it.

    Fields that are not named have their defaults. Where that would reset a field of a surface that is
    there already, the answer is 409 and lists them; `?replace=true` resets them.
    """
    try:
        return put_surface(
            project=project_of(request),
            key=payload.key,
            values=payload.dict(exclude={"key", "list", "list_params"}, exclude_unset=True),
            replace=replace,
            by=actor_of(request),
            order=payload.order,
        )
    except CannotOrderError as error:
        raise _order_problem(error) from error
    except CannotChangeSurfaceError as error:
        raise _problem(error) from error


@router.patch("/surfaces/{key}", response={200: SurfaceOut})
def change_surface(request: HttpRequest, key: str, payload: SurfacePatch) -> Any:
    """Change the named fields of a surface; the others stay as they are."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    try:
        return patch_surface(
            surface=surface, changes=payload.dict(exclude_unset=True), by=actor_of(request)
        )
    except CannotChangeSurfaceError as error:
        raise _problem(error) from error


@router.post("/surfaces/{key}/orders", response={201: VersionOut})
def add_surface_order(request: HttpRequest, key: str, payload: OrderIn) -> Any:
    """Add a version of an order: the champion where there is none, else a candidate to be tested."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    try:
        order = read_order(payload.list, payload.list_params)
        return Status(201, add_order(surface=surface, order=order, by=actor_of(request)))
    except CannotOrderError as error:
        raise _order_problem(error) from error


def _order_problem(error: CannotOrderError) -> Problem:
    return Problem(409 if error.code == "has_champion" else 422, error.code, str(error), error.field)


def _problem(error: CannotChangeSurfaceError) -> Problem:
    conflicts = WouldResetError | KindIsFixedError | SurfaceExistsError | ArchivedError
    conflict = isinstance(error, conflicts)
    return Problem(409 if conflict else 422, error.code, str(error), error.field)
