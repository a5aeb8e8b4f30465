"""What units did with items, from PostgreSQL: what the cache holds of it can be rebuilt."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import connection

from experiments.ingest.likes import parse_rules
from experiments.models import Experiment, RuleVersion
from experiments.slate_rules.repeat import (
    DEFAULT_EVENTS,
    NEVER,
    event_of,
    judge_actions,
    value_to_record,
)
from experiments.slate_rules.rule_error import RuleError
from experiments.slate_rules.rules import SlateRules
from inference.serving.unit_actions import UnitAction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.models import Surface

# Of an event and an item the newest alone, a withdrawal of feedback among them.
_ACTIONS = """
    SELECT DISTINCT ON (unit_id, name, item_id) unit_id, name, item_id, value, withdrawn,
        extract(epoch FROM at)::float8
    FROM (
        SELECT unit_id, name, item_id, value, false AS withdrawn, occurred_at AS at, event_id AS id
        FROM experiments_event
        WHERE project_id = %(project)s AND unit_id = ANY(%(units)s) AND name = ANY(%(names)s)
            AND item_id IS NOT NULL
        UNION ALL
        SELECT unit_id, 'feedback.' || kind, item_id, value, withdrawn, received_at, feedback_id
        FROM experiments_feedback
        WHERE project_id = %(project)s AND unit_id = ANY(%(units)s)
            AND 'feedback.' || kind = ANY(%(names)s) AND item_id <> ''
            AND state NOT IN ('hidden', 'spam')) AS done
    ORDER BY unit_id, name, item_id, at DESC, id DESC"""


def repeat_events(surfaces: Sequence[Surface]) -> dict[int, set[str]]:
    """Return, by surface, the events that its rules of repetition name, and those of its variants."""
    events = {surface.pk: _events_in(surface.rules) for surface in surfaces}
    of_variants = RuleVersion.objects.filter(
        surface__in=surfaces, variants__experiment__state=Experiment.State.RUNNING
    )
    for surface_id, rules in of_variants.values_list("surface_id", "rules"):
        events[surface_id] |= _events_in(rules)
    return events


def _events_in(rules: Mapping[str, Any]) -> set[str]:
    """Return the events of stored rules; none where they cannot be read."""
    try:
        return set(SlateRules.parse(rules, stored=True).repeat)
    except RuleError:
        return set()


def recorded_events(surface: Surface) -> set[str]:
    """Return the events that rules of the surface, or of a request to it, may be about.

    Raises:
        LikeRuleError: what it likes cannot be read.
    """
    liked = {event_of(rule.name) for rule in parse_rules(surface.liked_events)}
    return {*DEFAULT_EVENTS, *liked, *repeat_events([surface])[surface.pk]}


def actions_of(surface: Surface, unit_ids: Sequence[str]) -> dict[str, list[UnitAction]]:
    """Return what units did that a rule may be about, newest first."""
    events = recorded_events(surface)
    names = [*events, *(f"feedback.{event}" for event in events)]
    actions: dict[str, list[UnitAction]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            _ACTIONS, {"project": surface.project_id, "units": list(unit_ids), "names": names}
        )
        for unit, name, item_id, value, withdrawn, at in cursor.fetchall():
            recorded = value_to_record(event_of(name), value)
            actions[unit].append(UnitAction(name, item_id, at, recorded, withdrawn))
    for theirs in actions.values():
        theirs.sort(key=lambda action: action.at, reverse=True)
    return actions


def refused_and_bought(surface: Surface, actions: Sequence[UnitAction]) -> frozenset[str]:
    """Return the items that candidates are made without, whatever a rule says of showing them again."""
    never = dict.fromkeys(DEFAULT_EVENTS, NEVER)
    liked = parse_rules(surface.liked_events)
    return judge_actions(actions, never, liked, now=time.time()).banned
