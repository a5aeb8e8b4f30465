"""`bakeoff up`: start the platform for real use."""

from __future__ import annotations

import click

from bakeoff.commands.first_run import first_run
from bakeoff.commands.terminal import echo, fail
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.supervisor import Platform, stop_on_terminate
from bakeoff.environment import read_environment


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on.")
@click.option("--web", default=1, show_default=True, help="Web processes.")
def up(host: str, port: int, web: int) -> None:
    """Start the platform: bundled servers unless DATABASE_URL / REDIS_URL are set."""
    stop_on_terminate()
    environment = read_environment()
    platform = Platform(environment, host=host, port=port, web_processes=web, log=echo)
    try:
        platform.start_servers()
        first = first_run(environment)
        platform.start_processes()
        address = environment.public or platform.url
        echo(f"Bakeoff is ready at {address} (home {environment.home}). Ctrl-C stops it.")
        for line in first:
            echo(line)
        platform.wait()
        echo("Stopping …")
    except StartError as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt:
        echo("Stopping …")
    finally:
        platform.stop()
