"""Features as that service takes them, lists of nested objects, as the columns of a decision.

    [{"price": 3}, {"taste": {"hot": true}}]    price, taste.hot
    {"tags": ["new", "red"]}                    tags, the text "new,red"
    {"sizes": [1, 2]}                           sizes.0, sizes.1

Actions need not name the same features there: what one lacks is null, which a policy reads as the mean.
A feature that is a text of one action is one of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.gateway.http.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DEPTH = 8
MAX_FLAT = 1000  # beyond what any rule of the names allows; ends the reading of a body that nests


def flat_features(value: Any, name: str) -> dict[str, Any]:
    """Return a list of feature objects as one object of plain values; a missing one is empty.

    Raises:
        ApiError: it is no list of objects, or two of them name the same feature.
    """
    objects = [] if value is None else value
    # One object in place of a list of one: clients of several languages send it so.
    objects = [objects] if isinstance(objects, dict) else objects
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        raise invalid(name, value, "a list of objects")
    flat: dict[str, Any] = {}
    for one in objects:
        for key, plain in _walk(one, "", name, 0):
            if key in flat:
                raise invalid(name, key, "named once: give one of the two objects a name around it")
            flat[key] = plain
            if len(flat) > MAX_FLAT:
                raise invalid(name, f"more than {MAX_FLAT}", f"at most {MAX_FLAT} features")
    return flat


def _walk(value: Any, key: str, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > MAX_DEPTH:
        raise invalid(name, key, f"nested at most {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _walk(inner, f"{key}.{part}" if key else part, name, depth + 1)
    elif isinstance(value, list) and any(isinstance(one, str) for one in value):
        # Together one word: features of their own would differ from request to request.
        yield key, ",".join(sorted(_as_text(one) for one in value))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{key}.{index}", name, depth + 1)
    else:
        yield key, value


def same_names(rows: Sequence[dict[str, Any]], ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return features of actions that all name the same, each a number or each a text.

    Args:
        rows: flat features of each action.
        ids: of the actions, which are what is read where none has a feature.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return [{"id": one} for one in ids]
    texts = {name for name in names if any(isinstance(row.get(name), str) for row in rows)}
    return [{name: _plain(row.get(name), as_text=name in texts) for name in names} for row in rows]


def _plain(value: Any, *, as_text: bool) -> Any:
    return _as_text(value) if as_text and value is not None else value


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
