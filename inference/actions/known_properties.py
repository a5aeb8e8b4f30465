"""Which properties the items of a project have, or have had: a filter may outlive its items.

Guarantees: an item's properties are known from the transaction on that writes or deletes it. Those of
items that a version before this one wrote are, once a worker has collected the words of all items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from inference.models import CatalogueState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A feed whose properties are named by its data would fill the row that each writer locks, and that each
# web process reads: a longer name (in characters) is data.
MAX_NAMES, MAX_NAME = 2000, 100
_REMEMBER = """
    UPDATE inference_cataloguestate AS state
    SET property_names = coalesce(state.property_names, '{}') || ARRAY(
        SELECT name FROM unnest(%(names)s::text[]) AS name
        WHERE name <> ALL(coalesce(state.property_names, '{}'))
        ORDER BY name LIMIT %(max)s - coalesce(cardinality(state.property_names), 0))
    WHERE project_id = %(project)s AND NOT coalesce(property_names, '{}') @> %(names)s::text[]
        AND coalesce(cardinality(property_names), 0) < %(max)s"""
_NAMES_OF = """
    SELECT DISTINCT jsonb_object_keys(properties) FROM inference_item
    WHERE id = ANY(%s) AND jsonb_typeof(properties) = 'object'"""


def remember_properties(*, project_id: int, names: Iterable[str]) -> None:
    """Know properties from now on, in the transaction of a writer of the project's items."""
    distinct = sorted(name for name in set(names) if len(name) <= MAX_NAME)[:MAX_NAMES]
    if not distinct:
        return
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBER, {"names": distinct, "project": project_id, "max": MAX_NAMES})


def remember_properties_of(*, project_id: int, item_pks: Sequence[int]) -> None:
    """Know the properties of some items from now on."""
    with connection.cursor() as cursor:
        cursor.execute(_NAMES_OF, [list(item_pks)])
        names = [name for (name,) in cursor.fetchall()]
    remember_properties(project_id=project_id, names=names)


def known_properties(project_id: int) -> frozenset[str]:
    """Return the properties that items of a project have, or have had."""
    states = CatalogueState.objects.filter(pk=project_id).values_list("property_names", flat=True)
    return frozenset(states.first() or ())
