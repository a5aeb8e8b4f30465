"""Features of a request that a model may read besides the unit's history: country, device, hour.

A feature is a name and a word: what the product says of the request in `context`, or what the clock
says, in UTC. A word that a version has not learnt says nothing.
"""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FIELD = "context_features"
CLOCK = ("hour", "weekday")
KNOWN = ("country", "device", "language", "platform", *CLOCK)
CUSTOM = "context."  # before the name of a product's own
MAX_FEATURES = 8  # each is a vector that a request adds
MAX_NAME = 64
MAX_WORD = 64


class ContextFeatureError(ValueError):
    """Features that break a rule."""


def check_features(names: Sequence[str]) -> None:
    """Check what a surface declares.

    Raises:
        ContextFeatureError: too many, one twice, or an unknown one.
    """
    if len(names) > MAX_FEATURES or len(set(names)) < len(names):
        raise ContextFeatureError(
            f"{FIELD} == {list(names)!r:.100}, must be at most {MAX_FEATURES} different features."
        )
    for name in names:
        custom = name.startswith(CUSTOM) and len(CUSTOM) < len(name) <= MAX_NAME and "=" not in name
        if name not in KNOWN and not custom:
            close = difflib.get_close_matches(name, KNOWN, 1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise ContextFeatureError(
                f"context feature == '{name[:MAX_NAME]}', must be one of {sorted(KNOWN)}, or "
                f"'{CUSTOM}NAME' for what the product's context calls NAME.{hint}"
            )


def words_of(names: Sequence[str], context: Mapping[str, Any], at: float) -> dict[str, str]:
    """Return the words of a request; a feature of which it says nothing is not among them.

    Args:
        names: of the features.
        context: what the product says of the request.
        at: when it came, in seconds since 1970.
    """
    words = {}
    for name in names:
        value = _clock(name, at) if name in CLOCK else context.get(name.removeprefix(CUSTOM))
        if isinstance(value, str | int | float) and value != "":
            words[name] = str(value).strip().lower()[:MAX_WORD]
    return words


def keys_of(names: Sequence[str]) -> list[str]:
    """Return what the product's context calls the features, without those of the clock."""
    return [name.removeprefix(CUSTOM) for name in names if name not in CLOCK]


def _clock(name: str, at: float) -> int:
    moment = datetime.fromtimestamp(at, UTC)
    return moment.hour if name == "hour" else moment.isoweekday()
