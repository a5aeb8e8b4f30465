"""Refuse saved rules that compare a property with a value that no item could have.

Does not read a whole catalogue: of each path so many of its values, for so long. What is not found by
then is not checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import OperationalError, connection, transaction

from experiments.slate_rules.context_values import fill
from experiments.slate_rules.filters import BUILT_IN
from experiments.slate_rules.leaves import leaves_of
from experiments.slate_rules.value_kinds import STANDARD_KINDS, FixedKinds, check_tests

if TYPE_CHECKING:
    from collections.abc import Collection

    from experiments.slate_rules.rules import SlateRules

MAX_VALUES = 10_000  # of a path: somebody waits for the answer
MAX_MILLISECONDS = 2000  # a path: a rare one may be looked for in millions of items
# The distinct kinds of what items have at a path; a list is named by its elements'.
_KINDS = """
    SELECT DISTINCT CASE jsonb_typeof(value) WHEN 'array' THEN
        CASE WHEN jsonb_path_exists(value, 'strict $[*] ? (@.type() == "object")') THEN 'objects'
             WHEN jsonb_path_exists(value, 'strict $[*] ? (@.type() != "string")') THEN 'list'
             ELSE 'texts' END
        ELSE jsonb_typeof(value) END
    FROM (
        SELECT value FROM inference_item AS item
        CROSS JOIN LATERAL (SELECT item.properties #> string_to_array(%s, '.') AS value) AS read
        WHERE item.project_id = %s AND item.deleted_at IS NULL AND jsonb_typeof(value) <> 'null'
        LIMIT %s) AS sample"""
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
    return {
        path: _joined(_names_of(project_id, path), STANDARD_KINDS.get(path)) for path in sorted(paths)
    }


def _names_of(project_id: int, path: str) -> set[str]:
    """Return the kinds of a path's values, as PostgreSQL names them; none where it takes too long."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            (before,) = cursor.fetchone()
            cursor.execute(f"SET LOCAL statement_timeout = {MAX_MILLISECONDS}")
            cursor.execute(_KINDS, [path, project_id, MAX_VALUES])
            names = {name for (name,) in cursor.fetchall()}
            # The caller may be in a transaction of its own, whose limit this is not.
            cursor.execute(f"SET LOCAL statement_timeout = '{before}'")
    except OperationalError:  # the statement was cancelled
        return set()
    return names


def _joined(names: Collection[str], standard: FixedKinds | None) -> FixedKinds:
    kinds = {_KIND_OF.get(name, "") for name in names} | ({standard.kind} if standard else set())
    return FixedKinds(
        kind=next(iter(kinds)) if len(kinds) == 1 else "",
        is_list=bool({"texts", "list", "objects"} & set(names)) or bool(standard and standard.is_list),
        # Where there are no values yet, they may be of any kind.
        has_objects=bool({"object", "objects"} & set(names)) or not (names or standard),
    )
