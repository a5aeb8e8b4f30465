"""Commands answer at once: help imports no library that takes long."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext

import click
import pytest
from click.testing import CliRunner

from bakeoff.cli import COMMANDS, main

HEAVY = "torch scipy transformers numpy celery django pyarrow sklearn duckdb onnxruntime tokenizers"
# Every command's help in one process, as `bakeoff … --help` prints it; then what was imported for it.
WALK = f"""
import sys
import click
from bakeoff.cli import main

main(["--help"], standalone_mode=False)
after_help = set(sys.modules)

def walk(command, path):
    context = click.Context(command, info_name=" ".join(path))
    command.get_help(context)
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        walk(command.get_command(context, name), [*path, name])

walk(main, ["bakeoff"])
heavy = {HEAVY.split()!r}
print("whole list:", [name for name in [*heavy, "rich", "psycopg"] if name in after_help])
print("all help:", [name for name in heavy if name in sys.modules])
"""


def test_help_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", WALK], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("whole list: []\nall help: []\n"), done.stdout[-300:]
    assert "experiments" in done.stdout


# What a shell runs at each key, and an agent at its start, each in a process of its own.
ONE = """
import os, sys
from bakeoff.cli import main
try:
    main(sys.argv[2:], prog_name="bakeoff")
except SystemExit as end:
    status = end.code
loaded = [name for name in sys.argv[1].split() if name in sys.modules]
print("\\nloaded:", status or 0, loaded)
"""
# Where an operator has traces, too: a key pressed is no command, and sends no span.
TRACED = {"BAKEOFF_OTLP_ENDPOINT": "http://127.0.0.1:1"}
COMPLETE = {"_BAKEOFF_COMPLETE": "bash_complete", **TRACED}


@pytest.mark.parametrize(
    ("arguments", "variables", "line"),
    [
        (["--version"], {}, "bakeoff, version"),
        (["--help"], {}, "Usage: bakeoff"),
        (["completion", "bash"], {}, "_BAKEOFF_COMPLETE=bash_complete"),
        ([], {**COMPLETE, "COMP_WORDS": "bakeoff exp", "COMP_CWORD": "1"}, "plain,experiments"),
        ([], {**COMPLETE, "COMP_WORDS": "bakeoff power --", "COMP_CWORD": "2"}, "plain,--baseline"),
        ([], {**COMPLETE, "COMP_WORDS": "bakeoff runs lo", "COMP_CWORD": "2"}, "plain,log"),
        (["mcp", "--help"], TRACED, "--read-only"),
    ],
)
def test_what_a_shell_calls_at_each_key_imports_nothing_heavy(arguments, variables, line):
    names = f"{HEAVY} psycopg redis asyncio pydantic httpx2 mcp opentelemetry"
    done = subprocess.run(
        [sys.executable, "-c", ONE, names, *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, **variables},
    )  # fmt: skip
    assert line in done.stdout
    assert done.stdout.endswith("loaded: 0 []\n"), done.stdout[-300:]


def test_what_runs_until_it_is_stopped_is_no_span(monkeypatch):
    begun = []

    def begin(path, *, service):
        begun.append((path, service))
        return nullcontext()

    for variable in TRACED.items():
        monkeypatch.setenv(*variable)
    monkeypatch.setattr("bakeoff.telemetry.process_spans.process_span", begin)
    for name in ("up", "demo", "replay", "local-llm", "mcp", "power"):
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0
    assert begun == [("bakeoff power", "bakeoff-command")]


MCP = """
import sys
from bakeoff.mcp_server.server import make_server
make_server("http://127.0.0.1:9", "sk_x")
print([name for name in sys.argv[1:] if name in sys.modules])
"""


def test_an_agents_server_needs_the_client_and_the_protocol_alone():
    names = [*HEAVY.split(), "psycopg", "redis", "experiments", "inference"]
    done = subprocess.run(
        [sys.executable, "-c", MCP, *names], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# What a command reads rows with: no page, no worker, no statistics.
SET_UP = """
import sys
from bakeoff.commands.project import set_up_django
set_up_django()
import bakeoff.delivery.edit_subscriptions, bakeoff.serving_keys
print([name for name in sys.argv[1:] if name in sys.modules])
"""


def test_reading_rows_needs_neither_pages_nor_workers_nor_statistics():
    names = [*HEAVY.replace("django ", "").split(), "ninja", "unfold", "celery.worker"]
    done = subprocess.run(
        [sys.executable, "-c", SET_UP, *names], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# What commands that show verdicts, or change what the platform does, read and write with.
SHOW_AND_CHANGE = """
import sys
from bakeoff.commands.project import set_up_django
set_up_django()
import bakeoff.config_file.apply, bakeoff.config_file.export, bakeoff.config_file.read_file
import experiments.actions.change_programme, experiments.actions.change_surface
import experiments.reports.autopilot_json, experiments.reports.read_autopilot, experiments.reports.verdict
import experiments.stats.look_input, experiments.stats.look_result
print([name for name in sys.argv[1:] if name in sys.modules])
"""


def test_showing_a_verdict_and_changing_a_surface_need_neither_scipy_nor_celery():
    names = [*HEAVY.replace("django ", "").replace("numpy ", "").split(), "ninja", "kombu"]
    done = subprocess.run(
        [sys.executable, "-c", SHOW_AND_CHANGE, *names], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_the_list_says_what_each_command_says_of_itself():
    context = click.Context(main)
    for name, (_, words) in COMMANDS.items():
        command = main.get_command(context, name)
        assert command is not None
        assert words == command.get_short_help_str(1000), name
