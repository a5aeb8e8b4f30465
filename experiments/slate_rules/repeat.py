"""Whether an item is shown again to a unit that did something with it.

{"repeat": {"purchase": {"after_days": 30}, "hide": "never", "click": "always"}}

Without a rule, `hide`, a thumb of -1, a low rating and `purchase` take an item out of every answer for
good. What a surface counts as a like takes it out of the lists that the product does not name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.slate_rules.rule_error import RuleError, short_repr

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from experiments.ingest.likes import LikeRule
    from inference.serving.unit_actions import UnitAction

DAY = 86_400.0
NEVER, ALWAYS = math.inf, 0.0  # in seconds after the action
REFUSALS = ("hide", "thumb", "rating")  # of which a value says whether they refuse
DEFAULT_EVENTS = (*REFUSALS, "purchase")
DEFAULTS: Mapping[str, float] = dict.fromkeys(DEFAULT_EVENTS, NEVER)
MAX_EVENTS = 20
MAX_EVENT = 100
MAX_DAYS = 3650.0
LOW_RATING = 2.0  # of five
_FEEDBACK = "feedback."


@dataclass(frozen=True, slots=True)
class ActedItems:
    """Items that a unit did something with.

    Attributes:
        banned: may not be shown.
        again: may be shown although the unit liked them; what it did something with last comes first.
    """

    banned: frozenset[str] = frozenset()
    again: tuple[str, ...] = ()


NOTHING_ACTED = ActedItems()


def event_of(name: str) -> str:
    """Return how rules name an event: feedback and an event of the same name are one."""
    return name.removeprefix(_FEEDBACK)


def value_to_record(event: str, value: float | None) -> float | None:
    """Return the value of an action as far as a rule reads it."""
    return value if event in {"thumb", "rating"} else None


def parse_repeat(value: Any) -> dict[str, float]:
    """Return by event after how many seconds an item may be shown again.

    Raises:
        RuleError: it has another form.
    """
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_EVENTS:
        rule = f"an object of at most {MAX_EVENTS} events"
        raise RuleError("repeat", f"repeat == {short_repr(value)}, must be {rule}.")
    return {_event(name): _seconds(name, rule) for name, rule in value.items()}


def check_recorded(
    requested: Mapping[str, float], stored: Mapping[str, float], liked: Iterable[LikeRule]
) -> None:
    """Refuse a request's rule about an event that nothing is remembered of.

    Raises:
        RuleError: neither is it a default, nor a like of the surface, nor in the surface's own rules.
    """
    recorded = {*DEFAULT_EVENTS, *stored, *(event_of(rule.name) for rule in liked)}
    for event in requested:
        if event not in recorded:
            known = f"one of {sorted(recorded)}, or be in the rules of the surface"
            raise RuleError(f"repeat.{event}", f"repeat.{event}: not recorded, must be {known}.")


def judge_actions(
    actions: Sequence[UnitAction],
    repeat: Mapping[str, float],
    liked: Collection[LikeRule],
    *,
    now: float,
) -> ActedItems:
    """Return what may not be shown again, and what may.

    Args:
        actions: of the unit, newest first: of an event and an item the newest counts.
        repeat: rules beside the defaults, by event, in seconds.
        liked: what the surface counts as a like.
        now: in seconds since 1970.
    """
    if not actions:
        return NOTHING_ACTED
    rules, likes = {**DEFAULTS, **repeat}, {rule.name for rule in liked}
    low = low_ratings(liked)
    judged: set[tuple[str, str]] = set()
    banned: set[str] = set()
    liked_items: set[str] = set()
    again: dict[str, None] = {}  # in the order of the actions
    for action in actions:
        event = event_of(action.name)
        if (event, action.item_id) in judged:
            continue
        judged.add((event, action.item_id))
        if action.is_withdrawn:
            continue
        after = rules.get(event) if _counts(action.name, action.value, low) else None
        if after is not None:
            if now - action.at < after:
                banned.add(action.item_id)
            else:
                again[action.item_id] = None
        elif action.name in likes:
            liked_items.add(action.item_id)
    still = banned | liked_items
    return ActedItems(frozenset(banned), tuple(item for item in again if item not in still))


def low_ratings(liked: Iterable[LikeRule]) -> dict[str, float]:
    """Return up to which value a rating is low, by the name of the event.

    Half of what the surface counts as a like: a surface that likes `rating>=8` has a scale of ten.
    """
    low: dict[str, float] = {}
    for rule in liked:
        if event_of(rule.name) == "rating" and rule.minimum is not None:
            low[rule.name] = min(rule.minimum / 2, low.get(rule.name, math.inf))
    return low


def is_refusal(name: str, value: float | None, low: Mapping[str, float]) -> bool:
    """Whether an event says that the unit does not want the item.

    Args:
        name: of the event; of feedback `feedback.` and its kind.
        value: of the event.
        low: up to which value a rating is low, as `low_ratings` says.
    """
    event = event_of(name)
    return event in REFUSALS and _counts(name, value, low)


def _counts(name: str, value: float | None, low: Mapping[str, float]) -> bool:
    """Whether an action is what the rule of its event is about: a thumb may point up."""
    event = event_of(name)
    if event == "thumb":
        return value is not None and value < 0
    if event == "rating":
        return value is not None and value <= low.get(name, LOW_RATING)
    return True


def _event(name: str) -> str:
    if not 1 <= len(name) <= MAX_EVENT:
        raise RuleError("repeat", f"repeat.{short_repr(name)}: must name an event.")
    return event_of(name)


def _seconds(name: str, rule: Any) -> float:
    field = f"repeat.{name[:MAX_EVENT]}"
    if rule == "never":
        return NEVER
    if rule == "always":
        return ALWAYS
    days = rule.get("after_days") if isinstance(rule, dict) and len(rule) == 1 else None
    if not isinstance(days, int | float) or isinstance(days, bool) or not 0 < days <= MAX_DAYS:
        form = f"'never', 'always' or {{\"after_days\": DAYS}} with DAYS in (0, {MAX_DAYS:g}]"
        raise RuleError(field, f"{field} == {short_repr(rule)}, must be {form}.")
    return float(days) * DAY
