"""`bakeoff backup` and `bakeoff restore`: all of a platform in one place, and a platform of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakeoff.commands.terminal import echo, fail
from bakeoff.environment import read_environment

if TYPE_CHECKING:
    from bakeoff.backup.manifest import Manifest

place_argument = click.argument("place")
tools_option = click.option(
    "--tools", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of your own pg_dump, pg_restore and psql; without it, the bundled ones.",
)  # fmt: skip


@click.command()
@place_argument
@tools_option
def backup(place: str, tools: Path | None) -> None:
    """Write all of the platform to PLACE, a new folder or s3://…, while it serves."""
    from bakeoff.backup.manifest import BackupError
    from bakeoff.backup.remote_backup import take_remote_backup
    from bakeoff.backup.take_backup import take_backup

    environment = read_environment()
    try:
        if "://" in place:
            manifest = take_remote_backup(environment, place, tools=tools)
        else:
            manifest = take_backup(environment, Path(place).absolute(), tools=tools)
    except BackupError as error:
        raise fail(str(error)) from error
    echo(f"{place} holds the platform of {manifest.taken_at}: {_contents(manifest)}.")
    is_outside = environment.archive != str(environment.home / "archive")
    if is_outside and manifest.counts["experiments_archivedmonth"]:
        echo(f"Archived months are not in it: keep {environment.archive} as long.")


@click.command()
@place_argument
@tools_option
def restore(place: str, tools: Path | None) -> None:
    """Make a platform of the backup in PLACE, in an empty home or database; then start it."""
    from bakeoff.backup.manifest import BackupError
    from bakeoff.backup.remote_backup import restore_remote_backup
    from bakeoff.backup.restore_backup import restore_backup

    environment = read_environment()
    try:
        if "://" in place:
            manifest = restore_remote_backup(environment, place, tools=tools)
        else:
            manifest = restore_backup(environment, Path(place).absolute(), tools=tools)
    except BackupError as error:
        raise fail(str(error)) from error
    echo(f"Restored the platform of {manifest.taken_at}: {_contents(manifest)}.")
    if environment.bundled_postgres:
        echo("`bakeoff up` starts it.")


def _contents(manifest: Manifest) -> str:
    parts = [
        f"{manifest.counts[f'{table}']:,} {words}"
        for table, words in (
            ("accounts_project", "projects"),
            ("experiments_event", "events"),
            ("experiments_slate", "slates"),
            ("experiments_exposure", "exposures"),
            ("inference_modelversion", "versions"),
        )
    ]
    waiting = [f"{manifest.spilled:,} commits that wait"] if manifest.spilled else []
    return ", ".join([*parts, *waiting])
