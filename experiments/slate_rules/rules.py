"""The rules of a slate, as a product writes them: read, checked, and joined with a request's own.

{"filter": {"price": {"$lte": 50}},
 "boost": [{"filter": {"labels": "sale"}, "by": 2}],
 "bury": {"brand": "Zeta"},
 "pin": [{"item_id": "i9", "position": 1}],
 "caps": {"brand": 2},
 "diversity": {"by": "labels", "strength": 0.3},
 "freshness": {"half_life_days": 30},
 "repeat": {"purchase": {"after_days": 30}}}
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from experiments.slate_rules.context_values import composed_condition
from experiments.slate_rules.filters import MAX_FILTER_BYTES, check_condition
from experiments.slate_rules.repeat import parse_repeat
from experiments.slate_rules.rule_error import RuleError, short_repr
from inference.serving.composed_text import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = (
    "filter",
    "boost",
    "bury",
    "pin",
    "caps",
    "diversity",
    "freshness",
    "repeat",
    "new_item_share",
    "new_item_days",
)
MAX_BOOSTS = 20
MAX_PINS = 20
MAX_CAPS = 5
MAX_BOOST = 1000.0  # ranks are divided by it: more would put everything first anyway
MAX_POSITION = 100
MAX_NAME = 200
MAX_DAYS = 3650.0
MAX_NEW_SHARE = 0.5  # what a version has learnt keeps at least half of a slate
NEW_SHARE, NEW_DAYS = 0.05, 14.0  # where no rule says more
VECTORS = "vectors"  # what diversity may go by, beside properties


@dataclass(frozen=True, slots=True)
class Boost:
    """Items that come sooner (by > 1) or later (by < 1)."""

    filter: Mapping[str, Any]
    by: float


@dataclass(frozen=True, slots=True)
class DiversityRule:
    """By which property, or by the version's vectors, and how much, in [0, 1]."""

    by: str
    strength: float


@dataclass(frozen=True, slots=True)
class SlateRules:
    """What a product rules about a slate; the default rules nothing.

    Attributes:
        filters: all of which an item must pass.
        boosts: whose factors multiply.
        buried: filters; what passes one comes after all other items.
        pins: by position from 1, the item that stands there.
        caps: by property, how many items of one value.
        diversity: or None.
        half_life_days: in which a new item loses half of its advantage; None for none.
        new_item_share: expected share of slots of items that came after the version; None for the
            default: 0.05 on a surface that explores.
        new_item_days: up to which age an item is a new one; None for 14.
        repeat: by event, after how many seconds an item may be shown again; beside the defaults.
    """

    filters: tuple[Mapping[str, Any], ...] = ()
    boosts: tuple[Boost, ...] = ()
    buried: tuple[Mapping[str, Any], ...] = ()
    pins: Mapping[int, str] = field(default_factory=dict)
    caps: Mapping[str, int] = field(default_factory=dict)
    diversity: DiversityRule | None = None
    half_life_days: float | None = None
    new_item_share: float | None = None
    new_item_days: float | None = None
    repeat: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether it rules anything."""
        return self != NO_RULES

    @property
    def conditions(self) -> tuple[Mapping[str, Any], ...]:
        """Every filter in them."""
        return (*self.filters, *self.buried, *(boost.filter for boost in self.boosts))

    @property
    def orders(self) -> bool:
        """Whether it rules more than which items there may be."""
        return bool(
            self.boosts
            or self.buried
            or self.pins
            or self.caps
            or self.diversity is not None
            or self.half_life_days is not None
        )

    def joined_with(self, request: SlateRules) -> SlateRules:
        """Return these and a request's rules together.

        Filters, boosts and what is buried add up; of caps the lower counts; the request's pins,
        diversity and freshness, and what it says of an event's repetition, replace these.
        """
        if not request:
            return self
        caps = dict(self.caps)
        for name, limit in request.caps.items():
            caps[name] = min(limit, caps.get(name, limit))
        taken = set(request.pins.values())
        pins = {at: item for at, item in self.pins.items() if item not in taken}
        return SlateRules(
            filters=(*self.filters, *request.filters),
            boosts=(*self.boosts, *request.boosts),
            buried=(*self.buried, *request.buried),
            pins={**pins, **request.pins},
            caps=caps,
            diversity=request.diversity or self.diversity,
            half_life_days=request.half_life_days or self.half_life_days,
            new_item_share=_first(request.new_item_share, self.new_item_share),
            new_item_days=_first(request.new_item_days, self.new_item_days),
            repeat={**self.repeat, **request.repeat},
        )

    @classmethod
    def parse(cls, body: Any, *, stored: bool = False) -> SlateRules:
        """Read rules.

        Args:
            body: as a product writes them.
            stored: whether they were saved, perhaps by an earlier version, which took filters by the
                items' own properties `published_at` and `expires_at`.

        Raises:
            RuleError: one of them breaks a rule; properties are not looked up.
        """
        if not isinstance(body, dict):
            raise RuleError("rules", f"rules == {short_repr(body)}, must be an object.")
        for name in body:
            if name not in NAMES:
                near = difflib.get_close_matches(name, NAMES, n=1)
                hint = f"Did you mean '{near[0]}'?" if near else f"Known are {list(NAMES)}."
                raise RuleError(name, f"{name[:80]}: there is no such rule. {hint}")
        return cls(
            filters=_filters(body.get("filter"), "filter", stored=stored),
            boosts=_boosts(body.get("boost"), stored=stored),
            buried=_filters(body.get("bury"), "bury", stored=stored),
            pins=_pins(body.get("pin")),
            caps=_caps(body.get("caps")),
            diversity=_diversity(body.get("diversity")),
            half_life_days=_half_life(body.get("freshness")),
            new_item_share=_optional(body, "new_item_share", 0, MAX_NEW_SHARE),
            new_item_days=_optional(body, "new_item_days", 1 / 24, MAX_DAYS),
            repeat=parse_repeat(body.get("repeat")),
        )


NO_RULES = SlateRules()


def check_properties(rules: SlateRules, require_known: Callable[[str, str], None]) -> None:
    """Refuse caps and diversity by a property that no item has.

    Args:
        rules: to be followed.
        require_known: raises for a path that is not known, and its field.
    """
    for path in rules.caps:
        require_known(path, "caps")
    if rules.diversity is not None and rules.diversity.by != VECTORS:
        require_known(rules.diversity.by, "diversity")


def _filters(value: Any, name: str, *, stored: bool) -> tuple[Mapping[str, Any], ...]:
    if value is None or value == {}:
        return ()
    size = len(orjson.dumps(value))
    if size > MAX_FILTER_BYTES:
        raise RuleError(name, f"{name} == {size} bytes, must be at most {MAX_FILTER_BYTES}.")
    check_condition(value, name, stored=stored)
    return (composed_condition(value),)


def _boosts(value: Any, *, stored: bool) -> tuple[Boost, ...]:
    boosts = []
    for n, entry in enumerate(_entries(value, "boost", MAX_BOOSTS)):
        name = f"boost.{n}"
        _require_names(entry, name, ("filter", "by"))
        (condition,) = _filters(entry.get("filter"), f"{name}.filter", stored=stored) or ({},)
        boosts.append(
            Boost(condition, _number(entry.get("by"), f"{name}.by", 1 / MAX_BOOST, MAX_BOOST))
        )
    return tuple(boosts)


def _pins(value: Any) -> dict[int, str]:
    pins: dict[int, str] = {}
    for n, entry in enumerate(_entries(value, "pin", MAX_PINS)):
        name = f"pin.{n}"
        _require_names(entry, name, ("item_id", "position"))
        item, position = entry.get("item_id"), entry.get("position")
        if not isinstance(item, str) or not 1 <= len(item) <= MAX_NAME:
            rule = f"1 to {MAX_NAME} characters"
            raise RuleError(f"{name}.item_id", f"{name}.item_id == {short_repr(item)}, must be {rule}.")
        at = int(_number(position, f"{name}.position", 1, MAX_POSITION))
        if at != position:
            rule = f"{name}.position == {short_repr(position)}, must be a whole number."
            raise RuleError(f"{name}.position", rule)
        if at in pins:
            rule = f"{name}.position == {at}, must be another: '{pins[at][:80]}' is pinned there."
            raise RuleError(f"{name}.position", rule)
        if item in pins.values():
            raise RuleError(f"{name}.item_id", f"{name}.item_id == '{item[:80]}' is pinned already.")
        pins[at] = item
    return pins


def _caps(value: Any) -> dict[str, int]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_CAPS:
        rule = f"an object of at most {MAX_CAPS} properties and numbers"
        raise RuleError("caps", f"caps == {short_repr(value)}, must be {rule}.")
    caps = {}
    for path, limit in value.items():
        number = _number(limit, f"caps.{path[:80]}", 1, MAX_POSITION)
        if number != int(number):
            raise RuleError(f"caps.{path}", f"caps.{path} == {number:g}, must be a whole number.")
        caps[composed(path)] = int(number)
    return caps


def _diversity(value: Any) -> DiversityRule | None:
    if value is None:
        return None
    _require_names(value, "diversity", ("by", "strength"))
    by = value.get("by", "labels")
    if not isinstance(by, str) or not 1 <= len(by) <= MAX_NAME:
        raise RuleError("diversity.by", f"diversity.by == {short_repr(by)}, must name a property.")
    strength = _number(value.get("strength", 0.3), "diversity.strength", 0, 1)
    return DiversityRule(composed(by), strength) if strength > 0 else None


def _half_life(value: Any) -> float | None:
    if value is None:
        return None
    _require_names(value, "freshness", ("half_life_days", "half_life_hours"))
    if "half_life_hours" not in value:
        return _number(value.get("half_life_days"), "freshness.half_life_days", 1 / 24, MAX_DAYS)
    if "half_life_days" in value:
        rule = "one of half_life_days and half_life_hours"
        raise RuleError("freshness", f"freshness == {short_repr(value)}, must be {rule}.")
    return _number(value["half_life_hours"], "freshness.half_life_hours", 1, 24 * MAX_DAYS) / 24


def _optional(body: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = body.get(name)
    return None if value is None else _number(value, name, low, high)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _entries(value: Any, name: str, limit: int) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > limit:
        raise RuleError(name, f"{name} == {short_repr(value)}, must be a list of at most {limit}.")
    return value


def _require_names(value: Any, name: str, names: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise RuleError(name, f"{name} == {short_repr(value)}, must be an object of {list(names)}.")
    for key in value:
        if key not in names:
            raise RuleError(
                f"{name}.{key}", f"{name}.{key[:80]}: unknown, must be one of {list(names)}."
            )


def _number(value: Any, name: str, low: float, high: float) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not low <= value <= high:
        rule = f"in [{low:g}, {high:g}]" if plain else f"a number in [{low:g}, {high:g}]"
        raise RuleError(name, f"{name} == {short_repr(value)}, must be {rule}.")
    return float(value)
