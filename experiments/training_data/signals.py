"""What units liked and refused: what a recommender learns from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import orjson
from django.db import connection
from django.utils import timezone

from experiments.bounds import FUTURE
from experiments.ingest.likes import is_liked, parse_rules
from experiments.slate_rules.repeat import REFUSALS, is_refusal, low_ratings
from experiments.sql import is_excluded
from experiments.training_data.event_weights import EventWeights
from experiments.training_data.interactions import HAPPENED, examination_of
from inference.plurals import counted, verb
from inference.serving.context_features import keys_of, words_of
from inference.training.catalogue_hash import catalogue_sha256
from inference.training.snapshot import Dislikes, Likes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from experiments.ingest.likes import LikeRule
    from inference.models import Surface

# Where an item stood in the slate that was acted on, from 1.
_STOOD = """
    SELECT slot.position::int AS stood FROM experiments_slate AS slate,
        jsonb_array_elements(slate.slots) WITH ORDINALITY AS slot(value, position)
    WHERE slate.recommendation_id = happened.recommendation_id
        AND slate.project_id = %(project)s AND slot.value ->> 0 = happened.item_id LIMIT 1"""
# What is known of the context: the event's own property of that name, or else what the request said
# whose slate it names.
_CONTEXT = """
    SELECT jsonb_object_agg(feature.name, coalesce(happened.properties -> feature.name,
        (SELECT slate.context -> feature.name FROM experiments_slate AS slate
            WHERE slate.recommendation_id = happened.recommendation_id
                AND slate.project_id = %(project)s LIMIT 1))) AS context
    FROM unnest(%(keys)s::text[]) AS feature (name)"""
# Feedback and an event of the same name are one.
REFUSAL_NAMES = (*REFUSALS, *(f"feedback.{name}" for name in REFUSALS))


class _Signal(NamedTuple):
    """One event that likes or refuses an item."""

    unit: str
    item: str
    name: str
    value: float | None
    at: float
    live: bool
    stood: int | None
    context: str | None


@dataclass(slots=True)
class _Columns:
    """The columns of a snapshot, as they grow; see `Likes` and `Dislikes`."""

    liked: list[_Signal] = field(default_factory=list)
    refused: list[_Signal] = field(default_factory=list)
    future: int = 0


def likes_of(surface: Surface) -> Likes:
    """Return what units of the surface's project liked and refused, ordered by unit and time.

    Of a unit and an item the newest signal counts: what was hidden after it was clicked was not liked,
    and what was clicked after it was hidden was. Without what a visitor does not consent to be learnt
    from, without bots, and without dates of the future: one of them would make every other like look
    old.
    """
    rules = parse_rules(surface.liked_events)
    columns, latest = _Columns(), (timezone.now() + FUTURE).timestamp()
    for _, signals in groupby(_read_signals(surface, rules), key=lambda signal: signal.unit):
        _add_unit(columns, signals, rules, latest=latest)
    examined, features = examination_of(surface), surface.context_features
    words = [_words(features, one) for one in columns.liked] if features else []
    weights = EventWeights.parse(surface.event_weights, rules)
    future = counted(columns.future, "like", "is", "are")
    aside = f"{future} dated in the future and {verb(columns.future)} set aside."
    notes = [aside] if columns.future else []
    return Likes(
        unit_ids=[one.unit for one in columns.liked],
        item_ids=[one.item for one in columns.liked],
        liked_at=[one.at for one in columns.liked],
        live=[one.live for one in columns.liked],
        chance=[_chance(examined, one.stood) for one in columns.liked],
        notes=notes,
        catalogue=catalogue_sha256(surface.project_id),
        weights=[weights.of(one.name, one.value) for one in columns.liked]
        if weights.are_stated
        else [],
        contexts={name: [one.get(name, "") for one in words] for name in features},
        dislikes=Dislikes(
            unit_ids=[one.unit for one in columns.refused],
            item_ids=[one.item for one in columns.refused],
            disliked_at=[one.at for one in columns.refused],
        ),
    )


def _read_signals(surface: Surface, rules: Sequence[LikeRule]) -> Iterator[_Signal]:
    """Yield the surface's events by unit and time."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT unit_id, item_id, name, value, extract(epoch FROM at)::float8,
                live, stood, context
            FROM ({HAPPENED}) AS happened LEFT JOIN LATERAL ({_STOOD}) AS place ON true
                CROSS JOIN LATERAL ({_CONTEXT}) AS about
            WHERE trainable AND NOT {is_excluded("happened")}
            ORDER BY unit_id, at, id""",  # noqa: S608  made of constants
            {
                "project": surface.project_id,
                "keys": keys_of(surface.context_features),
                "names": [*{rule.name for rule in rules}.union(REFUSAL_NAMES)],
            },
        )
        while rows := cursor.fetchmany(10_000):
            yield from map(_Signal._make, rows)


def _words(features: Sequence[str], signal: _Signal) -> dict[str, str]:
    context = orjson.loads(signal.context) if signal.context else {}
    return words_of(features, context, signal.at)


def _add_unit(
    columns: _Columns, signals: Iterable[_Signal], rules: Sequence[LikeRule], *, latest: float
) -> None:
    """Add what one unit liked and refused."""
    low = low_ratings(rules)
    liked: list[_Signal] = []
    refused: dict[str, _Signal] = {}
    last: dict[str, bool] = {}  # whether the newest signal about an item likes it
    for signal in signals:
        likes = is_liked(rules, signal.name, signal.value)
        if not likes and not is_refusal(signal.name, signal.value, low):
            continue
        if not math.isfinite(signal.at) or signal.at > latest:
            columns.future += likes
            continue
        last[signal.item] = likes
        if likes:
            liked.append(signal)
        else:
            refused[signal.item] = signal
    columns.liked += [one for one in liked if last[one.item]]
    columns.refused += [one for one in refused.values() if not last[one.item]]


def _chance(examined: Sequence[float] | None, stood: int | None) -> float:
    """Return how likely a like was examined where it stood; 1 when nothing is known."""
    if examined is None or stood is None or stood > len(examined):
        return 1.0
    return examined[stood - 1]
