"""`bakeoff local-llm`: serve small language models on this machine, by OpenAI's protocol."""

from __future__ import annotations

import click

from bakeoff.commands.terminal import fail
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.home import check_port
from bakeoff.environment import read_environment
from bakeoff.local_llm.engine import EngineSize, MissingExtraError, check_installed
from bakeoff.self_probe import SelfProbing

HOST, PORT = "127.0.0.1", 8077


@click.command(name="local-llm")
@click.option("--host", help=f"Address to listen on; {HOST}, or what BAKEOFF_LOCAL_LLM says.")
@click.option("--port", type=int, help=f"Port to listen on; {PORT}, or what BAKEOFF_LOCAL_LLM says.")
@click.option("--slots", default=4, show_default=True, help="Generations at once.")
@click.option("--waiting", default=64, show_default=True, help="Requests that may wait for a slot.")
@click.option("--seconds", default=120.0, show_default=True, help="Maximum time of an answer.")
@click.option("--context", default=2048, show_default=True, help="Tokens of a prompt with its answer.")
def local_llm(
    host: str | None, port: int | None, slots: int, waiting: int, seconds: float, context: int
) -> None:
    """Serve the models of BAKEOFF_LOCAL_MODELS, and trained versions, to this machine."""
    from logging.config import dictConfig

    import uvicorn

    from bakeoff.local_llm.door import Door, DoorLimits
    from bakeoff.local_llm.shelf import Shelf
    from bakeoff.log_settings import logging_settings

    environment = read_environment()
    configured = environment.local_models
    host, port = host or configured.host or HOST, port or configured.port or PORT
    try:
        check_installed()
        check_port(host, port)
    except (MissingExtraError, StartError) as error:
        raise fail(str(error)) from error
    dictConfig(logging_settings(environment))
    shelf = Shelf(configured.sources, environment.home, EngineSize(slots, context))
    door = Door(shelf, DoorLimits(slots, waiting, seconds))
    uvicorn.run(
        SelfProbing(door, environment.run_folder),
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=10,
    )
