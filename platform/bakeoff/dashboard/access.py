"""What a person may see: the projects that they are a member of; a superuser sees all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404

from bakeoff.accounts.models import Project
from experiments.models import Experiment

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.db.models import QuerySet


def projects_of(person: User | AnonymousUser) -> QuerySet[Project]:
    """Return the projects of a person."""
    if person.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(memberships__user_id=person.pk or 0)


def experiment_for(person: User | AnonymousUser, project: str, key: str) -> Experiment:
    """Return an experiment of one of the person's projects.

    Raises:
        Http404: there is none, or it is another's: the same answer.
    """
    found = (
        Experiment.objects.filter(project__in=projects_of(person), project__slug=project, key=key)
        .select_related("project", "surface")
        .first()
    )
    if found is None:
        raise Http404
    return found
