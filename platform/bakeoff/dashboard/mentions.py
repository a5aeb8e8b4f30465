"""Comments that mention somebody, until they say something there themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from experiments.models import Comment

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AnonymousUser, User
    from django.db.models import QuerySet

    from bakeoff.accounts.models import Project

# An older question was answered elsewhere, or by nobody.
SHOWN_FOR = timedelta(days=14)


def mentions_of(
    person: User | AnonymousUser, projects: QuerySet[Project], now: datetime
) -> QuerySet[Comment]:
    """Return recent comments of others that mention a person and that they have not answered."""
    answers = Comment.objects.filter(
        experiment=OuterRef("experiment"), author=person.pk, pk__gt=OuterRef("pk")
    )
    return (
        Comment.objects.filter(
            ~Exists(answers),
            mentioned=person.pk,
            created_at__gte=now - SHOWN_FOR,
            experiment__project__in=projects,
        )
        .exclude(author=person.pk)
        .select_related("author", "experiment__project")
        .order_by("-pk")
    )
