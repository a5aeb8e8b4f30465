"""`bakeoff keys`: make, list, change and revoke API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.accounts.keys import SCOPES
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import echo
from bakeoff.commands.times import DayOrTime

if TYPE_CHECKING:
    from datetime import datetime

    from bakeoff.accounts.models import ApiKey

scope_option = click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True,
    help="Scope; repeat for several. Default: all scopes of its kind.",
)  # fmt: skip
origin_option = click.option(
    "--origin", "origins", multiple=True,
    help="Origin of pages that may use it, such as https://shop.example; repeat for several.",
)  # fmt: skip

expires_option = click.option(
    "--expires", type=DayOrTime(),
    help="From then on it is refused: a time in UTC, or a day, at whose end it is: 2027-01-31.",
)  # fmt: skip


@click.group()
def keys() -> None:
    """Make, list, change and revoke API keys."""


@keys.command()
@click.option("--kind", type=click.Choice(["public", "secret"]), default="public", show_default=True)
@click.option("--name", default="made from a shell", show_default=True)
@scope_option
@origin_option
@expires_option
@project_option
def make(
    kind: str,
    name: str,
    scopes: tuple[str, ...],
    origins: tuple[str, ...],
    expires: datetime | None,
    slug: str | None,
) -> None:
    """Make a key; its text is shown once."""
    project = find_project(slug)
    from bakeoff.accounts.edit_keys import KeyDraft, KeyRuleError
    from bakeoff.serving_keys import make_key

    draft = KeyDraft(
        "pk" if kind == "public" else "sk",
        name,
        scopes or None,
        origins,
        expires_at=expires,
    )
    try:
        _, text = make_key(project=project, draft=draft, by=OPERATOR)
    except KeyRuleError as error:
        raise click.UsageError(str(error)) from error
    echo(text)


@keys.command(name="list")
@json_option
@project_option
def list_keys(*, as_json: bool, slug: str | None) -> None:
    """List the project's keys."""
    rows = [
        {
            "id": key.pk,
            "name": key.name,
            "key": f"{key.prefix}…",
            "scopes": key.scopes,
            "origins": key.allowed_origins,
            "created": key.created_at,
            "expires": key.expires_at,
            "last_used": key.last_used_at,
            "revoked": key.revoked_at,
        }
        for key in find_project(slug).api_keys.order_by("id")
    ]
    hidden = () if any(row["expires"] for row in rows) else ("expires",)
    show_rows(rows, as_json=as_json, hidden=hidden, empty="No keys yet: `bakeoff keys make` makes one.")


@keys.command()
@click.argument("key_id", type=int)
@scope_option
@origin_option
@click.option("--any-origin", is_flag=True, help="Any page may use it.")
@expires_option
@click.option("--never-expires", is_flag=True, help="It has no end.")
@project_option
def change(
    key_id: int,
    scopes: tuple[str, ...],
    origins: tuple[str, ...],
    expires: datetime | None,
    *,
    any_origin: bool,
    never_expires: bool,
    slug: str | None,
) -> None:
    """Change what a key may do, the pages that may use it, or when it expires."""
    if not (scopes or origins or any_origin or expires or never_expires):
        raise click.UsageError("give --scope, --origin, --any-origin, --expires or --never-expires.")
    if origins and any_origin:
        raise click.UsageError("give one of --origin and --any-origin.")
    if expires and never_expires:
        raise click.UsageError("give one of --expires and --never-expires.")
    key = _find(key_id, slug)
    from bakeoff.accounts.edit_keys import Expiry, KeyRuleError
    from bakeoff.serving_keys import change_key

    try:
        changed = change_key(
            key=key,
            by=OPERATOR,
            scopes=scopes or None,
            origins=origins if origins or any_origin else None,
            expiry=Expiry(expires) if expires or never_expires else None,
        )
    except KeyRuleError as error:
        raise click.UsageError(str(error)) from error
    where = ", ".join(changed.allowed_origins) or "every page"
    end = f", until {changed.expires_at:%Y-%m-%d %H:%M} UTC" if changed.expires_at else ""
    echo(f"{changed} may {', '.join(changed.scopes)}, from {where}{end}.")


@keys.command()
@click.argument("key_id", type=int)
@project_option
def revoke(key_id: int, slug: str | None) -> None:
    """Make a key useless from now on."""
    key = _find(key_id, slug)
    from bakeoff.serving_keys import revoke_key

    revoke_key(key=key, by=OPERATOR)
    echo(f"{key} revoked.")


def _find(key_id: int, slug: str | None) -> ApiKey:
    key = find_project(slug).api_keys.filter(pk=key_id).first()
    if key is None:
        raise click.UsageError(f"key == {key_id}, not found in this project.")
    return key
