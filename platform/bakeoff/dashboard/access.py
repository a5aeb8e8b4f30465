"""What a person may see and do: by their role in each project; a superuser may everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from bakeoff.accounts.models import RANKS, Membership, Project
from experiments.models import Experiment

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.db.models import QuerySet

VIEWER, ANALYST, OPERATOR, ADMIN = (str(role) for role in Membership.Role.values)


def projects_of(person: User | AnonymousUser) -> QuerySet[Project]:
    """Return the projects of a person."""
    if person.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(memberships__user_id=person.pk or 0)


def may(person: User | AnonymousUser, project: Project, needed: str) -> bool:
    """Whether a person's role in a project reaches as far as the needed one."""
    if person.is_superuser:
        return True
    role = Membership.objects.filter(user_id=person.pk or 0, project=project).values_list(
        "role", flat=True
    )
    return any(RANKS[one] >= RANKS[needed] for one in role)


def project_for(request: HttpRequest, slug: str, needed: str = VIEWER) -> Project:
    """Return one of the person's projects.

    Raises:
        Http404: there is none, or it is another's: the same answer.
        PermissionDenied: the role does not reach as far.
    """
    project = projects_of(request.user).filter(slug=slug).first()
    if project is None:
        raise Http404
    require(request, project, needed)
    return project


def require(request: HttpRequest, project: Project, needed: str) -> None:
    """Refuse a person whose role does not reach as far.

    Raises:
        PermissionDenied: with the role that it takes.
    """
    if not may(request.user, project, needed):
        raise PermissionDenied(
            _("This needs the role '%(role)s' or higher in project '%(project)s'.")
            % {"role": needed, "project": project}
        )


def experiment_for(request: HttpRequest, slug: str, key: str, needed: str = VIEWER) -> Experiment:
    """Return an experiment of one of the person's projects.

    Raises:
        Http404: there is none, or it is another's: the same answer.
        PermissionDenied: the role does not reach as far.
    """
    experiment = (
        Experiment.objects.filter(project__in=projects_of(request.user), project__slug=slug, key=key)
        .select_related("project", "surface", "layer")
        .first()
    )
    if experiment is None:
        raise Http404
    require(request, experiment.project, needed)
    return experiment
