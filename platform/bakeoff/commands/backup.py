"""`bakeoff backup` and `bakeoff restore`: all of a platform in a folder, and a platform of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakeoff.commands.terminal import echo, fail
from bakeoff.environment import read_environment

if TYPE_CHECKING:
    from bakeoff.backup.manifest import Manifest

folder_argument = click.argument("folder", type=click.Path(path_type=Path))
tools_option = click.option(
    "--tools", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of your own pg_dump and pg_restore; without it, the bundled ones.",
)  # fmt: skip


@click.command()
@folder_argument
@tools_option
def backup(folder: Path, tools: Path | None) -> None:
    """Write all of the platform into a new FOLDER, while it serves."""
    from bakeoff.backup.manifest import BackupError
    from bakeoff.backup.take_backup import take_backup

    try:
        manifest = take_backup(read_environment(), folder.absolute(), tools=tools)
    except BackupError as error:
        raise fail(str(error)) from error
    echo(f"{folder} holds the platform of {manifest.taken_at}: {_contents(manifest)}.")
    environment = read_environment()
    is_outside = environment.archive != str(environment.home / "archive")
    if is_outside and manifest.counts["experiments_archivedmonth"]:
        echo(f"Archived months are not in it: keep {environment.archive} as long.")


@click.command()
@folder_argument
@tools_option
def restore(folder: Path, tools: Path | None) -> None:
    """Make a platform of the backup in FOLDER, in an empty home or database; then start it."""
    from bakeoff.backup.manifest import BackupError
    from bakeoff.backup.restore_backup import restore_backup

    environment = read_environment()
    try:
        manifest = restore_backup(environment, folder.absolute(), tools=tools)
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
