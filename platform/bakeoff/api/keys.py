"""Keys of the project: made, changed and revoked by a key with the scope `admin`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from ninja import Field, Router, Schema
from ninja.responses import Status
from pydantic import AwareDatetime

from bakeoff.accounts.edit_keys import Expiry, KeyDraft, KeyRuleError
from bakeoff.api.access import actor_of, person_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.request_schema import RequestSchema
from bakeoff.serving_keys import change_key, make_key, revoke_key

router = Router(tags=["keys"])


class KeyIn(RequestSchema):
    """A key to be; without scopes it may do all that its kind may."""

    kind: Literal["pk", "sk"]
    name: str = Field(min_length=1, max_length=100)
    scopes: list[str] | None = Field(None, max_length=10)
    allowed_origins: list[str] = Field(default_factory=list, max_length=50)
    expires_at: AwareDatetime | None = Field(None, description="With its offset; without: never.")


class KeyChange(RequestSchema):
    """What changes; what is not named stays."""

    scopes: list[str] | None = Field(None, max_length=10)
    allowed_origins: list[str] | None = Field(None, max_length=50)
    expires_at: AwareDatetime | None = Field(None, description="Null: never.")


class KeyOut(Schema):
    """A key; its text is known only when it is made."""

    id: int
    kind: str
    name: str
    prefix: str
    scopes: list[str]
    allowed_origins: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A key with its text, which is shown this once."""

    key: str


@router.get("/keys", response={200: list[KeyOut]})
def list_keys(request: HttpRequest, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the project's keys, revoked ones too."""
    rows = project_of(request).api_keys.order_by("id")
    return page_of(request, rows, KeyOut, limit=limit, offset=offset)


@router.post("/keys", response={201: NewKeyOut})
def write_key(request: HttpRequest, payload: KeyIn) -> Any:
    """Make a key. Its text is in this answer and nowhere else."""
    draft = KeyDraft(
        payload.kind,
        payload.name,
        payload.scopes,
        payload.allowed_origins,
        owner=person_of(request),
        expires_at=payload.expires_at,
    )
    try:
        key, text = make_key(project=project_of(request), draft=draft, by=actor_of(request))
    except KeyRuleError as error:
        raise Problem(422, "cannot_make", str(error), error.field) from error
    return Status(201, NewKeyOut(**KeyOut.from_orm(key).dict(), key=text))


@router.patch("/keys/{key_id}", response={200: KeyOut})
def patch_key(request: HttpRequest, key_id: int, payload: KeyChange) -> Any:
    """Change what a key may do, the origins of pages that may use it, or when it expires."""
    key = get_or_404(project_of(request).api_keys.all(), "key", pk=key_id)
    try:
        changed = change_key(
            key=key,
            by=actor_of(request),
            scopes=payload.scopes,
            origins=payload.allowed_origins,
            # Null is a value here: never.
            expiry=Expiry(payload.expires_at) if "expires_at" in payload.model_fields_set else None,
        )
    except KeyRuleError as error:
        raise Problem(422, "cannot_change", str(error), error.field) from error
    return changed


@router.post("/keys/{key_id}/revoke", response={200: KeyOut})
def end_key(request: HttpRequest, key_id: int) -> Any:
    """Make a key useless from now on."""
    key = get_or_404(project_of(request).api_keys.all(), "key", pk=key_id)
    return revoke_key(key=key, by=actor_of(request))
