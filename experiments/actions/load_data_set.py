"""Load a data set, or freeze one from past requests: inputs that versions are checked on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from django.conf import settings
from django.db import connection, transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.models import DataSet, DataSetRow
from experiments.sql import has_answer, is_excluded
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.judging.assertions import AssertionSpecError, parse_assertions
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

MAX_ROWS = 2000  # each is asked for of two versions, and judged twice
MAX_ROW_BYTES = 256 * 1024
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ROLES = ("system", "developer", "user", "assistant", "tool")
# A random sample, the same whenever it is drawn of the same answers: by a hash of their ids.
_PAST = f"""
    SELECT slate.unit_id, slate.model_version_id, slate.context, slate.served_at
    FROM experiments_slate AS slate
    WHERE slate.surface_id = %(surface)s AND slate.trainable AND {has_answer("slate")}
        AND jsonb_array_length(coalesce(slate.context -> 'messages', '[]')) > 0
        AND NOT slate.context ? 'shortened' AND NOT {is_excluded("slate")}
    ORDER BY md5(slate.recommendation_id::text) LIMIT %(limit)s"""


class CannotLoadDataSetError(RefusedError):
    """Rows or assertions that break a rule; the message names where."""


@dataclass(frozen=True, slots=True)
class DataSetRowDraft:
    """One input.

    Attributes:
        messages: of the request.
        variables: of the version's templates.
        assertions: what its answer must hold, beside those of the whole set.
        unit_id: whose request it was; empty where it was nobody's.
        frozen_at: when it was asked; None where it was nobody's request.
    """

    messages: Sequence[dict[str, Any]] = ()
    variables: dict[str, Any] = field(default_factory=dict)
    assertions: Sequence[dict[str, Any]] = ()
    unit_id: str = ""
    frozen_at: datetime | None = None


def read_rows(lines: Iterable[bytes | str]) -> list[DataSetRowDraft]:
    """Read JSONL: objects of messages, variables and assertions, each of which may be missing.

    Raises:
        CannotLoadDataSetError: a line breaks a rule.
    """
    rows: list[DataSetRowDraft] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(rows) >= MAX_ROWS:
            raise _refuse(f"rows > {MAX_ROWS}, must be at most that.")
        rows.append(_read_line(line, f"line {number}"))
    if not rows:
        raise _refuse("rows == 0, must be at least 1.")
    return rows


def _refuse(message: str) -> CannotLoadDataSetError:
    return CannotLoadDataSetError(message, field="rows")


def _read_line(line: bytes | str, name: str) -> DataSetRowDraft:
    if len(line) > MAX_ROW_BYTES:
        raise _refuse(f"{name} == {len(line)} bytes, must be at most {MAX_ROW_BYTES}.")
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _refuse(f"{name}: {error}, must be JSON.") from error
    return read_row(data, name)


def read_row(data: Any, name: str) -> DataSetRowDraft:
    """Read an input: an object of messages, variables and assertions.

    Raises:
        CannotLoadDataSetError: it breaks a rule.
    """
    known = {"messages", "variables", "assertions"}
    if not isinstance(data, dict) or not data or set(data) - known:
        raise _refuse(f"{name}: must be an object of {', '.join(sorted(known))}.")
    messages, variables = data.get("messages", []), data.get("variables", {})
    if not isinstance(messages, list) or not all(_is_message(one) for one in messages):
        raise _refuse(f"{name}.messages: must be a list of messages with role and content.")
    if not isinstance(variables, dict):
        raise _refuse(f"{name}.variables: must be an object.")
    assertions = data.get("assertions", [])
    _check_assertions(assertions, f"{name}.assertions")
    return DataSetRowDraft(messages, variables, assertions)


def _is_message(data: Any) -> bool:
    return isinstance(data, dict) and data.get("role") in _ROLES and "content" in data


def _check_assertions(data: Any, name: str) -> None:
    try:
        parse_assertions(data, name)
    except AssertionSpecError as error:
        raise CannotLoadDataSetError(str(error), field="assertions") from error


def load_data_set(
    *,
    surface: Surface,
    key: str,
    rows: Sequence[DataSetRowDraft],
    by: str,
    assertions: Sequence[dict[str, Any]] = (),
    is_gate: bool = False,
) -> DataSet:
    """Store a data set; one of this key is replaced, with what versions answered to it.

    Args:
        surface: of kind generate.
        key: its name.
        rows: the inputs.
        by: who loads it.
        assertions: what every answer must hold.
        is_gate: whether each new version is checked on it by itself; of a surface one set is.

    Raises:
        CannotLoadDataSetError: the key, the kind or an assertion breaks a rule.
    """
    if surface.kind != Surface.Kind.GENERATE:
        raise CannotLoadDataSetError(
            f"kind == '{surface.kind}', must be '{Surface.Kind.GENERATE}'.", field="surface"
        )
    if not _SLUG.fullmatch(key):
        raise CannotLoadDataSetError(
            f"key == '{key:.80}', must be lower-case letters, digits, '-' and '_'.", field="key"
        )
    _check_assertions(list(assertions), "assertions")
    with transaction.atomic():
        # Two loads of one key at once would leave two halves.
        Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)
        DataSet.objects.filter(surface=surface, key=key).delete()
        if is_gate:
            DataSet.objects.filter(surface=surface, is_gate=True).update(is_gate=False)
        stored = DataSet.objects.create(
            project_id=surface.project_id, surface=surface, key=key, assertions=list(assertions),
            is_gate=is_gate, created_by=by,
        )  # fmt: skip
        DataSetRow.objects.bulk_create(_row_of(stored, row) for row in rows)
        record_audit(
            surface.project_id,
            actor=by,
            action="load data set",
            subject=f"{key} of {surface.key}",
            detail={"rows": len(rows), "gate": is_gate},
        )
    return stored


def _row_of(data_set: DataSet, row: DataSetRowDraft) -> DataSetRow:
    return DataSetRow(
        data_set=data_set,
        project_id=data_set.project_id,
        unit_id=row.unit_id,
        frozen_at=row.frozen_at,
        messages=list(row.messages),
        variables=row.variables,
        assertions=list(row.assertions),
    )


def past_inputs(*, surface: Surface, limit: int) -> list[DataSetRowDraft]:
    """Return a random sample of past requests whose texts are stored and may be learnt from.

    A version's own messages are left out, so that another version puts its own before the conversation.

    Raises:
        CannotLoadDataSetError: the limit is out of range, or there is none.
    """
    if not 1 <= limit <= MAX_ROWS:
        raise _refuse(f"rows == {limit}, must be in [1, {MAX_ROWS}].")
    with connection.cursor() as cursor:
        cursor.execute(_PAST, {"surface": surface.pk, "project": surface.project_id, "limit": limit})
        found = cursor.fetchall()
    own = own_messages({row[1] for row in found})
    rows = []
    for unit, version, stored, served_at in found:
        context = orjson.loads(stored) if isinstance(stored, str | bytes) else stored
        messages = context["messages"][own.get(version, 0) :]
        rows.append(DataSetRowDraft(messages, context.get("variables") or {}, (), unit, served_at))
    if not rows:
        raise _refuse("past requests with a stored text == 0, must be at least 1.")
    return rows


def own_messages(versions: set[int | None]) -> dict[int | None, int]:
    """Return how many messages each version puts before a conversation, by its primary key."""
    counts: dict[int | None, int] = {}
    for version in ModelVersion.objects.filter(pk__in={one for one in versions if one is not None}):
        try:
            counts[version.pk] = len(read_prompt(settings.BAKEOFF.artifacts, version).messages)
        except NoPromptError:
            counts[version.pk] = 0
    return counts
