"""`bakeoff project`: create projects with their keys, list them, and set their quotas."""

from __future__ import annotations

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.project import find_project, set_up_django
from bakeoff.commands.terminal import echo
from bakeoff.commands.usage import quota_line


@click.group()
def project() -> None:
    """Create projects with their keys, list them, and set their quotas."""


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


NO_LIMIT = "none"


@project.command()
@click.argument("slug")
@click.option("--answers", help="Recommendations, labels and decisions a month; none: no limit.")
@click.option("--events", help="Events and feedback a month; none: no limit.")
@click.option("--tokens", help="Tokens of generations a month, in and out; none: no limit.")
def quota(slug: str, **limits: str | None) -> None:
    """Show the monthly quotas of the project SLUG; with an option, set them first."""
    of_project = find_project(slug)
    from django.utils import timezone

    from bakeoff.accounts.set_quota import QuotaRuleError, set_quota
    from bakeoff.accounts.usage import read_usage

    changes = {name: _read_limit(name, text) for name, text in limits.items() if text is not None}
    if changes:
        try:
            set_quota(project=of_project, changes=changes, by=OPERATOR)
        except QuotaRuleError as error:
            raise click.UsageError(str(error)) from error
    for state in read_usage(of_project, timezone.now()).quotas:
        echo(quota_line(state))


def _read_limit(name: str, text: str) -> int | None:
    if text == NO_LIMIT:
        return None
    if not (text.isascii() and text.isdigit()):
        raise click.UsageError(f"{name} == '{text}', must be a whole number, or none.")
    return int(text)
