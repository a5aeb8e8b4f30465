"""Refuse saved rules that compare a property with a value that no item could have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from experiments.slate_rules.context_values import fill
from experiments.slate_rules.filters import BUILT_IN
from experiments.slate_rules.leaves import leaves_of
from experiments.slate_rules.value_kinds import STANDARD_KINDS, FixedKinds, check_tests

if TYPE_CHECKING:
    from collections.abc import Collection

    from experiments.slate_rules.rules import SlateRules

# Of each path the distinct kinds of what the items have there; a list is named by its elements'.
_KINDS = """
    SELECT DISTINCT path, CASE jsonb_typeof(value) WHEN 'array' THEN
        CASE WHEN jsonb_path_exists(value, 'strict $[*] ? (@.type() == "object")') THEN 'objects'
             WHEN jsonb_path_exists(value, 'strict $[*] ? (@.type() != "string")') THEN 'list'
             ELSE 'texts' END
        ELSE jsonb_typeof(value) END
    FROM inference_item AS item
    CROSS JOIN unnest(%s::text[]) AS path
    CROSS JOIN LATERAL (SELECT item.properties #> string_to_array(path, '.') AS value) AS read
    WHERE item.project_id = %s AND item.deleted_at IS NULL AND jsonb_typeof(value) <> 'null'"""
_KIND_OF = {"number": "number", "string": "text", "texts": "text", "boolean": "boolean"}


def require_values_of_kind(project_id: int, rules: SlateRules) -> None:
    """Refuse rules that find nothing because of the kind of a value.

    What the request puts in its place later is not looked at.

    Raises:
        RuleError: with the kind that the items have.
    """
    filters = [("filter", one) for one in rules.filters]
    filters += [("bury", one) for one in rules.buried]
    filters += [(f"boost.{n}.filter", one.filter) for n, one in enumerate(rules.boosts)]
    leaves = [
        (field, path, wanted)
        for field, one in filters
        for path, wanted in leaves_of(fill(one, {}))
        if path not in BUILT_IN
    ]
    kinds = _stored_kinds(project_id, {path for _, path, _ in leaves}) if leaves else {}
    for field, path, wanted in leaves:
        check_tests(kinds[path], path, wanted, field)


def _stored_kinds(project_id: int, paths: Collection[str]) -> dict[str, FixedKinds]:
    """Return the kinds of each path's values: of the fields of every item, and of properties."""
    found: dict[str, set[str]] = {path: set() for path in paths}
    with connection.cursor() as cursor:
        cursor.execute(_KINDS, [sorted(paths), project_id])
        for path, name in cursor.fetchall():
            found[path].add(name)
    return {path: _joined(names, STANDARD_KINDS.get(path)) for path, names in found.items()}


def _joined(names: Collection[str], standard: FixedKinds | None) -> FixedKinds:
    kinds = {_KIND_OF.get(name, "") for name in names} | ({standard.kind} if standard else set())
    return FixedKinds(
        kind=next(iter(kinds)) if len(kinds) == 1 else "",
        is_list=bool({"texts", "list", "objects"} & set(names)) or bool(standard and standard.is_list),
        has_objects=bool({"object", "objects"} & set(names)),
    )
