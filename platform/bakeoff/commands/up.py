"""`bakeoff up`: start the platform for real use, or with a sample shop to look around in."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bakeoff.commands import terminal
from bakeoff.commands.first_run import first_run
from bakeoff.commands.terminal import echo, fail
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.supervisor import Platform, stop_on_terminate
from bakeoff.environment import read_environment

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on.")
@click.option("--web", default=1, show_default=True, help="Web processes.")
@click.option(
    "--sample", is_flag=True, help="With a sample shop: a running experiment and simulated visitors."
)
def up(host: str, port: int, web: int, *, sample: bool) -> None:
    """Start the platform: bundled servers unless DATABASE_URL / REDIS_URL are set."""
    stop_on_terminate()
    environment = read_environment()
    platform = Platform(environment, host=host, port=port, web_processes=web, log=echo)
    try:
        platform.start_servers()
        first = first_run(environment)
        platform.start_processes()
        address = str(environment.public or platform.url)
        echo(f"Bakeoff is ready at {address} (home {environment.home}). Ctrl-C stops it.")
        for line in first:
            echo(line)
        if sample:
            with _sample_shop(platform, address):
                platform.wait()
        else:
            platform.wait()
        echo("Stopping …")
    except StartError as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt:
        echo("Stopping …")
    finally:
        platform.stop()


@contextmanager
def _sample_shop(platform: Platform, address: str) -> Iterator[None]:
    """Open the sample shop, and let visitors come for the length of the block.

    Without a shop the platform is of use still: what went wrong is said, and it runs on.
    """
    import django

    django.setup()
    from bakeoff.replay.following import ReplayError
    from bakeoff.sample.crowd import Crowd
    from bakeoff.sample.shop import open_experiment, open_shop

    echo("Setting up the sample shop, about a minute on its first start:")
    try:
        shop = open_shop(address=address, reporter=terminal)
        slug = shop.project.slug
        echo("Simulated visitors come to the sample shop from now on.")
        echo(f"  overview    {address}/?project={slug}")
        echo(f"  the shop    {address}/demo/?surface={slug}/{shop.surface.key}&key={shop.key}")
        echo("  remove it   bakeoff sample remove")
    except ReplayError as error:
        echo(f"The sample shop is not complete: {error} Start again to go on.")
        yield
        return
    with Crowd(shop, url=platform.url, reporter=terminal):
        try:
            experiment = open_experiment(shop, terminal)
            state = "a verdict takes about two minutes" if experiment.ended_at is None else "decided"
            echo(f"  experiment  {address}/experiments/{slug}/{experiment.key}/ ({state})")
        except ReplayError as error:
            echo(f"The sample shop has no experiment yet: {error} Start again to go on.")
        yield
