"""Many short texts in a few arrays: mapped from disk, shared by processes, found without a dict.

A million ids as a list and a dict are 200 MB in each process. Here they are one run of UTF-8 with the
place where each ends, and a hash table of two arrays: the bucket of a text is the upper bits of its
CRC-32; `places` holds the texts bucket by bucket, `buckets` where each bucket begins. A look-up reads
one bucket and compares the texts themselves.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Load = Callable[[str], NDArray[Any]]

NAMES = ("text", "ends", "buckets", "places")


def table_arrays(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a table.

    Args:
        texts: n of them, each once.
    """
    encoded = [text.encode() for text in texts]
    bits = _bits(len(encoded))
    hashes = np.fromiter(map(zlib.crc32, encoded), dtype=np.uint32, count=len(encoded))
    bucket_of = (hashes >> np.uint32(32 - bits)).astype(np.int32)
    places = np.argsort(bucket_of, kind="stable").astype(np.int32)
    counts = np.bincount(bucket_of, minlength=1 << bits)
    return {
        "text": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        "ends": np.cumsum([len(one) for one in encoded], dtype=np.int64),
        "buckets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        "places": places,
    }


def _bits(count: int) -> int:
    """Return of how many bits a bucket's number is: about one text to a bucket."""
    return max(1, count.bit_length())


class TextTable(Sequence[str]):
    """Texts by their place.

    Attributes:
        place_of: the place of each text, as a dict would say it.
    """

    def __init__(self, load: Load) -> None:
        """Map the arrays, by their names."""
        text, ends, buckets, places = (load(name) for name in NAMES)
        # As memory views: numpy would make an object of its own for every number that is read.
        self._text, self._ends = text.data, ends.data
        self.place_of: Mapping[str, int] = TextIndex(self, buckets.data, places.data)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return str(self.encoded(place if place >= 0 else len(self) + place), "utf-8")

    def encoded(self, place: int) -> memoryview:
        """Return a text as UTF-8.

        Raises:
            IndexError: there is no such place.
        """
        end = self._ends[place]
        return self._text[self._ends[place - 1] if place else 0 : end]


class Places(Mapping[str, int]):
    """Places of texts, as a dict would say them, over one way to look a text up."""

    @abstractmethod
    def get(self, text: object, default: Any = None) -> Any:
        """Return the place of a text, or a default."""

    def __getitem__(self, text: str) -> int:
        place: int | None = self.get(text)
        if place is None:
            raise KeyError(text)
        return place

    def __contains__(self, text: object) -> bool:
        return self.get(text) is not None


class TextIndex(Places):
    """The places of texts, as a dict would say them."""

    def __init__(self, table: TextTable, buckets: memoryview, places: memoryview) -> None:
        """Look texts up in a table."""
        self._table, self._buckets, self._places = table, buckets, places
        self._shift = 32 - _bits(len(table))

    def get(self, text: object, default: Any = None) -> Any:
        """Return the place of a text, or a default."""
        if not isinstance(text, str):
            return default
        # What is no Unicode is in no table, and may be asked for by a client.
        encoded = text.encode(errors="surrogatepass")
        bucket = zlib.crc32(encoded) >> self._shift
        for n in range(self._buckets[bucket], self._buckets[bucket + 1]):
            place = self._places[n]
            if self._table.encoded(place) == encoded:
                return place
        return default

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)
