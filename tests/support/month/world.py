"""Who likes what, and the challengers that know it, each as well as its quality says.

Challengers are endpoints, so that everybody knows what must become of them. Offline, while it is
trained, a model is always good: what differs is what users see.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.endpoint import Endpoint

OFFLINE = 0.9  # quality of every model on what the gate judges


@dataclass(frozen=True)
class World:
    """Who likes what.

    Attributes:
        items: of the catalogue.
        past: (unit, item) of events before the month, in their order.
        likes: what each visitor goes on to like.
    """

    items: Sequence[str]
    past: Sequence[tuple[str, str]]
    likes: Mapping[str, frozenset[str]]

    @classmethod
    def synthetic(cls, *, users: int = 800, items: int = 400, seed: int = 1) -> World:
        """Every user likes a fifth of the catalogue: enough for a month of clicks, each item once."""
        chosen = random.Random(seed)
        names = [f"i{n}" for n in range(items)]
        likes = [
            (f"u{user}", item) for user in range(users) for item in chosen.sample(names, items // 5)
        ]
        return cls.of_likes(names, likes)

    @classmethod
    def of_likes(
        cls,
        items: Sequence[str],
        likes: Iterable[tuple[str, str]],
        *,
        minimum: int = 20,
        known: int = 200,
        past: int = 6,
    ) -> World:
        """Return the world of a log.

        Args:
            items: of the catalogue.
            likes: (unit, item) in the order of time.
            minimum: likes of a user who comes.
            known: users of whom there is a past: few, since a gate asks a model about each.
            past: likes of each of them that were before the month.
        """
        tastes: dict[str, list[str]] = {}
        for unit, item in likes:
            tastes.setdefault(unit, []).append(item)
        tastes = {unit: liked for unit, liked in tastes.items() if len(liked) >= minimum}
        before = [(unit, item) for unit, liked in [*tastes.items()][:known] for item in liked[:past]]
        return cls(items, before, {unit: frozenset(liked[past:]) for unit, liked in tastes.items()})


def _scores(
    candidates: Sequence[str], likes: Collection[str], quality: float, draw: random.Random
) -> list[float]:
    """Return scores by which a share `quality` of the first items is liked, as long as there are some."""
    liked = [item in likes for item in candidates]
    count = sum(liked)
    alike = min(count, len(liked) - count)
    chance = {
        True: quality * alike / max(count, 1),
        False: (1 - quality) * alike / max(len(liked) - count, 1),
    }
    return [draw.random() + (draw.random() < chance[good]) for good in liked]


@dataclass
class Challenger:
    """A model of known quality.

    Attributes:
        name: in its address.
        quality: share of what it shows that the user likes.
        fate: the action that its test must end with.
        breaks: whether it answers errors once its ramp has taken a step.
    """

    name: str
    quality: float
    fate: str
    breaks: bool = False


class Models:
    """The endpoints of all challengers, in one server."""

    def __init__(self, world: World) -> None:
        """Serve."""
        self._likes, self._past = world.likes, dict[str, set[str]]()
        for unit, item in world.past:
            self._past.setdefault(unit, set()).add(item)
        self.quality: dict[str, float] = {}
        self.broken: set[str] = set()
        self._random = random.Random(1)
        self.endpoint = Endpoint()
        self.endpoint.behave = self._behave

    def url_of(self, name: str) -> str:
        return f"{self.endpoint.url}?model={name}"

    def _behave(self, request: Mapping[str, Any]) -> Any:
        self.endpoint.requests.clear()  # nobody reads them, and each has the whole catalogue
        name = request["path"].partition("model=")[2]
        if name in self.broken:
            return b"no model here"
        likes, recent = self._likes.get(request["unit_id"]), request["recent"]
        if likes is None:  # the gate asks: to it all are alike, whatever their name
            once = random.Random("".join(recent))
            return {"scores": _scores(request["candidates"], self._liked_before(recent), OFFLINE, once)}
        quality = self.quality.get(name, OFFLINE)
        return {"scores": _scores(request["candidates"], likes, quality, self._random)}

    def _liked_before(self, recent: Sequence[str]) -> Collection[str]:
        """Return what the unit liked before the month that liked these items, too."""
        best = max(self._past.values(), key=lambda liked: len(liked.intersection(recent)))
        return best if best.intersection(recent) else ()
