"""`bakeoff`: the command line. Each subcommand is imported when it is called."""

from __future__ import annotations

import importlib
import os
from typing import Any

import click

from bakeoff import __version__
from bakeoff.outages import outage_sentence

COMMANDS = {
    "up": "up:up",
    "local-llm": "local_llm:local_llm",
    "migrate": "migrate:migrate",
    "doctor": "doctor:doctor",
    "demo": "demo:demo",
    "replay": "replay:replay",
    "analyze": "analyze:analyze",
    "power": "power:power",
    "simulate": "simulate:simulate",
    "load": "load:load",
    "export": "export:export",
    "train": "models:train",
    "pretrain": "models:pretrain",
    "register": "models:register",
    "compress": "models:compress",
    "models": "models:models",
    "versions": "versions:versions",
    "artifacts": "artifacts:artifacts",
    "shadow": "models:shadow",
    "promote": "models:promote",
    "rollback": "models:rollback",
    "runs": "runs:runs",
    "autopilot": "autopilot:autopilot",
    "data-sets": "data_sets:data_sets",
    "judging": "judging:judging",
    "experiments": "experiments:experiments",
    "units": "units:units",
    "feedback": "feedback:feedback",
    "config": "config:config",
    "keys": "keys:keys",
    "alerts": "alerts:alerts",
}


class LazyGroup(click.Group):
    """Imports a subcommand when it is called: `bakeoff --help` needs neither Django nor torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the subcommands in the order of a newcomer's path."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(f"bakeoff.commands.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a server that is away is one sentence and exit status 1.

        Here and nowhere else: a command that meets an outage cannot forget to say so. The same goes
        for a file that cannot be read or written, and for an argument that is no text.
        """
        try:
            return super().invoke(ctx)
        except UnicodeEncodeError as error:  # bytes of the shell that are no UTF-8 are lone surrogates
            raise click.UsageError(f"{error.object!a:.100} is not well-formed text.") from error
        except Exception as error:
            sentence = outage_sentence(error) or _file_sentence(error)
            if sentence is None:
                raise
            raise click.ClickException(sentence) from error


def _file_sentence(error: Exception) -> str | None:
    if not isinstance(error, OSError) or error.errno is None:
        return None
    return f"{error.strerror}: '{error.filename}'." if error.filename else f"{error.strerror}."


@click.group(cls=LazyGroup)
@click.version_option(__version__)
def main() -> None:
    """Models compete on live traffic; the better one is promoted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
