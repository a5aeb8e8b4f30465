"""Candidates of a request, and what its rules say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inference.serving.artifact import Floats, Indices
    from inference.serving.rule_draw import SlotRules


@dataclass(frozen=True, slots=True)
class RuledCandidates:
    """Candidates, and what rules say of them.

    Attributes:
        names: ids of the candidates, and after them of what is pinned and is none.
        rules: about all of these.
    """

    names: Sequence[str]
    rules: SlotRules


class CandidateRules(Protocol):
    """Rules of a request."""

    def about(
        self,
        names: Sequence[str],
        vectors: Callable[[], Floats] | None,
        rows: Indices | None = None,
    ) -> RuledCandidates:
        """Return what holds among candidates.

        Args:
            names: their ids.
            vectors: returns the version's vectors of them, (m, d); None where there is no version.
            rows: theirs in the catalogue, (m,), -1 for none; None to look them up by name.
        """
        ...

    def with_vectors(self, ruled: RuledCandidates, vectors: Callable[[], Floats]) -> RuledCandidates:
        """Return what `about` returned without vectors with these; it may run in a thread."""
        ...

    def has_room(self, rows: Indices, shown: Sequence[str]) -> bool:
        """Return whether caps leave any item for a slate.

        Args:
            rows: of the items in the catalogue, (m,), -1 for none.
            shown: ids of what is in the slate.
        """
        ...


class CandidateNames(Sequence[str]):
    """The ids of candidates, each read when it is wanted: a slate names ten of two hundred."""

    def __init__(self, item_ids: Sequence[str], items: Indices) -> None:
        self._item_ids, self._items = item_ids, items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        # All at once: pins look for theirs among as many as twenty thousand.
        return iter(self[:])

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self._item_ids[item] for item in self._items[place].tolist()]
        return self._item_ids[int(self._items[place])]
