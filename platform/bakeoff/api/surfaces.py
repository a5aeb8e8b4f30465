"""Surfaces, items and metrics."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status
from pydantic import AfterValidator, ConfigDict

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import REFUSALS, Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.renamed import OldName, RenamedSchema
from experiments.actions.change_surface import (
    CannotChangeSurfaceError,
    KindIsFixedError,
    WouldResetError,
    patch_surface,
    put_surface,
)
from experiments.actions.create_metric import CannotCreateError, TakenError, create_metric
from experiments.actions.load_catalogue import write_items
from experiments.bounds import (
    MAX_ID,
    MAX_NAME,
    MAX_PROPERTIES_BYTES,
    MAX_SECONDS,
    MAX_TEXT,
    MAX_TITLE,
    MAX_VALUE,
    check,
)
from experiments.kinds import Direction, direction_of
from experiments.models import Metric
from inference.actions.load_items import ItemDraft
from inference.models import Surface
from inference.training.label_names import MAX_LABEL, MAX_LABELS

router = Router(tags=["surfaces"])
KEY = r"^[-a-zA-Z0-9_]+$"
MAX_ITEMS = 1000
Id = Annotated[str, Field(max_length=MAX_ID)]
Name = Annotated[str, Field(max_length=MAX_NAME)]


def _bounded(properties: dict[str, Any]) -> dict[str, Any]:
    check(properties, "properties", max_bytes=MAX_PROPERTIES_BYTES)
    return properties


Properties = Annotated[dict[str, Any], AfterValidator(_bounded)]


class SurfaceFields(RenamedSchema):
    """What may be set of a surface."""

    old_names = (OldName("retrain_recommender", "retrain_algorithm"),)

    kind: str = Field("recommend", pattern="^(recommend|classify|flag)$")
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


class SurfaceIn(SurfaceFields):
    """A whole surface."""

    key: str = Field(min_length=1, max_length=64, pattern=KEY)


class SurfacePatch(SurfaceFields):
    """What is to change: a field that is not named stays as it is."""

    # A misspelt field would otherwise be a change that nobody sees not to happen.
    model_config = ConfigDict(extra="forbid")


class SurfaceOut(SurfaceIn):
    """A surface and its champion."""

    champion: str | None = None

    @staticmethod
    def resolve_champion(surface: Surface) -> str | None:
        """Name the champion."""
        champion = surface.versions.champions().first()
        return champion.label if champion else None


@router.get("/surfaces", response={200: list[SurfaceOut], **REFUSALS})
def list_surfaces(request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the project's surfaces."""
    rows = Surface.objects.filter(project=project_of(request)).order_by("key")
    return page_of(request, rows, SurfaceOut, limit=limit, offset=offset)


@router.get("/surfaces/{key}", response={200: SurfaceOut, **REFUSALS})
def show_surface(request: HttpRequest, key: str) -> Any:
    """Show a surface."""
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


@router.put("/surfaces", response={200: SurfaceOut, **REFUSALS})
def write_surface(request: HttpRequest, payload: SurfaceIn, *, replace: bool = False) -> Any:
    """State a whole surface: make it, or change it.

    Fields that are not named have their defaults. Where that would reset a field of a surface that is
    there already, the answer is 409 and lists them; `?replace=true` resets them.
    """
    try:
        return put_surface(
            project=project_of(request),
            key=payload.key,
            values=payload.dict(exclude={"key"}, exclude_unset=True),
            replace=replace,
            by=actor_of(request),
        )
    except CannotChangeSurfaceError as error:
        raise _problem(error) from error


@router.patch("/surfaces/{key}", response={200: SurfaceOut, **REFUSALS})
def change_surface(request: HttpRequest, key: str, payload: SurfacePatch) -> Any:
    """Change the named fields of a surface; the others stay as they are."""
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    try:
        return patch_surface(
            surface=surface, changes=payload.dict(exclude_unset=True), by=actor_of(request)
        )
    except CannotChangeSurfaceError as error:
        raise _problem(error) from error


def _problem(error: CannotChangeSurfaceError) -> Problem:
    conflict = isinstance(error, WouldResetError | KindIsFixedError)
    return Problem(409 if conflict else 422, error.code, str(error), error.field)


class ItemIn(Schema):
    """An item to be, or what is to change."""

    item_id: str = Field(min_length=1, max_length=MAX_ID)
    title: str = Field("", max_length=MAX_TITLE)
    text: str = Field("", max_length=MAX_TEXT)
    properties: Properties = Field(default_factory=dict)
    vector: list[Annotated[float, Field(ge=-1e6, le=1e6)]] | None = Field(
        None, min_length=1, max_length=4096, description="A vector of your own: of an image, say."
    )


class ItemsIn(Schema):
    """Items, at most 1,000 at once."""

    items: list[ItemIn] = Field(min_length=1, max_length=MAX_ITEMS)


class ItemsWritten(Schema):
    """How many were written."""

    written: int


@router.put("/items", response={200: ItemsWritten, **REFUSALS})
def put_items(request: HttpRequest, payload: ItemsIn) -> Any:
    """Add items or change them; their texts are embedded in a worker."""
    items = [ItemDraft(**item.dict()) for item in payload.items]
    return {"written": write_items(project_id=project_of(request).pk, items=items)}


def _read_direction(increase_is_good: object) -> object:
    # What is no boolean goes on as it is, and is refused by the field.
    if not isinstance(increase_is_good, bool):
        return increase_is_good
    return direction_of(increase_is_good=increase_is_good)


class MetricIn(RenamedSchema):
    """A metric to be."""

    old_names = (
        OldName("event_name", "event"),
        OldName("denominator_event", "denominator"),
        OldName("covariate_seconds", "lookback_seconds"),
        OldName(
            "increase_is_good",
            "direction",
            to_new=_read_direction,
            to_old=lambda direction: direction == "increase",
            schema={"type": "boolean"},
        ),
    )

    key: str = Field(min_length=1, max_length=64, pattern=KEY)
    name: str = Field("", max_length=200)
    kind: str = Field(pattern="^(proportion|mean|ratio|quantile|retention|funnel)$")
    event: str = Field("", max_length=100)
    value: str = Field("count", pattern="^(count|sum|max|items)$")
    filters: list[dict[str, Any]] = Field(default_factory=list, max_length=20)
    denominator: str = Field("", max_length=100)
    steps: list[Name] = Field(default_factory=list, max_length=20)
    quantile: float = Field(0.5, gt=0, lt=1)
    window_seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)
    delay_seconds: float = Field(0.0, ge=0, le=MAX_SECONDS)
    cap: float | None = Field(None, gt=0, le=MAX_VALUE)
    cap_quantile: float | None = Field(None, gt=0, lt=1)
    lookback_seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)
    attributed_only: bool = False
    trusted_only: bool = False
    direction: Direction = "increase"


@router.get("/metrics", response={200: list[MetricIn], **REFUSALS})
def list_metrics(request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the project's metrics."""
    rows = Metric.objects.filter(project=project_of(request)).order_by("key")
    return page_of(request, rows, MetricIn, limit=limit, offset=offset)


@router.post("/metrics", response={201: MetricIn, **REFUSALS})
def make_metric(request: HttpRequest, payload: MetricIn) -> Any:
    """Declare a metric over events; what a running experiment counts never changes."""
    metric = Metric(project=project_of(request), **payload.dict())
    try:
        return Status(201, create_metric(metric=metric, by=actor_of(request)))
    except TakenError as error:
        raise Problem(409, "conflict", str(error), "key") from error
    except CannotCreateError as error:
        raise Problem(422, "cannot_count", str(error), error.field) from error


@router.get("/metrics/{key}", response={200: MetricIn, **REFUSALS})
def show_metric(request: HttpRequest, key: str) -> Any:
    """Show a metric."""
    return get_or_404(Metric.objects.filter(project=project_of(request)), "metric", key=key)
