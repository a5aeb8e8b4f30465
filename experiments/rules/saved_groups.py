"""Saved groups of units as the database has them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from experiments.assignment import ConditionError
from experiments.assignment.conditions import MAX_LEVELS, levels_of
from experiments.assignment.flags import NO_FLAGS
from experiments.assignment.named_groups import group_as_json
from experiments.rules.row_isolation import check_writable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from experiments.assignment.flags import ProjectFlags
    from experiments.rules.row_isolation import RowReader

_GROUPS = "SELECT project_id, key, attribute, values, condition FROM experiments_savedgroup"


def read_groups(
    connection: psycopg.Connection, reader: RowReader, last: Mapping[int, ProjectFlags]
) -> dict[int, dict[str, Any]]:
    """Return the groups of each project by key, as GrowthBook's payload writes them."""
    groups: dict[int, dict[str, Any]] = {}
    for project, key, attribute, values, condition in connection.execute(_GROUPS):
        group = reader.read(
            project,
            f"group {key}",
            partial(_group, attribute, values, condition),
            last.get(project, NO_FLAGS).groups.get(key),
        )
        if group is not None:
            groups.setdefault(project, {})[key] = group
    return groups


def _group(attribute: str, values: Any, condition: Any) -> dict[str, Any]:
    if not isinstance(values, list) or not isinstance(condition, dict):
        raise ConditionError("values must be a list, and condition an object.")
    group = group_as_json(attribute, values, condition)
    # Deeper ones would meet Python's own limit when a condition that names the group is compiled.
    if levels_of(group) > MAX_LEVELS:
        raise ConditionError(f"group is nested deeper than {MAX_LEVELS} levels of JSON.")
    check_writable(group)
    return group
