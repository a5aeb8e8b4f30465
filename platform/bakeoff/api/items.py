"""Items of the catalogue."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from bakeoff.api.access import project_of
from bakeoff.api.errors import REFUSALS
from bakeoff.api.field_types import Properties
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.load_catalogue import write_items
from experiments.bounds import MAX_ID, MAX_TEXT, MAX_TITLE
from inference.actions.load_items import ItemDraft

router = Router(tags=["surfaces"])
MAX_ITEMS = 1000


class ItemIn(RequestSchema):
    """An item to be, or what is to change."""

    item_id: str = Field(min_length=1, max_length=MAX_ID)
    title: str = Field("", max_length=MAX_TITLE)
    text: str = Field("", max_length=MAX_TEXT)
    properties: Properties = Field(default_factory=dict)
    vector: list[Annotated[float, Field(ge=-1e6, le=1e6)]] | None = Field(
        None, min_length=1, max_length=4096, description="A vector of your own: of an image, say."
    )


class ItemsIn(RequestSchema):
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
