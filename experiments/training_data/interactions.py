"""What units were shown and did: histories, answers, and how likely a position is examined."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import orjson
from django.db import connection

from experiments.ingest.likes import is_liked, parse_rules
from experiments.slate_rules.repeat import DEFAULT_EVENTS, event_of
from experiments.sql import counts_now, is_excluded
from experiments.training_data.unit_actions import actions_of, refused_and_bought
from inference.evaluation.examination import examination_by_position
from inference.serving.context_features import keys_of, words_of
from inference.serving.keys import MAX_ACTIONS
from inference.serving.refresh import History
from inference.training.snapshot import Answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference.models import Surface
    from inference.serving.unit_actions import UnitAction


# What units did with items, and what they say of them now.
HAPPENED = f"""
    SELECT unit_id, item_id, name, value, occurred_at AS at, event_id AS id, trainable,
        source = 'live' AS live, recommendation_id, properties
    FROM experiments_event
    WHERE project_id = %(project)s AND item_id IS NOT NULL AND name = ANY(%(names)s)
    UNION ALL
    SELECT unit_id, item_id, 'feedback.' || kind, value, received_at, feedback_id, trainable,
        true, recommendation_id, '{{}}'::jsonb
    FROM experiments_feedback AS feedback
    WHERE project_id = %(project)s AND item_id <> '' AND 'feedback.' || kind = ANY(%(names)s)
        AND {counts_now("feedback")}"""


# How often an item of a rank stood at a position of this surface, and was acted on there.
_PLACES = """
    SELECT least((slot.value ->> 2)::int, %(limit)s), slot.position::int, count(*), count(acted.one)
    FROM experiments_slate AS slate,
        jsonb_array_elements(slate.slots) WITH ORDINALITY AS slot(value, position)
    LEFT JOIN LATERAL (
        SELECT 1 AS one FROM experiments_event AS event
        WHERE event.project_id = slate.project_id AND event.unit_id = slate.unit_id
            AND event.recommendation_id = slate.recommendation_id
            AND event.item_id = slot.value ->> 0 AND event.name = ANY(%(names)s)
            AND event.occurred_at >= slate.served_at
        LIMIT 1) AS acted ON true
    WHERE slate.project_id = %(project)s AND slate.surface_id = %(surface)s AND NOT slate.forced
        AND slate.exploration > 0 AND slot.position <= %(limit)s
        -- Where a slot was one for new items, the rank is among these.
        AND coalesce((slot.value ->> 6)::float8, 1) > 0.5
    GROUP BY 1, 2"""
MAX_POSITIONS = 50
# The latest answers that exploration drew, with what became of each slot. Those by one item or by words
# are no answers to the unit's history, by which a challenger is asked.
_ANSWERS = f"""
    SELECT slate.unit_id, extract(epoch FROM slate.served_at)::float8, slate.slots,
        (SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(slate.context)
            WHERE key = ANY(%(keys)s)),
        (SELECT coalesce(jsonb_agg(jsonb_build_array(event.item_id, event.name, event.value)), '[]')
            FROM experiments_event AS event
            WHERE event.project_id = slate.project_id AND event.unit_id = slate.unit_id
                AND event.recommendation_id = slate.recommendation_id
                AND event.item_id IS NOT NULL AND event.name = ANY(%(names)s)
                AND event.occurred_at >= slate.served_at)
    FROM experiments_slate AS slate
    WHERE slate.project_id = %(project)s AND slate.surface_id = %(surface)s AND NOT slate.forced
        AND slate.trainable AND slate.exploration > 0 AND slate.model_version_id IS NOT NULL
        AND NOT slate.context ?| ARRAY['$similar_to', '$query', '$rules']
        -- A slot that depended on others: pins, caps, diversity. Older slates have no '$rules'.
        AND NOT slate.slots @? 'strict $[*] ? (@.size() > 5 && @[5] != null)'
        AND NOT {is_excluded("slate")}
    ORDER BY slate.served_at DESC, slate.recommendation_id LIMIT %(limit)s"""
MAX_ANSWERS = 20_000


def examination_of(surface: Surface) -> Sequence[float] | None:
    """Return how likely each position is examined; None when the surface explores too little."""
    if surface.exploration <= 0:
        return None
    shown = np.zeros((MAX_POSITIONS, MAX_POSITIONS))
    clicked = np.zeros_like(shown)
    with connection.cursor() as cursor:
        cursor.execute(
            _PLACES,
            {
                "project": surface.project_id,
                "surface": surface.pk,
                "limit": MAX_POSITIONS,
                "names": [rule.name for rule in parse_rules(surface.liked_events)],
            },
        )
        for rank, position, count, acted in cursor.fetchall():
            shown[rank - 1, position - 1] += count
            clicked[rank - 1, position - 1] += acted
    used = int(np.flatnonzero(shown.sum(0))[-1]) + 1 if shown.any() else 0
    found = examination_by_position(shown[:, :used], clicked[:, :used]) if used else None
    return None if found is None else found.tolist()


def answers_of(surface: Surface) -> Answers:
    """Return the surface's latest answers drawn by a version alone, by time, with what was liked.

    Under rules another version would have drawn under them too, from ranks that nobody knows; and what
    a filter left out has no chance in the log, so weights cannot stand for it.
    """
    rules, features = parse_rules(surface.liked_events), surface.context_features
    with connection.cursor() as cursor:
        cursor.execute(
            _ANSWERS,
            {
                "keys": keys_of(features),
                "project": surface.project_id,
                "surface": surface.pk,
                "limit": MAX_ANSWERS,
                "names": [rule.name for rule in rules],
            },
        )
        rows = cursor.fetchall()[::-1]
    slots = []
    for _, _, drawn, _, acted in rows:
        liked = {item for item, name, value in orjson.loads(acted) if is_liked(rules, name, value)}
        slots.append([(slot[0], slot[3], slot[0] in liked) for slot in orjson.loads(drawn)])
    contexts = [words_of(features, orjson.loads(row[3]), row[1]) for row in rows] if features else []
    return Answers([row[0] for row in rows], [row[1] for row in rows], slots, contexts)


def histories_of(surface: Surface, unit_ids: Sequence[str]) -> dict[str, History]:
    """Return what is known of some units; a unit without events has an empty history."""
    rules = parse_rules(surface.liked_events)
    liked_of: dict[str, list[str]] = {}
    seen_of: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT unit_id, item_id, name, value FROM ({HAPPENED}) AS happened
            WHERE unit_id = ANY(%(units)s) ORDER BY unit_id, at DESC, id DESC""",
            {
                "project": surface.project_id,
                "units": list(unit_ids),
                "names": [rule.name for rule in rules],
            },
        )
        for unit, rows in groupby(cursor.fetchall(), key=lambda row: row[0]):
            seen, liked = seen_of.setdefault(unit, []), liked_of.setdefault(unit, [])
            for _, item, name, value in rows:
                seen.append(item)
                if is_liked(rules, name, value):
                    liked.append(item)
    actions = actions_of(surface, unit_ids)
    return {
        unit: _history(surface, liked_of.get(unit, []), seen_of.get(unit, []), actions.get(unit, []))
        for unit in unit_ids
    }


def _history(
    surface: Surface, liked: list[str], seen: list[str], actions: Sequence[UnitAction]
) -> History:
    default = [action for action in actions if event_of(action.name) in DEFAULT_EVENTS]
    others = [action for action in actions if event_of(action.name) not in DEFAULT_EVENTS]
    return History(
        liked=liked,
        seen=[*seen, *refused_and_bought(surface, default)] if default else seen,
        actions=default[:MAX_ACTIONS],
        other_actions=others[:MAX_ACTIONS],
    )


# The next units after one, by their ids; each of both tables by its index.
_UNITS = """(SELECT DISTINCT unit_id FROM {table} WHERE project_id = %(project)s
    AND unit_id > %(last)s ORDER BY unit_id LIMIT %(limit)s)"""
_UNITS_OF_EVENTS = _UNITS.format(table="experiments_event")
_UNITS_OF_FEEDBACK = _UNITS.format(table="experiments_feedback")


def units_of(surface: Surface, *, chunk: int = 5000) -> Iterator[list[str]]:
    """Yield the units of whom anything is known, in chunks, by their ids.

    A page at a time and not by one cursor: whoever works on a chunk may take an hour, and memory holds
    one chunk however many units there are.
    """
    values: dict[str, int | str] = {"project": surface.project_id, "last": "", "limit": chunk}
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"{_UNITS_OF_EVENTS} UNION {_UNITS_OF_FEEDBACK} ORDER BY 1 LIMIT %(limit)s", values
            )
            units = [row[0] for row in cursor.fetchall()]
        if not units:
            return
        yield units
        values["last"] = units[-1]
