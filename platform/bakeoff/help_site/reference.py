"""The pages of the reference that the code writes: commands, API, events, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.help_site.reference_api import api_page
from bakeoff.help_site.reference_cli import cli_page
from bakeoff.help_site.reference_errors import errors_page
from bakeoff.help_site.reference_events import events_page

if TYPE_CHECKING:
    import click


def generate_reference(commands: click.Command) -> dict[str, str]:
    """Return the text of each page by its path below docs.

    Args:
        commands: the whole command line.
    """
    return {
        "reference/cli.md": cli_page(commands),
        "reference/api.md": api_page(),
        "reference/events.md": events_page(),
        "reference/errors.md": errors_page(),
    }
