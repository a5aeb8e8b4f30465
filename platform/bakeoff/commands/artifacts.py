"""`bakeoff artifacts`: whether this home's artifacts are the database's, and which are missing."""

from __future__ import annotations

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.terminal import echo, fail
from bakeoff.environment import read_environment


@click.command()
@click.option("--adopt", is_flag=True, help="Make this home's artifacts the database's store.")
def artifacts(adopt: bool) -> None:  # noqa: FBT001  click passes a flag so
    """Check whether this home's artifacts are the database's; exit status 1 if they are not."""
    import django

    django.setup()
    from inference.actions.adopt_store import adopt_store
    from inference.models import ModelVersion
    from inference.serving.remote_store import RemoteStoreError, remote_of
    from inference.serving.store import ForeignStoreError, check_store

    environment = read_environment()
    folder = environment.artifacts
    try:
        if adopt:
            adopt_store(artifacts=folder, by=OPERATOR)
        check_store(environment.database_url, folder)
    except ForeignStoreError as error:
        raise fail(str(error)) from error
    digests = ModelVersion.objects.exclude(artifact_sha256="").values_list("artifact_sha256", flat=True)
    named = set(digests)
    missing = {digest for digest in named if not (folder / digest).is_dir()}
    if (remote := remote_of(folder)) is not None:
        try:
            missing -= set(remote.digests())
        except RemoteStoreError as error:
            raise fail(str(error)) from error
    place = remote.url if remote is not None else folder
    echo(f"{place} holds {len(named) - len(missing)} of {len(named)} artifacts that versions use.")
    for digest in sorted(missing):
        echo(f"missing: {digest}")
