"""What a request for an action may say, read into columns in one pass."""

from __future__ import annotations

import struct
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.gateway.http.errors import ApiError, invalid
from bakeoff.gateway.http.fields import body_rule, flag, request_type, rule
from bakeoff.gateway.slates.requests import SurfaceRequest, read_features
from experiments import bounds
from experiments.bounds import MAX_ID, MAX_VALUE, check
from inference.serving.action_set import ActionSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MAX_ACTIONS = 200
MAX_ACTION_FEATURES = 200
MAX_CONTEXT_FEATURES = 50  # each is crossed with every feature of the actions
_NUMBER_TYPES = {float, int, bool, type(None)}


def read_actions(body: Mapping[str, Any]) -> ActionSet:
    """Read the actions, with the features of the decision.

    Raises:
        ApiError, BoundsError: what breaks a rule.
    """
    if body.get("k") not in (None, 1):  # who asks for a list must not take one action for it
        raise invalid("k", body["k"], "1 or missing: one action is chosen, /v1/recommend gives lists")
    actions = body.get("actions")
    if not isinstance(actions, list) or not actions:
        raise invalid("actions", actions, f"a list of 1 to {MAX_ACTIONS} actions")
    if len(actions) > MAX_ACTIONS:
        raise invalid("actions", f"{len(actions)} of them", f"at most {MAX_ACTIONS}")
    context = read_features(body.get("features"), "features")
    if len(context) > MAX_CONTEXT_FEATURES:
        raise invalid("features", f"{len(context)} of them", f"at most {MAX_CONTEXT_FEATURES}")
    _check_names(actions)
    ids = [_id_of(action, index) for index, action in enumerate(actions)]
    if len(set(ids)) < len(ids):
        twice = next(one for index, one in enumerate(ids) if one in ids[:index])
        raise invalid("actions.id", twice, "the id of one action only")
    names = _names_of(actions[0].get("features"))
    if (numbers := _plain_numbers(actions, names)) is not None:  # nearly always
        return ActionSet(ids, names, numbers, {}, context)
    return _as_columns(ids, names, _values_of(actions, names), context)


def _check_names(actions: Sequence[Any]) -> None:
    """Refuse names that cannot be stored; the route leaves the actions to this reader.

    Names are those of the first action, or refused; numbers are judged as a matrix, and texts, which
    are few, one by one: to write thousands of values as JSON only to see that they can be written took
    longer than to choose an action.
    """
    first = actions[0].get("features") if isinstance(actions[0], dict) else None
    if isinstance(first, dict):
        check(list(first), "actions[0].features")


def _id_of(action: Any, index: int) -> str:
    if not isinstance(action, dict):
        raise invalid(f"actions[{index}]", action, "an object with id and features")
    return bounds.text(action.get("id"), f"actions[{index}].id")


def _names_of(first: Any) -> tuple[str, ...]:
    """Return the names of the first action's features."""
    if not isinstance(first, dict) or not 1 <= len(first) <= MAX_ACTION_FEATURES:
        shown = f"{len(first)} of them" if isinstance(first, dict) else first
        raise invalid("actions[0].features", shown, f"an object of 1 to {MAX_ACTION_FEATURES} features")
    for name in first:
        if not 1 <= len(name) <= MAX_ID:
            raise invalid("actions[0].features", name, f"named by 1 to {MAX_ID} characters")
    return tuple(first)


def _values_of(actions: Sequence[dict[str, Any]], names: Sequence[str]) -> list[list[Any]]:
    """Return each action's values in the order of the names."""
    first, rows = actions[0]["features"], []
    for index, action in enumerate(actions):
        features = action.get("features")
        if not isinstance(features, dict) or features.keys() != first.keys():
            raise _other_names(f"actions[{index}].features", features, first)
        rows.append([features[name] for name in names])
    return rows


def _other_names(field: str, features: Any, first: Mapping[str, Any]) -> ApiError:
    if not isinstance(features, dict) or not features:
        return invalid(field, features, f"an object with the features {sorted(first)[:5]!r:.80}")
    missing, more = sorted(set(first) - set(features)), sorted(set(features) - set(first))
    what = f"without '{missing[0]:.40}'" if missing else f"with '{more[0]:.40}'"
    return invalid(field, what, "named as the features of the first action are")


def _as_columns(
    ids: list[str], names: tuple[str, ...], values: list[list[Any]], context: Mapping[str, Any]
) -> ActionSet:
    if set(map(type, chain.from_iterable(values))) <= _NUMBER_TYPES:  # with gaps, or in another order
        return ActionSet(ids, names, _matrix(values, names), {}, context)
    check([{"features": dict(zip(names, row, strict=True))} for row in values], "actions")
    texts = {name: [row[i] for row in values] for i, name in enumerate(names) if _is_text(values, i)}
    for name, column in texts.items():
        for index, value in enumerate(column):
            if value is not None and (not isinstance(value, str) or len(value) > MAX_ID):
                rule_text = f"a text of at most {MAX_ID} characters, as of other actions, or null"
                raise invalid(f"actions[{index}].features.{name}", value, rule_text)
    numeric = [i for i, name in enumerate(names) if name not in texts]
    for index, row in enumerate(values):
        for i in numeric:
            if type(row[i]) not in _NUMBER_TYPES:
                rule_text = f"a number, true, false, null or {MAX_ID} characters"
                raise invalid(f"actions[{index}].features.{names[i]}", row[i], rule_text)
    numbered = tuple(names[i] for i in numeric)
    numbers = _matrix([[row[i] for i in numeric] for row in values], numbered)
    return ActionSet(ids, numbered, numbers, texts, context)


def _plain_numbers(
    actions: Sequence[dict[str, Any]], names: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """Return thousands of numbers at once, (actions, names).

    None where they must be read one by one: in another order, of other names, with gaps or texts.
    """
    features: list[Any] = [action.get("features") for action in actions]
    if set(map(type, features)) != {dict}:
        return None
    # Nearly always in one order, which is seen by comparing pointers. No object has a name twice, so
    # they all have the same names if the names of all in a row are these again and again.
    if list(chain.from_iterable(features)) != list(names) * len(features):
        return None
    try:  # takes plain numbers and nothing else
        packed = struct.pack(
            f"{len(features) * len(names)}d", *chain.from_iterable(map(dict.values, features))
        )
    except struct.error:
        return None
    numbers = np.frombuffer(packed).reshape(len(features), len(names))
    if (np.abs(numbers) > MAX_VALUE).any():
        return None  # the slower way names the number
    return numbers


def _is_text(values: Sequence[Sequence[Any]], column: int) -> bool:
    return any(isinstance(row[column], str) for row in values)


def _matrix(values: list[list[Any]], names: Sequence[str]) -> NDArray[np.float64]:
    numbers = np.array(values, dtype=float).reshape(len(values), len(names))
    return _within_bounds(numbers, values, names)


def _within_bounds(
    numbers: NDArray[np.float64], values: list[list[Any]], names: Sequence[str]
) -> NDArray[np.float64]:
    # A missing feature is NaN, which is in no bounds and breaks none.
    if (beyond := np.abs(numbers) > MAX_VALUE).any():
        index, column = (int(place[0]) for place in np.nonzero(beyond))
        name = f"actions[{index}].features.{names[column]}"
        raise invalid(name, values[index][column], f"a number in [{-MAX_VALUE:g}, {MAX_VALUE:g}]")
    return numbers


def _default(body: Mapping[str, Any]) -> str | None:
    value = body.get("default")
    if value is None:
        return None
    known = [one.get("id") for one in body["actions"]]  # they were read before
    if value not in known:
        raise invalid("default", value, "the id of one of the actions")
    return str(value)


def _expose(value: Any, name: str) -> bool:
    if value is not None and not flag(value, name):
        raise invalid(name, value, "true: an action counts from its decision on")
    return True


@request_type
class RankRequest(SurfaceRequest):
    """The body of /v1/rank.

    Attributes:
        actions: what may be chosen, with the features of the decision.
        default: id of the action that the product would take by itself; None: the first.
        expose: always true.
    """

    actions: ActionSet = body_rule(read_actions)
    default: str | None = body_rule(_default)
    expose: bool = rule(_expose)

    @property
    def default_index(self) -> int:
        """The default action's place among the actions."""
        return 0 if self.default is None else list(self.actions.ids).index(self.default)

    def rng_or(self, shared: np.random.Generator) -> np.random.Generator:
        """Return the coins of this decision: the process's, unless a request brings its own."""
        return shared
