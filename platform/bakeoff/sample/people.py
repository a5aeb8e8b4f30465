"""The people of the sample shop: what each of them likes, and so what each clicks and buys.

Guarantees: pure and repeatable; a person clicks the same things in every variant. Nobody of them
exists.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.replay.dataset import Interaction
from bakeoff.replay.visitors import SimulatedVisitor
from bakeoff.sample.goods import COLOURS, COUNT, KINDS, good, number_of
from bakeoff.sample.voices import Voice

if TYPE_CHECKING:
    from collections.abc import Sequence

PEOPLE = 2500
EVENTS = 50_000
SEED = "sample"
DAY = 86_400.0
PAST_DAYS = 30
# Of a thing that a person likes for its kind, and of any other: the chance that it is clicked where it
# is shown. A list that knows the person is a third better then, which a few hundred visitors show.
LIKED, OTHER, COLOUR_BONUS = 0.13, 0.075, 0.06
BUYS = 0.25  # of what is clicked
PERSONAL_LISTS = "item-knn"  # algorithm of the lists that know their visitor
KINDS_OF_A_PERSON = 3
# In the past most of what people opened was of the kinds that they like.
BROWSES_LIKED = 0.7


@dataclass(frozen=True, slots=True)
class Person:
    """One visitor.

    Attributes:
        unit_id: the id.
        kinds: of goods that the person likes.
        colour: that the person likes.
    """

    unit_id: str
    kinds: frozenset[str]
    colour: str

    def chance(self, item_id: str) -> float:
        """Return the chance that the person clicks a thing that is shown."""
        number = number_of(item_id)
        if number is None:
            return 0.0
        one = good(number)
        likes = LIKED if one.kind in self.kinds else OTHER
        return likes + (COLOUR_BONUS if one.colour == self.colour and one.kind in self.kinds else 0.0)


def person(number: int) -> Person:
    """Return a person by number, from 0 on; those from PEOPLE on are new to the shop."""
    unit = f"visitor-{number:05}"
    draw = random.Random(f"{SEED}:{unit}")  # noqa: S311  a simulation
    kinds = draw.sample([kind for kind, _ in KINDS], KINDS_OF_A_PERSON)
    return Person(unit, frozenset(kinds), draw.choice(list(COLOURS)))


class Clicks(Mapping[str, float | None]):
    """What a person would click on one visit: a mapping of the things to their rating, which is none.

    Whether a thing is in it is decided by a hash of visit, person and thing when it is asked.
    """

    def __init__(self, one: Person, *, visit: str, share: float = 1.0) -> None:
        """Fix the visit; `share` is the part of what would be clicked that is in it."""
        self._one, self._visit, self._share = one, visit, share

    def __contains__(self, item: object) -> bool:
        """Whether the thing is clicked."""
        return isinstance(item, str) and _chance(self._visit, self._one.unit_id, item) < (
            self._share * self._one.chance(item)
        )

    def __getitem__(self, item: str) -> float | None:
        """Return no rating: the sample's people give none."""
        if item not in self:
            raise KeyError(item)
        return None

    def __iter__(self) -> Iterator[str]:
        """Go through all of it."""
        return (one for one in map(_item_id, range(COUNT)) if one in self)

    def __len__(self) -> int:
        """Return how many things there are."""
        return sum(1 for _ in self)


def _item_id(number: int) -> str:
    return good(number).item_id


def _chance(*names: str) -> float:
    digest = hashlib.sha256("\0".join((SEED, *names)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def visitor(number: int, *, visit: str) -> SimulatedVisitor:
    """Return a person as a visitor: what is clicked on this visit, what of it is bought, and said."""
    one = person(number)
    clicks, buys = Clicks(one, visit=visit), Clicks(one, visit=visit, share=BUYS)
    return SimulatedVisitor(one.unit_id, clicks, buys, voice=Voice(one.unit_id, PERSONAL_LISTS, buys))


def past_events(count: int = EVENTS) -> list[Interaction]:
    """Return what people clicked in the 30 days before, the oldest first, times in seconds from 0."""
    draw = random.Random(SEED)  # noqa: S311  a simulation
    people = [person(number) for number in range(PEOPLE)]
    by_kind: dict[str, Sequence[int]] = {
        kind: range(place * COUNT // len(KINDS), (place + 1) * COUNT // len(KINDS))
        for place, (kind, _) in enumerate(KINDS)
    }
    events = []
    for _ in range(count):
        one = draw.choice(people)
        if draw.random() < BROWSES_LIKED:
            numbers = by_kind[draw.choice(sorted(one.kinds))]
        else:
            numbers = range(COUNT)
        # The first colours and styles of a kind sell best: a square of a uniform number says which.
        number = numbers[int(len(numbers) * draw.random() ** 2)]
        events.append(
            Interaction(one.unit_id, good(number).item_id, None, draw.random() * PAST_DAYS * DAY)
        )
    return sorted(events, key=lambda event: event.at)
