"""`bakeoff up`: start the platform for real use."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from bakeoff.commands.terminal import fail, say
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.supervisor import Platform, stop_on_terminate
from bakeoff.environment import read_environment

if TYPE_CHECKING:
    from bakeoff.environment import Environment


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on.")
@click.option("--web", default=1, show_default=True, help="Web processes.")
def up(host: str, port: int, web: int) -> None:
    """Start the platform: bundled servers unless DATABASE_URL / REDIS_URL are set."""
    stop_on_terminate()
    environment = read_environment()
    platform = Platform(environment, host=host, port=port, web_processes=web, tell=say)
    try:
        platform.start_servers()
        first = _first_run(environment)
        platform.start_processes()
        address = environment.public or platform.url
        say(f"Bakeoff is ready at {address} (home {environment.home}). Ctrl-C stops it.")
        for line in first:
            say(line)
        platform.wait()
        say("Stopping …")
    except StartError as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt:
        say("Stopping …")
    finally:
        platform.stop()


def _first_run(environment: Environment) -> list[str]:
    """Make an administrator, a project and its keys on the first run; return what to show once."""
    stamp = environment.home / "first_run"
    if environment.bundled_postgres and stamp.exists():
        return []
    import django

    django.setup()
    from django.contrib.auth.models import User

    from bakeoff.accounts.keys import PUBLIC, SECRET
    from bakeoff.accounts.models import ApiKey, Membership, Project

    if User.objects.exists():
        return []
    password = secrets.token_urlsafe(12)
    admin = User.objects.create_superuser("admin", password=password)
    project = Project.objects.create(slug="default", name="Default project")
    Membership.objects.create(user=admin, project=project, role=Membership.Role.ADMIN)
    _, public = ApiKey.make(project, PUBLIC, name="first public key")
    _, secret = ApiKey.make(project, SECRET, name="first secret key")
    stamp.touch()
    return [
        "First run. This is shown once:",
        f"  login       admin / {password}",
        f"  project     {project.slug}",
        f"  public key  {public}",
        f"  secret key  {secret}",
    ]
