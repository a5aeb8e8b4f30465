"""Which ids are one person's, and which rows: what erasure and export must find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.db import connection
from django.db.models import Q

from experiments.models import (
    DataSetRow,
    Event,
    ExcludedUnit,
    Exposure,
    Feedback,
    Judgement,
    LabelTask,
    Link,
    QuarantinedExposure,
    SampledAnswer,
    Slate,
    ThemedText,
    Unit,
)
from inference.models import ShadowAnswer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from django.db.models import Model, QuerySet

_TABLES: dict[str, type[Model]] = {
    "events": Event,
    "slates": Slate,
    "exposures": Exposure,
    "quarantined": QuarantinedExposure,
    "feedback": Feedback,
    # After it: who stores a vector holds the text against deletion, and both are there afterwards.
    "themed_texts": ThemedText,
    "label_tasks": LabelTask,
    "judgements": Judgement,
    "sampled_answers": SampledAnswer,
    "data_set_rows": DataSetRow,
    "excluded": ExcludedUnit,
    "attributes": Unit,
}


def ids_of_person(project_id: int, unit_id: str) -> list[str]:
    """Return an id with all that were linked with it, directly or not, in alphabetical order.

    Another person who used the same device is not among them.
    """
    ids, before = {unit_id}, set[str]()
    while ids != before:
        before = set(ids)
        for link in _links_of(project_id, ids):
            if link.alias is not None:
                ids |= {link.alias, link.unit_id}
            elif not _is_shared(link):
                ids |= {link.anonymous_id, link.user_id, link.unit_id, link.other_unit_id}
    return sorted(ids - {""})


def _links_of(project_id: int, ids: Iterable[str]) -> Iterable[Link]:
    names = ("anonymous_id", "user_id", "alias", "unit_id", "other_unit_id")
    any_of = Q()
    for name in names:
        any_of |= Q(**{f"{name}__in": ids})
    return Link.objects.filter(any_of, project_id=project_id)


def _is_shared(link: Link) -> bool:
    """Whether somebody else had logged in on the device before."""
    earlier = Link.objects.filter(project_id=link.project_id, anonymous_id=link.anonymous_id)
    return earlier.filter(id__lt=link.id).exclude(user_id=link.user_id).exists()


def rows_of_person(project_id: int, ids: Sequence[str]) -> dict[str, QuerySet[Any]]:
    """Return the rows that name one of these ids, by what they are."""
    rows: dict[str, QuerySet[Any]] = {
        name: cast("Any", model).objects.filter(project_id=project_id, unit_id__in=ids)
        for name, model in _TABLES.items()
    }
    # The last: what a shadow answered meanwhile is there once its slate could be deleted (lock_slates).
    of_shadows = ShadowAnswer.objects.filter(version__surface__project_id=project_id)
    return rows | {"shadow_answers": of_shadows.filter(unit_id__in=ids)}


def links_of_person(project_id: int, ids: Sequence[str]) -> QuerySet[Link]:
    """Return the pairs of a person; a pair that names them with another person goes too."""
    mine = Link.objects.filter(project_id=project_id)
    return mine.filter(anonymous_id__in=ids) | mine.filter(user_id__in=ids)


def lock_slates(ids: Collection[str]) -> set[str]:
    """Hold slates against deletion until the transaction ends; return the ids that are there."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT recommendation_id::text FROM experiments_slate
            WHERE recommendation_id = ANY(%s::uuid[]) ORDER BY 1 FOR KEY SHARE""",
            [list(ids)],
        )
        return {row[0] for row in cursor.fetchall()}
