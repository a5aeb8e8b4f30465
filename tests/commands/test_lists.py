"""Lists for programs, and what a shell completes."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime

import click
import orjson
import pytest
from django.contrib.auth.models import User

from bakeoff.accounts.invite import invite
from bakeoff.accounts.models import ApiKey
from bakeoff.cli import main
from experiments.actions.create_survey import create_survey
from experiments.models import DataExport, DataSet
from experiments.models.themes import Theme, ThemeReading
from experiments.survey_question import SurveyQuestion
from inference.actions.load_examples import load_examples
from inference.models import Surface, TrainingRun
from tests.support import alerts, builders
from tests.support.commands import run
from tests.support.learning import make_examples

ARGUMENTS = {"surface": "home-feed"}


def lists(group=main, path=()):
    """Every command that says of itself that it lists."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from lists(command, (*path, name))
        elif command.get_short_help_str(200).startswith("List "):
            yield (*path, name), command


def call(path, command):
    words = [ARGUMENTS[one.name] for one in command.params if isinstance(one, click.Argument)]
    return [*path, *words]


@pytest.fixture
def full(shop):
    """A shop with a row for each list."""
    shop.run_experiment()
    DataSet.objects.create(
        project=shop.project, surface=shop.surface, key="typical", created_by="a test"
    )
    TrainingRun.objects.create(surface=shop.surface, algorithm="popularity", trigger="a test")
    ApiKey.make(shop.project, "pk", name="old")
    alerts.dead_delivery(shop.project)
    User.objects.create_user(f"ann-{shop.project.slug}")
    invite(project=shop.project, role="viewer", by="a test")
    DataExport.objects.create(
        project=shop.project, folder=f"/exports/{shop.project.slug}", created_by="a test"
    )
    question = SurveyQuestion(key="liked", kind="rating", question="How do you [/b] like these?")
    create_survey(surface=shop.surface, question=question, by="a test")
    load_examples(surface_id=shop.surface.pk, examples=make_examples())
    now = builders.now()
    ThemeReading.objects.create(surface=shop.surface, texts=40, themed=9, read_at=now)
    Theme.objects.create(
        project=shop.project, surface=shop.surface, words=["delivery", "late"], space="test",
        centre=b"", texts=9, units=9, growth={"grows": False}, first_text_at=now,
    )  # fmt: skip
    return shop


def as_read(value: object) -> str:
    """A value as a table shows it: of a time, the minute."""
    try:
        return f"{datetime.fromisoformat(str(value)):%Y-%m-%d %H:%M}"
    except ValueError:
        return str(value)


def test_every_list_is_json_too(full):
    empty = builders.make_project()
    Surface.objects.create(project=empty, key="home-feed")
    seen = set()
    for path, command in lists():
        seen.add(" ".join(path))
        words = call(path, command)
        of_project = any(one.name == "slug" for one in command.params)
        named = ["--project", full.project.slug] if of_project else []
        rows = orjson.loads(run(*words, "--json", *named))
        assert rows, path
        assert all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows), path
        # A person reads the same: its first field is a column that no width takes away.
        assert as_read(next(iter(rows[0].values()))) in run(*words, *named), path
        if of_project and path[0] != "surfaces":
            assert orjson.loads(run(*words, "--json", "--project", empty.slug)) == []
    assert seen == {
        "models", "data-sets list", "runs list", "experiments list", "keys list", "alerts list", "alerts deliveries",
        "surfaces list", "metrics list", "project list", "users list", "users invitations", "export list",
        "audit list", "feedback surveys", "feedback themes", "examples list",
    }  # fmt: skip


def completions(console, *words: str, **variables: str) -> list[str]:
    """What bash is offered after these words; the last one is being typed."""
    variables |= {
        "_BAKEOFF_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["bakeoff", *words]),
        "COMP_CWORD": str(len(words)),
    }
    return [line.partition(",")[2] for line in console(**variables).stdout.splitlines() if line]


def test_a_shell_completes_commands_options_and_names(console, full):
    assert completions(console, "exp") == ["export", "experiments"]
    assert "--project" in completions(console, "models", "--p")
    os_project = ["--project", full.project.slug]
    assert completions(console, "models", *os_project, "ho") == ["home-feed"]
    key = full.project.experiments.get().key
    assert completions(console, "experiments", "stop", *os_project, key[:3]) == [key]
    assert completions(console, "completion", "z") == ["zsh"]
    away = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    assert completions(console, "models", "ho", **away) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_names_the_program(shell):
    script = run("completion", shell)
    assert f"_BAKEOFF_COMPLETE={shell}_complete" in script
    if shell == "bash":
        done = subprocess.run(
            ["bash", "-n"],
            check=False,
            input=script,
            text=True,
            capture_output=True,
            env={"PATH": os.environ["PATH"]},
        )
        assert done.returncode == 0, done.stderr
