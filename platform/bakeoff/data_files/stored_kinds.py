"""What the properties and attributes that a project has stored hold: texts, or something else."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from django.db.models import QuerySet

MAX_ROWS = 1000  # the latest, which are what a load of before wrote


def stored_texts(rows: QuerySet[Any], field: str, names: Collection[str]) -> set[str]:
    """Return the names of which most values among the latest rows are texts.

    Args:
        rows: of one project.
        field: holds the values by their names.
        names: those that are wanted.
    """
    latest = rows.order_by("-pk").values_list(field, flat=True)[:MAX_ROWS]
    return _mostly_texts(latest, names)


def _mostly_texts(rows: Iterable[Mapping[str, Any]], names: Collection[str]) -> set[str]:
    texts: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for row in rows:
        for name in names:
            value = row.get(name)
            seen[name] += value is not None
            texts[name] += isinstance(value, str)
    return {name for name in names if texts[name] and 2 * texts[name] >= seen[name]}
