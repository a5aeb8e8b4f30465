"""Which events say that a unit liked an item: `click`, or `rating>=4`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT = ("click", "conversion")
_RULE = re.compile(r"(?P<name>[^<>=]+?)(?:\s*>=\s*(?P<minimum>-?\d+(?:\.\d+)?))?")


class LikeRuleError(ValueError):
    """A rule that cannot be read."""


@dataclass(frozen=True, slots=True)
class LikeRule:
    """Events of one name whose value reaches a bound, if there is one."""

    name: str
    minimum: float | None = None

    @classmethod
    def parse(cls, text: str) -> LikeRule:
        """Read a rule.

        Raises:
            LikeRuleError: it has another form.
        """
        match = _RULE.fullmatch(text.strip())
        if match is None:
            raise LikeRuleError(f"liked event == '{text}', must be NAME or NAME>=NUMBER.")
        minimum = match["minimum"]
        return cls(name=match["name"], minimum=float(minimum) if minimum is not None else None)

    def matches(self, name: str, value: float | None) -> bool:
        """Whether an event says so."""
        if name != self.name:
            return False
        return self.minimum is None or (value is not None and value >= self.minimum)


def parse_rules(texts: Sequence[str]) -> tuple[LikeRule, ...]:
    """Read a surface's rules; none means the defaults."""
    return tuple(LikeRule.parse(text) for text in texts or DEFAULT)


def history_name(project_id: int, rules: Iterable[LikeRule]) -> str:
    """Return the name of what units of a project liked by some rules, in whatever order they stand."""
    conditions = sorted(f"{rule.name}>={rule.minimum}" for rule in rules)
    return f"{project_id}-{hashlib.sha256(repr(conditions).encode()).hexdigest()[:12]}"


def is_liked(rules: Iterable[LikeRule], name: str, value: float | None) -> bool:
    """Whether any rule matches."""
    return any(rule.matches(name, value) for rule in rules)
