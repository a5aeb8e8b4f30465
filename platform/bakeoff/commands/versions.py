"""`bakeoff versions`: versions of surfaces that generate, from a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import yaml

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.project import find_project, find_surface, find_version, project_option
from bakeoff.commands.terminal import echo, fail

MAX_BYTES = 2**20


@click.group()
def versions() -> None:
    """Versions of surfaces that generate: prompts."""


@versions.command()
@click.argument("surface")
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
@click.argument("surface")
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


def _read(file: Path) -> Any:
    if file.stat().st_size > MAX_BYTES:
        raise click.UsageError(f"bytes of '{file}' > {MAX_BYTES}, must be at most that.")
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise click.UsageError(f"'{file}' is neither YAML nor JSON: {str(error)[:200]}") from error
