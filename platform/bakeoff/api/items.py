"""Items of the catalogue."""

from __future__ import annotations

import codecs
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from django.conf import settings
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema
from pydantic import AfterValidator, ValidationError, ValidationInfo, field_validator

from bakeoff.api.access import project_of
from bakeoff.api.errors import Problem, say_invalid
from bakeoff.api.field_types import Id, Properties, Url
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import Limit
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.load_catalogue import patch_item, remove_items, write_items
from experiments.actions.load_catalogue import put_item_image as upload_image
from experiments.bounds import (
    MAX_ID,
    MAX_TEXT,
    MAX_TITLE,
    MAX_VALUE,
    BoundsError,
    NotJsonError,
    check,
    read_json,
)
from inference.actions.load_items import ItemDraft
from inference.models import Item

router = Router(tags=["surfaces"])
MAX_ITEMS = 1000
MAX_LINES = 10_000
MAX_LABELS = 50
BINARY = {"type": "string", "format": "binary"}
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
NO_ENCODER = "No image encoder is set (BAKEOFF_IMAGE_ENCODER): no model reads the image."
Labels = Annotated[list[Id], Field(max_length=MAX_LABELS)]


def _directed(vector: list[float] | None) -> list[float] | None:
    if vector is not None and not any(vector):
        raise ValueError("must have a number other than 0: nothing is near a vector without length")
    return vector


Vector = Annotated[
    list[Annotated[float, Field(ge=-1e6, le=1e6)]] | None,
    AfterValidator(_directed),
    Field(min_length=1, max_length=4096, description="A vector of your own: of an image, say."),
]
Price = Annotated[float | None, Field(ge=0, le=MAX_VALUE)]


def _in_utc(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


Moment = Annotated[datetime | None, AfterValidator(_in_utc)]


class ItemIn(RequestSchema):
    """An item as a whole: what is not named has its default."""

    read_only = frozenset({"image_sha256", "updated_at"})

    item_id: str = Field(min_length=1, max_length=MAX_ID)
    title: str = Field("", max_length=MAX_TITLE)
    text: str = Field("", max_length=MAX_TEXT)
    properties: Properties = Field(default_factory=dict)
    vector: Vector = None
    available: bool = Field(default=True, description="Whether it may be shown: in stock, say.")
    published_at: Moment = Field(None, description="Not shown before.")
    expires_at: Moment = Field(None, description="Not shown from then on.")
    group_id: Id = Field("", description="Names the product of which this is a variant.")
    labels: Labels = Field(default_factory=list)
    url: Url = ""
    image_url: Url = ""
    price: Price = None

    @field_validator("expires_at")
    @classmethod
    def _ends_after_it_begins(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        published = info.data.get("published_at")
        if value is not None and published is not None and value <= published:
            raise ValueError(f"must be after published_at, {published.isoformat()}")
        return value


class ItemPatch(RequestSchema):
    """What is to change; what is not named stays."""

    title: str = Field("", max_length=MAX_TITLE)
    text: str = Field("", max_length=MAX_TEXT)
    properties: Properties = Field(default_factory=dict)
    vector: Vector = None
    available: bool = True
    published_at: Moment = None
    expires_at: Moment = None
    group_id: Id = ""
    labels: Labels = Field(default_factory=list)
    url: Url = ""
    image_url: Url = ""
    price: Price = None


class ItemsIn(RequestSchema):
    """Items, at most 1,000 at once."""

    items: list[ItemIn] = Field(min_length=1, max_length=MAX_ITEMS)


class ItemIds(RequestSchema):
    """Ids of items, at most 10,000 at once."""

    item_ids: list[Id] = Field(min_length=1, max_length=MAX_LINES)


class ItemOut(Schema):
    """An item."""

    item_id: str
    title: str
    text: str
    properties: dict[str, Any]
    available: bool
    published_at: datetime | None
    expires_at: datetime | None
    group_id: str
    labels: list[str]
    url: str
    image_url: str
    image_sha256: str = Field(description="Of its uploaded image; empty for none.")
    price: float | None
    updated_at: datetime


class ItemWithVector(ItemOut):
    """An item with all that a request may write of it."""

    vector: list[float] | None = Field(description="As it was written, in single precision.")

    @staticmethod
    def resolve_vector(item: Item) -> list[float] | None:
        """Return the vector, by the shortest numbers that are the same in single precision."""
        if item.vector is None:
            return None
        return [float(str(number)) for number in np.frombuffer(item.vector, dtype="<f4")]


class ItemWithImage(ItemOut):
    """An item whose image was stored."""

    hint: str | None = Field(None, description="What keeps models from reading the image.")


class ItemPage(Schema):
    """Items in the order of their ids."""

    items: list[ItemOut]
    next: str | None = Field(description="Pass it as `after` for the next page; null on the last.")


class ItemsWritten(Schema):
    """How many were written."""

    written: int


class RefusedLine(Schema):
    """A line that was not written."""

    line: int
    message: str


class LinesWritten(ItemsWritten):
    """How many lines were written, and which were refused."""

    refused: list[RefusedLine]


class ItemsDeleted(Schema):
    """How many were deleted."""

    deleted: int


@router.get("/items", response={200: ItemPage})
def list_items(
    request: HttpRequest,
    limit: Limit = 100,
    after: Annotated[str, Query(max_length=MAX_ID, description="`next` of the page before.")] = "",
) -> Any:
    """List the catalogue, in the order of the ids."""
    rows = Item.objects.filter(project=project_of(request), item_id__gt=after).order_by("item_id")
    page = list(rows[: limit + 1])
    return {
        "items": page[:limit],
        "next": page[limit - 1].item_id if len(page) > limit else None,
    }


@router.put("/items", response={200: ItemsWritten})
def put_items(request: HttpRequest, payload: ItemsIn) -> Any:
    """Add items or replace them; their texts are embedded in a worker."""
    items = [ItemDraft(**item.dict()) for item in payload.items]
    return {"written": write_items(project_id=project_of(request).pk, items=items)}


@router.post(
    "/items/bulk",
    response={200: LinesWritten},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        }
    },
)
def bulk_items(request: HttpRequest) -> Any:
    """Add or replace items, one JSON object a line, at most 10,000 lines.

    Lines are judged one by one: those that break a rule are named in the answer, all others are
    written.
    """
    body = request.body.removeprefix(codecs.BOM_UTF8)  # as spreadsheets write it
    lines = [(number, line) for number, line in enumerate(body.splitlines(), 1) if line.strip()]
    if not 1 <= len(lines) <= MAX_LINES:
        message = f"lines == {len(lines)}, must be in [1, {MAX_LINES}]."
        raise Problem(400, "invalid_value", message, "lines")
    drafts, refused = [], []
    for number, line in lines:
        try:
            drafts.append(ItemDraft(**ItemIn(**_object(line)).dict()))
        except ValidationError as error:
            refused.append({"line": number, "message": say_invalid(error.errors()[0])[1]})
        except BoundsError as error:
            refused.append({"line": number, "message": error.message})
        except (NotJsonError, TypeError):
            refused.append({"line": number, "message": "the line must be a JSON object."})
    written = write_items(project_id=project_of(request).pk, items=drafts)
    return {"written": written, "refused": refused}


@router.post("/items/delete", response={200: ItemsDeleted})
def delete_many(request: HttpRequest, payload: ItemIds) -> Any:
    """Delete items; ids that no item has are passed over."""
    count = remove_items(project_id=project_of(request).pk, item_ids=payload.item_ids)
    return {"deleted": count}


@router.get("/items/{path:item_id}", response={200: ItemWithVector})
def get_item(request: HttpRequest, item_id: str) -> Any:
    """Return one item, with its vector."""
    return get_or_404(Item.objects.filter(project=project_of(request)), "item", item_id=item_id)


@router.patch("/items/{path:item_id}", response={200: ItemOut})
def change_item(request: HttpRequest, item_id: str, payload: ItemPatch) -> Any:
    """Change some fields of an item; what is not named stays.

    Properties are merged (RFC 7396): `{"properties": {"stock": 3, "sale": null}}` sets one, deletes
    another and keeps all others.
    """
    project = project_of(request)
    get_or_404(Item.objects.filter(project=project), "item", item_id=item_id)
    try:
        patch_item(project_id=project.pk, item_id=item_id, changes=payload.dict(exclude_unset=True))
    except BoundsError as error:
        raise Problem(400, error.code, error.message, error.field) from error
    return get_or_404(Item.objects.filter(project=project), "item", item_id=item_id)


@router.delete("/items/{path:item_id}", response={200: ItemsDeleted})
def delete_item(request: HttpRequest, item_id: str) -> Any:
    """Delete an item: from then on no answer holds it."""
    project = project_of(request)
    get_or_404(Item.objects.filter(project=project), "item", item_id=item_id)
    return {"deleted": remove_items(project_id=project.pk, item_ids=[item_id])}


@router.put(
    "/item-images/{path:item_id}",
    response={200: ItemWithImage},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": BINARY} for kind in IMAGE_TYPES},
        }
    },
)
def put_item_image(request: HttpRequest, item_id: str) -> Any:
    """Give an item an image, as a file: at most 10 MB and 40 million pixels.

    Models read it in place of the one at `image_url`. Deleted with the item.
    """
    project = project_of(request)
    get_or_404(Item.objects.filter(project=project), "item", item_id=item_id)
    kind = request.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind not in IMAGE_TYPES:
        message = f"content-type == '{kind[:100]}', must be one of {list(IMAGE_TYPES)}."
        raise Problem(415, "unsupported_media_type", message, "content-type")
    try:
        upload_image(project_id=project.pk, item_id=item_id, content=request.body)
    except ValueError as error:
        raise Problem(422, "image_refused", str(error)) from error
    item = get_or_404(Item.objects.filter(project=project), "item", item_id=item_id)
    hint = None if settings.BAKEOFF.image_encoder else NO_ENCODER
    return ItemWithImage(**ItemOut.from_orm(item).dict(), hint=hint)


@router.delete("/item-images/{path:item_id}", response={200: ItemOut})
def delete_item_image(request: HttpRequest, item_id: str) -> Any:
    """Erase an item's uploaded image."""
    project = project_of(request)
    get_or_404(Item.objects.filter(project=project), "item", item_id=item_id)
    patch_item(project_id=project.pk, item_id=item_id, changes={"image_sha256": ""})
    return get_or_404(Item.objects.filter(project=project), "item", item_id=item_id)


def _object(line: bytes) -> dict[str, Any]:
    value = read_json(line)
    check(value, "item")
    if not isinstance(value, dict):
        raise TypeError
    return value
