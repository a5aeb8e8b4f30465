"""The items of a catalogue, and some that it does not hold, as a ranker's: nothing is copied.

A row of the catalogue is a place; what the catalogue does not hold stands behind its rows. Rows that
come later are no places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from inference.serving.text_table import Places

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from inference.serving.catalogue import Catalogue


class CatalogueItems(Sequence[str]):
    """Ids by their place.

    Attributes:
        rows: how many of the places are rows of the catalogue.
        place_of: the place of each id.
    """

    def __init__(self, catalogue: Catalogue, others: Iterable[str]) -> None:
        """Take the catalogue as it is now.

        Args:
            catalogue: of the project.
            others: ids, of which those that the catalogue does not hold are added.
        """
        self._catalogue, self.rows = catalogue, len(catalogue)
        self._beside = [one for one in dict.fromkeys(others) if not self._is_row(catalogue.find(one))]
        self.place_of: Mapping[str, int] = _PlaceOf(self, catalogue, self._beside)

    def _is_row(self, row: int | None) -> bool:
        return row is not None and row < self.rows

    def __len__(self) -> int:
        return self.rows + len(self._beside)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if place >= self.rows:
            return self._beside[place - self.rows]
        return self._catalogue.item_id(place)


class _PlaceOf(Places):
    def __init__(self, items: CatalogueItems, catalogue: Catalogue, beside: Sequence[str]) -> None:
        self._items, self._catalogue = items, catalogue
        self._beside = {item_id: items.rows + n for n, item_id in enumerate(beside)}

    def get(self, text: object, default: Any = None) -> Any:
        """Return the place of an id, or a default."""
        if not isinstance(text, str):
            return default
        row = self._catalogue.find(text)
        if row is not None and row < self._items.rows:
            return row
        return self._beside.get(text, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
