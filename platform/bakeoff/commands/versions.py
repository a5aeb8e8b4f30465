"""`bakeoff versions`: versions of surfaces that generate, from a shell."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import yaml

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import (
    find_project,
    find_surface,
    find_version,
    must_be_one_of,
    project_option,
)
from bakeoff.commands.terminal import echo, fail
from bakeoff.commands.text_files import text_of

MAX_BYTES = 2**20
POLL_SECONDS = 1.0


@click.group()
def versions() -> None:
    """Versions of surfaces that generate: prompts."""


@versions.command()
@surface_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="prompt", show_default=True, help="The version's name.")
@project_option
def add(surface: str, file: Path, name: str, slug: str | None) -> None:
    """Add the prompt in FILE (YAML or JSON) to SURFACE; its first version is the champion."""
    data = _read(file)
    target = find_surface(find_project(slug), surface)
    from experiments.actions.add_prompt import CannotAddPromptError, add_prompt

    try:
        version = add_prompt(surface=target, data=data, algorithm=name, by=OPERATOR)
    except CannotAddPromptError as error:
        raise fail(str(error)) from error
    echo(f"{version.label} is {version.alias} of '{surface}'.")


@versions.command()
@surface_argument
@click.argument("version")
@project_option
def show(surface: str, version: str, slug: str | None) -> None:
    """Print what VERSION (such as prompt@2) of SURFACE asks, as JSON."""
    target = find_version(find_surface(find_project(slug), surface), version)
    from django.conf import settings

    from inference.actions.read_prompt import NoPromptError, read_prompt

    try:
        prompt = read_prompt(settings.BAKEOFF.artifacts, target)
    except NoPromptError as error:
        raise fail(str(error)) from error
    click.echo(json.dumps(prompt.as_json(), indent=2, ensure_ascii=False))


@versions.command()
@surface_argument
@click.argument("before")
@click.argument("after")
@project_option
def diff(surface: str, before: str, after: str, slug: str | None) -> None:
    """Print two versions of SURFACE as text, and what differs line by line."""
    target = find_surface(find_project(slug), surface)
    chosen = [find_version(target, label) for label in (before, after)]
    from django.conf import settings

    from experiments.reports.prompt_diff import diff_prompts
    from inference.actions.read_prompt import NoPromptError, read_prompt

    try:
        lines = diff_prompts(*(read_prompt(settings.BAKEOFF.artifacts, one) for one in chosen))
    except NoPromptError as error:
        raise fail(str(error)) from error
    marks = {"same": " ", "removed": "-", "added": "+"}
    if all(line.kind == "same" for line in lines):
        echo(f"{before} and {after} ask the same.")
        return
    for line in lines:
        click.echo(f"{marks[line.kind]} {line.text}")


@versions.command()
@surface_argument
@click.argument("version")
@click.option("--data-set", "key", help="Its key; the surface's gate by default.")
@project_option
def check(surface: str, version: str, key: str | None, slug: str | None) -> None:
    """Check VERSION of SURFACE on a data set, beside the champion, and show its gate."""
    target = find_version(find_surface(find_project(slug), surface), version)
    from bakeoff.commands.models import show_gate
    from experiments.actions.check_version import CannotCheckError, queue_check, run_check
    from experiments.models import DataSet

    sets = DataSet.objects.filter(surface=target.surface)
    chosen = sets.filter(key=key).first() if key is not None else sets.filter(is_gate=True).first()
    if chosen is None:
        known = sorted(sets.values_list("key", flat=True))
        rule = must_be_one_of(known, none=f"`bakeoff data-sets load {surface}` loads one")
        raise click.UsageError(f"data set == '{key or ''}', {rule}")
    try:
        done = run_check(check=queue_check(version=target, data_set=chosen, by=OPERATOR))
    except CannotCheckError as error:
        raise fail(str(error)) from error
    while done.state == done.State.QUEUED:  # a worker was first
        time.sleep(POLL_SECONDS)
        done.refresh_from_db()
    if done.result:
        target.refresh_from_db()
        show_gate(target)
    reason = f": {done.message.removesuffix('.')}" if done.message else ""
    echo(f"{target.label}: {done.state}{reason}.")
    if done.state != done.State.PASSED:
        raise SystemExit(1)


def _read(file: Path) -> Any:
    if file.stat().st_size > MAX_BYTES:
        raise click.UsageError(f"bytes of '{file}' > {MAX_BYTES}, must be at most that.")
    try:
        return yaml.safe_load(text_of(file))
    except (yaml.YAMLError, RecursionError) as error:
        raise click.UsageError(f"'{file}' is neither YAML nor JSON: {str(error)[:200]}") from error
