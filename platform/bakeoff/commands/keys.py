"""`bakeoff keys`: make, list and revoke API keys."""

from __future__ import annotations

import click
from rich.table import Table

from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import console, say


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@click.option("--kind", type=click.Choice(["public", "secret"]), default="public", show_default=True)
@click.option("--name", default="made from a shell", show_default=True)
@project_option
def make(kind: str, name: str, slug: str | None) -> None:
    """Make a key; its text is shown once."""
    project = find_project(slug)
    from bakeoff.accounts.models import ApiKey
    from inference.cache import cache_client
    from inference.serving.changes import announce_change

    _, text = ApiKey.make(project, "pk" if kind == "public" else "sk", name=name)
    announce_change(cache_client())
    say(text)


@keys.command(name="list")
@project_option
def list_keys(slug: str | None) -> None:
    """List the project's keys."""
    table = Table("id", "name", "key", "made at", "revoked at")
    for key in find_project(slug).api_keys.order_by("id"):
        made = f"{key.created_at:%Y-%m-%d %H:%M}"
        revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
        table.add_row(str(key.pk), key.name, f"{key.prefix}…", made, revoked)
    console.print(table)


@keys.command()
@click.argument("key_id", type=int)
@project_option
def revoke(key_id: int, slug: str | None) -> None:
    """Make a key useless from now on."""
    key = find_project(slug).api_keys.filter(pk=key_id).first()
    if key is None:
        raise click.UsageError(f"key == {key_id}, not found in this project.")
    from inference.cache import cache_client
    from inference.serving.changes import announce_change

    key.revoke()
    announce_change(cache_client())
    say(f"{key} is revoked.")
