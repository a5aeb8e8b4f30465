"""`bakeoff mcp`: tools for agents, by the Model Context Protocol."""

from __future__ import annotations

import click

from bakeoff.commands.terminal import fail
from bakeoff.embedded.address import read_address
from bakeoff.environment import read_environment

PORT = 8078


@click.command()
@click.option("--url", help="Of the platform; that of the home's by default.")
@click.option("--key", envvar="BAKEOFF_KEY", required=True, help="Secret key; better in BAKEOFF_KEY.")
@click.option("--read-only", is_flag=True, help="Only tools that change nothing.")
@click.option("--http", is_flag=True, help="Serve streamable HTTP to this machine instead of stdio.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=PORT, show_default=True, help="Of --http."
)
def mcp(url: str | None, key: str, *, read_only: bool, http: bool, port: int) -> None:
    """Serve tools for agents by MCP: list, explain, plan, create drafts, start, stop."""
    try:
        from bakeoff.mcp_server.server import make_server
    except ImportError as error:
        raise fail("mcp is not installed: pip install 'bakeoff[mcp]'.") from error
    server = make_server(url or read_address(read_environment()), key, read_only=read_only)
    if http:
        # Everybody who reaches the port acts with the key: loopback alone.
        server.run("streamable-http", host="127.0.0.1", port=port)
    else:
        server.run()
