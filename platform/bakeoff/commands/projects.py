"""`bakeoff project`: create projects with their keys, and list them."""

from __future__ import annotations

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import set_up_django
from bakeoff.commands.terminal import echo


@click.group()
def project() -> None:
    """Create projects with their keys, and list them."""


@project.command()
@click.argument("slug")
@click.option("--name", default="", help="Name on pages; without it, SLUG.")
@click.option("--admin", "username", default="", help="Somebody who becomes its administrator.")
def create(slug: str, name: str, username: str) -> None:
    """Create the project SLUG; its keys are shown once."""
    set_up_django()
    from django.contrib.auth.models import User

    from bakeoff.accounts.create_project_with_keys import ProjectRuleError, create_project_with_keys

    admin = User.objects.filter(username=username).first() if username else None
    if username and admin is None:
        raise click.UsageError(f"admin == '{username}', nobody has this name.")
    try:
        new = create_project_with_keys(slug=slug, name=name or slug, by=OPERATOR, admin=admin)
    except ProjectRuleError as error:
        raise click.UsageError(str(error)) from error
    echo(f"Project {new.project} was created. This is shown once:")
    echo(f"  public key  {new.public_key}")
    echo(f"  secret key  {new.secret_key}")


@project.command(name="list")
@json_option
def list_projects(*, as_json: bool) -> None:
    """List all projects."""
    set_up_django()
    from django.db.models import Count

    from bakeoff.accounts.models import Project

    rows = [
        {
            "project": one.slug,
            "name": one.name,
            "timezone": one.timezone,
            "retention_days": one.retention_days,
            "members": one.members,
            "created": one.created_at,
        }
        for one in Project.objects.annotate(members=Count("memberships")).order_by("slug")
    ]
    show_rows(rows, as_json=as_json, empty="No projects yet: `bakeoff project create` creates one.")
