"""`bakeoff`: the command line. Each subcommand is imported when it is called."""

from __future__ import annotations

import importlib
import os
from typing import Any

import click
from click.shell_completion import CompletionItem

from bakeoff import __version__
from bakeoff.secret_files import SecretFileError, take_secret_files

# Where each stands, and what it does: the list of all of them imports none. A test compares the words.
COMMANDS = {
    "up": ("up:up", "Start the platform: bundled servers unless DATABASE_URL / REDIS_URL are set."),
    "sample": ("sample:sample", "Work with the sample shop that `bakeoff up --sample` set up."),
    "local-llm": (
        "local_llm:local_llm",
        "Serve the models of BAKEOFF_LOCAL_MODELS, and trained versions, to this machine.",
    ),
    "migrate": (
        "migrate:migrate",
        "Make tables and months, check the artifacts; on the first run an administrator and a project.",
    ),
    "project": (
        "projects:project",
        "Create projects with their keys, list them, and set their quotas.",
    ),
    "users": ("users:users", "Add and invite people, reset their passwords, and list them."),
    "backup": (
        "backup:backup",
        "Write all of the platform to PLACE, a new folder or s3://…, while it serves.",
    ),
    "restore": (
        "backup:restore",
        "Make a platform of the backup in PLACE, in an empty home or database; then start it.",
    ),
    "archive": (
        "archive:archive",
        "Move old months of events and answers to the archive, checked before they are dropped.",
    ),
    "move": (
        "move:move",
        "Move the bundled database to another PostgreSQL, while the platform stands still.",
    ),
    "upgrade": (
        "upgrade:upgrade",
        "Bring the bundled database from an older major of PostgreSQL to the bundled one.",
    ),
    "doctor": (
        "doctor:doctor",
        "Say what is missing or unwell, one line each; exit status 1 if anything is.",
    ),
    "demo": (
        "demo:demo",
        "Show the loop close: real users, a ramp, a verdict, a promotion, a holdback, a breaker.",
    ),
    "replay": ("replay:replay", "Would this have helped me? Replay your own log as live traffic."),
    "analyze": (
        "analyze:analyze",
        "Judge an experiment from FILE: CSV or Parquet, a row per unit or totals; - reads standard input.",  # noqa: E501  as the command says
    ),
    "power": ("power:power", "Plan an experiment: its size and duration, or what it can detect."),
    "simulate": (
        "simulate:simulate",
        "False positives, power and length of a policy, looked at again and again.",
    ),
    "load": ("load:load", "Load items, users or events from CSV, TSV or Parquet."),
    "examples": (
        "examples:examples",
        "List and delete the labelled texts that `bakeoff load labelled` brought.",
    ),
    "export": ("export:export", "Write recommendations, preferences or records to files."),
    "train": (
        "models:train",
        "Retrain SURFACE's model on what was recorded and put it through the gate.",
    ),
    "optimise": (
        "optimise:optimise",
        "Let a strong model propose better prompts for SURFACE from what came of its answers.",
    ),
    "pretrain": (
        "models:pretrain",
        "Adapt the encoder to the project's own texts; SURFACE's behaviour judges it.",
    ),
    "register": (
        "models:register",
        "Put a custom model through SURFACE's gate: an HTTP endpoint, or a Python class.",
    ),
    "import": (
        "imports:import_",
        "Import a model that was made elsewhere; SURFACE's gate judges it.",
    ),
    "compress": (
        "models:compress",
        "Make a smaller VERSION (such as bert@1): a new version, gated against its parent.",
    ),
    "models": ("models:models", "List the versions of SURFACE, newest first."),
    "versions": ("versions:versions", "Versions of surfaces that generate: prompts."),
    "artifacts": (
        "artifacts:artifacts",
        "Check whether this home's artifacts are the database's; exit status 1 if they are not.",
    ),
    "shadow": (
        "models:shadow",
        "Let VERSION answer a share of SURFACE's requests beside what is served, unseen.",
    ),
    "promote": ("models:promote", "Make VERSION (such as two-tower@7) the champion of SURFACE."),
    "rollback": (
        "models:rollback",
        "Go back to VERSION of SURFACE; read back from serving before it says done.",
    ),
    "runs": ("runs:runs", "Look at training runs and their logs, and cancel one."),
    "autopilot": (
        "autopilot:autopilot",
        "Show what the autopilot of SURFACE does; with an option, change it first.",
    ),
    "data-sets": (
        "data_sets:data_sets",
        "Inputs that versions which generate are checked on before they meet users.",
    ),
    "judging": (
        "judging:judging",
        "Show how SURFACE's answers are judged; with an option, change it first.",
    ),
    "experiments": ("experiments:experiments", "List, define, start and stop experiments."),
    "report": (
        "report:report",
        "Show the report of EXPERIMENT: verdict, users, metrics, guardrails, ramp and breaker.",
    ),
    "units": ("units:units", "Export or erase the data of a unit; leave units out of analysis."),
    "feedback": ("feedback:feedback", "Work with what units said."),
    "config": (
        "config:config",
        "Check the settings; export a project's configuration as YAML, and apply such a file.",
    ),
    "surfaces": (
        "surfaces:surfaces",
        "List, archive and delete the project's surfaces; `bakeoff config` makes and changes them.",
    ),
    "metrics": (
        "surfaces:metrics",
        "List, archive and delete the project's metrics; `bakeoff config` makes and changes them.",
    ),
    "keys": ("keys:keys", "Make, list, change and revoke API keys."),
    "usage": ("usage:usage", "Show what the project used, month by month, and its quotas."),
    "audit": ("audit:audit", "Read the audit trail, and write it to a file."),
    "alerts": ("alerts:alerts", "Subscribe to alerts, and see what became of them."),
    "mcp": (
        "mcp:mcp",
        "Serve tools for agents by MCP: list, explain, plan, create drafts, start, stop.",
    ),
    "docs": ("docs:docs", "Build the help pages that the platform serves at /help."),
    "completion": (
        "completion:completion",
        "Print a script that completes commands, options, surfaces and experiments.",
    ),
}

# They run until they are stopped, and their processes trace by themselves.
SERVERS = frozenset({"up", "demo", "replay", "local-llm", "mcp"})


class LazyGroup(click.Group):
    """Imports a subcommand when it is called: `bakeoff --help` needs neither Django nor torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the subcommands in the order of a newcomer's path."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(f"bakeoff.commands.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the subcommand that is called; where an operator wants traces, begin its span."""
        name, command, rest = super().resolve_command(ctx, args)
        _take_secrets(name)
        # A shell that completes a command parses it, too, at each key: nothing is run.
        runs = name not in SERVERS and not ctx.resilient_parsing
        if name and command and runs and os.environ.get("BAKEOFF_OTLP_ENDPOINT"):
            from bakeoff.telemetry.process_spans import process_span  # noqa: PLC0415  for who traces

            path = " ".join(["bakeoff", name, *_path_of(command, ctx, rest)])
            ctx.with_resource(process_span(path, service="bakeoff-command"))
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of subcommands, likewise."""
        names = [
            CompletionItem(name, help=words)
            for name, (_, words) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

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
            from bakeoff.outages import outage_sentence  # noqa: PLC0415  for a command that failed

            sentence = outage_sentence(error) or _file_sentence(error)
            if sentence is None:
                raise
            raise click.ClickException(sentence) from error


def _take_secrets(command: str | None) -> None:
    """Read settings by file before options do, whose defaults some of them are.

    Raises:
        click.ClickException: a file breaks its rule.
    """
    try:
        take_secret_files(os.environ)
    except SecretFileError as error:
        if command != "config":  # `config check` names it among what else is wrong
            raise click.ClickException(str(error)) from error


def _path_of(command: click.Command, ctx: click.Context, arguments: list[str]) -> list[str]:
    """Return the names of the subcommands that are called, outermost first.

    Names of commands alone: anything else that a person typed may be a secret.
    """
    path = []
    for word in arguments:
        if not isinstance(command, click.Group):
            break
        if (inner := command.get_command(ctx, word)) is not None:
            path.append(word)
            command = inner
    return path


def _file_sentence(error: Exception) -> str | None:
    if not isinstance(error, OSError) or error.errno is None:
        return None
    return f"{error.strerror}: '{error.filename}'." if error.filename else f"{error.strerror}."


@click.group(cls=LazyGroup)
@click.version_option(__version__)
def main() -> None:
    """Models compete on live traffic; the better one is promoted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
