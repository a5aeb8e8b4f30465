"""One statement that commits everything that waits.

Guarantees: every insert is idempotent by its key, so a statement may be repeated after a failure or
drained from the spill any number of times. One round trip: the rows of each kind travel as one JSON
array and the statement is its own transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import orjson
import psycopg

from experiments.ingest.rows import (
    KINDS,
    EventRow,
    ExclusionRow,
    ExposureRow,
    FeedbackRow,
    QuarantinedRow,
    Rows,
    SlateRow,
    columns_of,
)
from experiments.sql import folded_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Their columns, each with its type.
_SLATE, _EXPOSURE, _EVENT = columns_of(SlateRow), columns_of(ExposureRow), columns_of(EventRow)
_FEEDBACK, _EXCLUSION = columns_of(FeedbackRow), columns_of(ExclusionRow)
_QUARANTINED = columns_of(QuarantinedRow)
_FEEDBACK_OF_SLATE = "variant_id, model_version_id, position, propensity"


# What rows lack that were spilled before the column was there.
_SLATE_VALUES = {"cost": "coalesce(cost, 0)"}
_EXPOSURE_VALUES = {"source": "coalesce(source, 'served')"}
_TRUSTED = {"trusted": "coalesce(trusted, false)"}
_FEEDBACK_VALUES = {**_TRUSTED, "answer": "coalesce(answer, '')"}


def _names(columns: Mapping[str, str], values: Mapping[str, str] | None = None) -> str:
    """Return the names of columns, or where one is named in `values`, the expression there."""
    return ", ".join((values or {}).get(name, name) for name in columns)


def _sent(columns: Mapping[str, str]) -> str:
    """SQL of the rows of a JSON array, the statement's next parameter, as `r`."""
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"json_to_recordset(%s::json) AS r({typed})"


_FEEDBACK_TAKEN = f"{_names(_FEEDBACK)}, {_FEEDBACK_OF_SLATE}"
_FEEDBACK_EXCLUDED = ", ".join(f"EXCLUDED.{name}" for name in _FEEDBACK_TAKEN.split(", "))


# The unit's last slate that held the item, within its surface's window.
_LAST_SLATE = """
    SELECT slate.recommendation_id FROM experiments_slate AS slate
    JOIN inference_surface AS surface ON surface.id = slate.surface_id
    WHERE sent.credit AND sent.recommendation_id IS NULL
        AND slate.project_id = sent.project_id AND slate.unit_id = sent.unit_id
        AND slate.served_at <= sent.occurred_at
        AND slate.served_at >= sent.occurred_at - make_interval(secs => surface.attribution_seconds)
        AND surface.credited_events ? sent.name
        AND slate.slots @> jsonb_build_array(jsonb_build_array(sent.item_id))
    ORDER BY slate.served_at DESC LIMIT 1"""
RECOMMENDATION = "coalesce(sent.recommendation_id, found.recommendation_id)"


# Which side the treatment stood on is the slate's to say; without a pair there is no preference. Of a
# correction the value is whether the slate's first answer was right.
_RIGHT = f"({folded_label('first')} = {folded_label('text')})::int::float8"
_PREFERENCE = f"""CASE WHEN kind = 'correction' AND item_id = '' THEN {_RIGHT}
    WHEN kind <> 'pairwise' THEN value WHEN pair IS NULL THEN NULL
    WHEN text IN ('a', 'b') THEN (pair ->> 'treatment' = text)::int::float8 ELSE 0.5 END"""

# Of the rows of `sent`, one per id, those whose id is new: live and loaded events go one way.
# The ids make an event count once across partitions. `sent` is sorted by them, which keeps two
# statements with the same ids from waiting for each other in a circle. Whoever has the public key can
# claim any id: such a claim never makes an event of a secret key a duplicate.
INSERT_EVENTS = f"""fresh AS (
        INSERT INTO experiments_eventid AS known (project_id, event_id, received_at, trusted)
        SELECT project_id, event_id, received_at, {_TRUSTED["trusted"]} FROM sent
        ON CONFLICT (project_id, event_id) DO UPDATE SET trusted = true
            WHERE EXCLUDED.trusted AND NOT known.trusted
        RETURNING project_id, event_id, received_at AS at),
    events AS (
        INSERT INTO experiments_event ({_names(_EVENT)}, inferred, item_known)
        SELECT {_names(_EVENT, {"recommendation_id": RECOMMENDATION, **_TRUSTED})},
            found.recommendation_id IS NOT NULL,
            item_id IS NULL OR EXISTS (
                SELECT 1 FROM inference_item AS known
                WHERE known.project_id = sent.project_id AND known.item_id = sent.item_id)
        FROM fresh JOIN sent USING (project_id, event_id)
        LEFT JOIN LATERAL ({_LAST_SLATE}) AS found ON true
        RETURNING item_id, item_known)"""

_PARTS = {
    "slates": f"""slates AS (
        INSERT INTO experiments_slate ({_names(_SLATE)})
        SELECT {_names(_SLATE, _SLATE_VALUES)} FROM {_sent(_SLATE)}
        ON CONFLICT DO NOTHING
        RETURNING project_id, served_at, generation)""",
    # Two statements that insert the same exposures in another order would wait for each other. The
    # first exposure counts; a later epoch in which it is met again is noted for stickiness. One row of
    # a key per statement: an upsert cannot touch a row twice.
    "exposures": f"""exposures AS (
        INSERT INTO experiments_exposure AS met ({_names(_EXPOSURE)}, last_epoch)
        SELECT DISTINCT ON (experiment_id, unit_id, variant_id)
            {_names(_EXPOSURE, _EXPOSURE_VALUES)},
            max(epoch) OVER (PARTITION BY experiment_id, unit_id, variant_id)
        FROM {_sent(_EXPOSURE)}
        ORDER BY experiment_id, unit_id, variant_id, epoch, exposed_at
        ON CONFLICT (experiment_id, unit_id, variant_id) DO UPDATE SET last_epoch = EXCLUDED.last_epoch
            WHERE greatest(met.epoch, met.last_epoch) < EXCLUDED.last_epoch)""",
    "events": f"""sent AS (
        SELECT DISTINCT ON (project_id, event_id) * FROM {_sent({**_EVENT, "credit": "boolean"})}
        ORDER BY project_id, event_id, trusted DESC NULLS LAST), {INSERT_EVENTS}""",
    "feedback": f"""said AS (
        SELECT r.*, slate.variant_id, slate.model_version_id, slot.rank AS position,
            (slot.value ->> 3)::float8 AS propensity, slate.pair,
            slate.slots -> 0 ->> 0 AS first
        FROM {_sent(_FEEDBACK)}
        JOIN experiments_slate AS slate USING (recommendation_id, project_id)
        LEFT JOIN LATERAL jsonb_array_elements(slate.slots) WITH ORDINALITY AS slot(value, rank)
            ON slot.value ->> 0 = r.item_id),
    feedback AS (
        INSERT INTO experiments_feedback AS known ({_names(_FEEDBACK)}, variant_id,
            model_version_id, position, propensity, state_reason, reviewed_by, flags)
        SELECT DISTINCT ON (project_id, feedback_id)
            {_names(_FEEDBACK, {"value": _PREFERENCE, **_FEEDBACK_VALUES})}, variant_id,
            model_version_id, position, propensity, '', '', '{{}}'
        FROM said ORDER BY project_id, feedback_id, said.trusted DESC NULLS LAST
        -- As of events, but an id names one row: the word of a secret key takes its place.
        ON CONFLICT (project_id, feedback_id) DO UPDATE
            SET ({_FEEDBACK_TAKEN}) = ({_FEEDBACK_EXCLUDED}), xid = pg_current_xact_id()
            WHERE EXCLUDED.trusted AND NOT known.trusted
        RETURNING project_id, feedback_id, received_at)""",
    "exclusions": f"""exclusions AS (
        INSERT INTO experiments_excludedunit ({_names(_EXCLUSION)})
        SELECT {_names(_EXCLUSION)}
        FROM {_sent(_EXCLUSION)}
        ORDER BY project_id, unit_id
        ON CONFLICT DO NOTHING)""",
    "quarantined": f"""quarantined AS (
        INSERT INTO experiments_quarantinedexposure ({_names(_QUARANTINED)})
        SELECT {_names(_QUARANTINED)}
        FROM {_sent(_QUARANTINED)}
        ORDER BY experiment_id, unit_id, variant_id
        ON CONFLICT DO NOTHING)""",
}
# What the rows that are new count, by kind: the columns of usage, of the month in which they came.
_USED = {
    "slates": """SELECT project_id, served_at AS at, generation IS NULL AS answer, false AS event,
        false AS feedback, (generation ->> 'tokens_in')::bigint AS tokens_in,
        (generation ->> 'tokens_out')::bigint AS tokens_out FROM slates""",
    "events": """SELECT project_id, at, false, true, false, NULL::bigint, NULL::bigint
        FROM fresh""",
    "feedback": """SELECT project_id, received_at, false, false, true, NULL::bigint, NULL::bigint
        FROM feedback""",
}


def _usage(kinds: tuple[str, ...]) -> list[str]:
    """Return the part that notes what the commit is billed as; none where it writes nothing of that.

    Of the same transaction as the rows, and of those alone that were new: it counts what is committed,
    once, however often a statement is repeated, and whatever is erased afterwards. It only adds rows,
    one per project: web processes never wait for each other's.
    """
    used = [_USED[kind] for kind in _USED if kind in kinds]
    if not used:
        return []
    return [
        f"""used (project_id, at, answer, event, feedback, tokens_in, tokens_out) AS (
        {" UNION ALL ".join(used)}),
    usage AS (
        INSERT INTO accounts_usageentry
            (project_id, month, answers, events, feedback, generations, tokens_in, tokens_out)
        SELECT project_id, date_trunc('month', at AT TIME ZONE 'UTC')::date,
            count(*) FILTER (WHERE answer), count(*) FILTER (WHERE event),
            count(*) FILTER (WHERE feedback),
            count(*) FILTER (WHERE NOT (answer OR event OR feedback)),
            coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0)
        FROM used GROUP BY 1, 2)"""
    ]


# Ids travel back only when some were not new: naming all of a large commit costs both sides.
_RESULTS = {
    "events": """(SELECT CASE WHEN count(*) = %s THEN NULL
        ELSE coalesce(json_agg(json_build_array(project_id, event_id)), '[]') END FROM fresh)""",
    "feedback": """(SELECT coalesce(json_agg(json_build_array(project_id, feedback_id)), '[]')
        FROM feedback)""",
    "said": "(SELECT coalesce(json_agg(json_build_array(project_id, feedback_id)), '[]') FROM said)",
}


Pairs = list[tuple[int, str]]


@cache
def statement_for(kinds: tuple[str, ...]) -> str:
    """Return the statement that inserts these kinds; `Payload.parameters` fills it."""
    parts = ", ".join([*(_PARTS[kind] for kind in kinds), *_usage(kinds)])
    nothing = "NULL::json"
    events = _RESULTS["events"] if "events" in kinds else nothing
    feedback = _RESULTS["feedback"] if "feedback" in kinds else nothing
    said = _RESULTS["said"] if "feedback" in kinds else nothing
    return f"WITH {parts} SELECT {events}, {feedback}, {said}"


# The statement without rows asks for every table, column and right that a fact needs; the message
# makes its commit go through the log of changes, which a standby and a full disk refuse.
WRITE_PROBE = f"{statement_for(KINDS)} FROM pg_logical_emit_message(true, 'bakeoff', 'probe')"
WRITE_PROBE_PARAMETERS: list[str | int] = ["[]"] * len(KINDS) + [0]


def is_refusal(error: BaseException) -> bool:
    """Whether PostgreSQL refuses a value (SQLSTATE 22, 23): the same rows would be refused again.

    Everything else may pass: a server that fails over, a table that a migration still has to make.
    """
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is not None:
        return error.sqlstate[:2] in {"22", "23"}
    return isinstance(error, psycopg.DataError)  # psycopg's own, before anything was sent


@dataclass(frozen=True, slots=True)
class Payload:
    """Rows of many requests, ready to travel.

    Attributes:
        kinds: which kinds there are, in the order of `KINDS`.
        arrays: one JSON array for each.
        events: how many events there are.
    """

    kinds: tuple[str, ...]
    arrays: tuple[bytes, ...]
    events: int

    @property
    def parameters(self) -> list[str | int]:
        """What `statement_for(kinds)` is executed with."""
        arrays: list[str | int] = [array.decode() for array in self.arrays]
        return [*arrays, self.events] if "events" in self.kinds else arrays

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(map(len, self.arrays))

    @classmethod
    def of(cls, rows: Rows) -> Payload:
        """Write the rows of one request.

        Raises:
            TypeError: a value cannot be written as JSON: nested too deep, or text that is no Unicode.
        """
        kinds = tuple(kind for kind in KINDS if getattr(rows, kind))
        arrays = tuple(orjson.dumps(getattr(rows, kind)) for kind in kinds)
        return cls(kinds=kinds, arrays=arrays, events=len(rows.events))

    @classmethod
    def join(cls, payloads: Sequence[Payload]) -> Payload:
        """Join payloads without reading their rows again."""
        if len(payloads) == 1:
            return payloads[0]
        parts: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
        for payload in payloads:
            for kind, array in zip(payload.kinds, payload.arrays, strict=True):
                parts[kind].append(array[1:-1])
        kinds = tuple(kind for kind in KINDS if parts[kind])
        arrays = tuple(b"[" + b",".join(parts[kind]) + b"]" for kind in kinds)
        return cls(kinds=kinds, arrays=arrays, events=sum(payload.events for payload in payloads))

    def halves(self) -> tuple[Payload, Payload] | None:
        """Split the rows in two, in the order in which they are written; None for a single row."""
        rows = [
            (kind, row)
            for kind, array in zip(self.kinds, self.arrays, strict=True)
            for row in orjson.loads(array)
        ]
        if len(rows) < 2:
            return None
        middle = len(rows) // 2
        return Payload.of_parsed(rows[:middle]), Payload.of_parsed(rows[middle:])

    @classmethod
    def of_parsed(cls, rows: Sequence[tuple[str, object]]) -> Payload:
        """Make one of rows that were read from another, each with its kind."""
        kinds = tuple(kind for kind in KINDS if any(kind == of for of, _ in rows))
        arrays = tuple(orjson.dumps([row for of, row in rows if of == kind]) for kind in kinds)
        return cls(kinds=kinds, arrays=arrays, events=-1)

    def unbound_feedback(self, bound: set[tuple[int, str]]) -> Payload | None:
        """Return the feedback that is not among these (project, feedback id), or None."""
        if "feedback" not in self.kinds:
            return None
        rows = [
            ("feedback", row)
            for row in orjson.loads(self.arrays[self.kinds.index("feedback")])
            if (row["project_id"], row["feedback_id"]) not in bound
        ]
        return Payload.of_parsed(rows) if rows else None

    def as_fields(self) -> dict[str, bytes]:
        """Return it as the fields of one entry of the spill stream."""
        return dict(zip(self.kinds, self.arrays, strict=True))

    @classmethod
    def from_fields(cls, fields: dict[bytes, bytes]) -> Payload:
        """Read an entry of the spill stream."""
        kinds = tuple(kind for kind in KINDS if kind.encode() in fields)
        arrays = tuple(fields[kind.encode()] for kind in kinds)
        return cls(kinds=kinds, arrays=arrays, events=-1)  # nobody waits for which were new


@dataclass(frozen=True, slots=True)
class Committed:
    """What the statement wrote.

    Attributes:
        events: (project, event id) of the events that are new; None when all are.
        feedback: (project, feedback id) of the feedback that is new.
        bound: (project, feedback id) of the feedback whose slate exists.
    """

    events: set[tuple[int, str]] | None = None
    feedback: set[tuple[int, str]] = field(default_factory=set)
    bound: set[tuple[int, str]] = field(default_factory=set)

    @classmethod
    def from_row(cls, row: tuple[Pairs | None, Pairs | None, Pairs | None]) -> Committed:
        """Read the statement's single row."""
        events, feedback, bound = row
        return cls(
            events=None if events is None else {(project, name) for project, name in events},
            feedback={(project, name) for project, name in feedback or ()},
            bound={(project, name) for project, name in bound or ()},
        )
