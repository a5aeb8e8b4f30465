"""`bakeoff docs`: the help pages as a folder of static files."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.commands.terminal import echo
from bakeoff.environment import read_environment


@click.command()
@click.option(
    "--to", "target", type=click.Path(path_type=Path), help="Folder; default: where /help reads."
)
@click.pass_context
def docs(ctx: click.Context, target: Path | None) -> None:
    """Build the help pages that the platform serves at /help.

    They need no server, neither to be built nor to be read: a copy works on any web server.
    """
    import django

    django.setup()
    from bakeoff.help_site.build import BuildError, build_site
    from bakeoff.help_site.reference import generate_reference
    from bakeoff.help_site.sources import site_folder

    target = target or site_folder(read_environment().home)
    # What is there is replaced: nobody's own folder may be.
    is_free = not target.exists() or (target.is_dir() and not any(target.iterdir()))
    if not is_free and not (target / "search").is_dir():
        raise click.UsageError(f"--to == '{target}', must be missing, empty, or older help pages.")
    try:
        build_site(target, generate_reference(ctx.find_root().command))
    except BuildError as error:
        raise click.ClickException(str(error)) from error
    echo(f"Built {target}.")
