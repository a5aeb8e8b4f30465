"""What the registry's commands have in common: Django, a project, a surface."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Collection

    from bakeoff.accounts.models import Project
    from experiments.models import Experiment, Metric
    from inference.models import ModelVersion, Surface

project_option = click.option(
    "--project", "slug", help="Project; not needed while there is only one.", envvar="BAKEOFF_PROJECT"
)


def set_up_django() -> None:
    """Set Django up with what commands need; where it is set up already, nothing changes."""
    import django
    from django.conf import settings

    if settings.configured:
        django.setup()
        return
    whole = os.environ.get("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
    os.environ["DJANGO_SETTINGS_MODULE"] = "bakeoff.command_settings"
    try:
        django.setup()
    finally:  # processes that this one starts serve pages
        os.environ["DJANGO_SETTINGS_MODULE"] = whole


def must_be_one_of(names: Collection[object], *, none: str) -> str:
    """Return the end of a refusal: the names there are or, where there are none, what to do."""
    return f"must be one of {list(names)}." if names else f"there is none yet: {none}."


def find_project(slug: str | None) -> Project:
    """Return the project that was named, or the only one.

    Raises:
        click.UsageError: there is none, several, or no such one.
    """
    set_up_django()
    from bakeoff.accounts.models import Project

    projects = {project.slug: project for project in Project.objects.order_by("slug")}
    if slug is not None:
        if slug not in projects:
            raise click.UsageError(f"project == '{slug}', must be one of {sorted(projects)}.")
        return projects[slug]
    if len(projects) != 1:
        raise click.UsageError(
            f"projects == {len(projects)}: name one of {sorted(projects)} with --project."
        )
    return next(iter(projects.values()))


def find_surface(project: Project, key: str) -> Surface:
    """Return a surface of a project.

    Raises:
        click.UsageError: there is no such one.
    """
    surface = project.surfaces.filter(key=key).first()
    if surface is None:
        known = sorted(project.surfaces.values_list("key", flat=True))
        rule = must_be_one_of(known, none="create one on the page Surfaces or by PUT /v1/surfaces")
        raise click.UsageError(f"surface == '{key}', {rule}")
    return surface


def find_metric(project: Project, key: str) -> Metric:
    """Return a metric of a project.

    Raises:
        click.UsageError: there is no such one.
    """
    metric = project.metrics.filter(key=key).first()
    if metric is None:
        known = sorted(project.metrics.unarchived().values_list("key", flat=True))
        rule = must_be_one_of(known, none="create one on the page Metrics or by POST /v1/metrics")
        raise click.UsageError(f"metric == '{key}', {rule}")
    return metric


def find_experiment(project: Project, key: str) -> Experiment:
    """Return an experiment of a project.

    Raises:
        click.UsageError: there is no such one.
    """
    experiment = project.experiments.filter(key=key).first()
    if experiment is None:
        raise click.UsageError(f"experiment == '{key}', not found in project '{project}'.")
    return experiment


def find_version(surface: Surface, label: str) -> ModelVersion:
    """Return a version by its label, such as `two-tower@7`.

    Raises:
        click.UsageError: there is no such one.
    """
    versions = [version for version in surface.versions.all() if version.label == label]
    if not versions:
        known = [version.label for version in surface.versions.all()[:10]]
        rule = must_be_one_of(known, none=f"`bakeoff train {surface.key}` makes one")
        raise click.UsageError(f"version == '{label}', {rule}")
    return versions[0]
