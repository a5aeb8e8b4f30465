"""Fields of a request as those of a draft: names become rows of the project."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from bakeoff.accounts.models import Project
from bakeoff.api.access import project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from experiments.actions.read_draft import UnknownNameError, read_draft
from experiments.models import Experiment
from inference.models import Surface


def draft_fields(surface: Surface, sent: dict[str, Any]) -> dict[str, Any]:
    """Return fields of a request as those of a draft: names become rows.

    Raises:
        Problem: a version, metric or layer that the project does not have.
    """
    try:
        return read_draft(surface, sent)
    except UnknownNameError as error:
        raise Problem(422, error.code, str(error), error.field) from error


def find_surface(project: Project, key: str) -> Surface:
    """Return a surface of the project, or answer 404."""
    return get_or_404(Surface.objects.filter(project=project), "surface", key=key)


def find_experiment(request: HttpRequest, key: str) -> Experiment:
    """Return an experiment of the key's project, or answer 404."""
    rows = Experiment.objects.filter(project=project_of(request)).select_related("surface", "layer")
    return get_or_404(rows, "experiment", key=key)
