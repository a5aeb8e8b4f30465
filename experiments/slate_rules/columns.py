"""One property of all items of a catalogue, as numbers that a filter compares at once.

Every distinct value has a code. A test is asked once per distinct value, by the language of conditions
itself, and looked up per item; numbers are compared as an array. So a filter means exactly what a
condition of targeting means, and ten thousand items cost a lookup each.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from inference.serving.composed_text import composed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from inference.serving.artifact import Floats, Indices
    from inference.serving.catalogue import Catalogue, Mask
    from inference.serving.catalogue_row import CatalogueRow
    from inference.serving.stored_catalogue import StoredCatalogue

# Of the value that an item does not have.
MISSING = 0
MAX_WIDTH = 256  # of vectors that are made for every distinct value
MAX_NUMBERS = 2**20  # of these vectors together: 4 MiB a column
MAX_TESTS = 256  # remembered per column: requests that name a price of their own would fill the memory


class Column:
    """A property of every row of a catalogue.

    Attributes:
        values: the distinct values, by code; the first stands for none.
        is_number: whether every value is a number, as far as there is one.
        is_text: whether every value is a text, or a list of texts, as far as there is one.
        is_boolean: whether every value is true or false, as far as there is one.
        has_objects: whether any value is an object, or none is known.
        is_list: whether any value is a list.
    """

    def __init__(self, path: str) -> None:
        """Begin without rows.

        Args:
            path: of the property, dotted where it lies within another.
        """
        self._read = reader_of(path)
        self._first = path.split(".", maxsplit=1)[0]
        self._name = None if "." in path else path  # as stored catalogues have columns of
        self.values: list[Any] = [None]
        self._code_of: dict[bytes, int] = {}
        self._codes = np.zeros(0, dtype=np.int32)
        self._numbers = np.zeros(0)
        self._tests: dict[bytes, Mask] = {}
        # The event loop asks tests, and threads those that take long.
        self._remembering = threading.Lock()
        self._seen = self._listed = 0
        self._part_of: dict[str, int] = {}
        self._lists = np.zeros((0, 1), dtype=np.int32)
        self._features: Floats | None = None
        self.is_number = self.is_text = self.is_boolean = True
        self.is_list = self._has_object = False

    def rows_behind(self, catalogue: Catalogue) -> int:
        """Return how many rows `update` would read, or look through."""
        return len(catalogue.touched_since(self._seen)[0])

    def update(self, catalogue: Catalogue) -> None:
        """Take over the rows that changed since."""
        if not self._seen and catalogue.stored is not None and self._name is not None:
            self._take(catalogue.stored)
        count, (rows, self._seen) = len(catalogue), catalogue.touched_since(self._seen)
        # Of a million items none has to be read, as long as none is known with a value.
        if not catalogue.has_property(self._first) and len(self.values) == 1:
            rows = ()
        if len(self._codes) < count:
            more = max(count - len(self._codes), len(self._codes))
            self._codes = np.concatenate([self._codes, np.zeros(more, dtype=np.int32)])
            self._numbers = np.concatenate([self._numbers, np.full(more, np.nan)])
        for row in rows:
            value = self._read(catalogue.rows[row])
            self._codes[row] = self._encode(value)
            self._numbers[row] = value if _is_number(value) else np.nan

    def _take(self, stored: StoredCatalogue) -> None:
        """Begin with what is stored of this property: a million rows are not read one by one."""
        column = stored.column(self._name or "")
        if column is None:
            return
        numbers = np.array([value if _is_number(value) else np.nan for value in column.values])
        # By the codes here: two values of the file may be one when they are composed.
        codes = np.array([self._encode(value) for value in column.values], dtype=np.int32)
        self._codes = codes[column.codes]
        self._numbers = numbers[column.codes]
        self._seen = len(stored)

    def _encode(self, value: Any) -> int:
        if value is None:
            return MISSING
        value = composed(value)  # items that an earlier release wrote may not be
        key = orjson.dumps(value)
        code = self._code_of.get(key)
        if code is None:
            code = self._code_of[key] = len(self.values)
            self.values.append(list(value) if isinstance(value, tuple) else value)
            self.is_number = self.is_number and _is_number(value)
            self.is_text = self.is_text and _is_text(value)
            self.is_boolean = self.is_boolean and isinstance(value, bool)
            self.is_list = self.is_list or isinstance(value, list | tuple)
            self._has_object = self._has_object or holds_object(value)
        return code

    @property
    def kind(self) -> str:
        """The kind of all values: 'number', 'text' or 'boolean'; '' where they differ or miss."""
        if len(self.values) == 1:
            return ""
        kinds = {"number": self.is_number, "text": self.is_text, "boolean": self.is_boolean}
        return next((name for name, holds in kinds.items() if holds), "")

    @property
    def has_objects(self) -> bool:
        """Whether any value is an object, or a list that holds one, or none is known."""
        return self._has_object or len(self.values) == 1

    def codes(self, count: int) -> NDArray[np.int32]:
        """Return the codes of the first rows, (count,)."""
        return self._codes[:count]

    def numbers(self, count: int) -> NDArray[np.float64]:
        """Return the values of the first rows, (count,); NaN for what is no number."""
        return self._numbers[:count]

    def lists(self, rows: Indices) -> NDArray[np.int32]:
        """Return the values of some rows by codes of their own, (m, w); -1 fills the line.

        A value that is no list is a list of one, so an item with the labels a and b has two.

        Args:
            rows: of the catalogue, -1 for what it does not hold.
        """
        self.list_values()
        return self._lists[np.where(rows >= 0, self._codes[rows], MISSING)]

    def features(self, rows: Indices) -> Floats | None:
        """Return a vector of length 1 per row, (m, f), with a number for each value in its list.

        Args:
            rows: of the catalogue, -1 for what it does not hold, whose vector is 0.

        Returns:
            None where there are too many values for a vector of each to be ready.
        """
        self.list_values()
        if self._features is None:
            return None
        return self._features[np.where(rows >= 0, self._codes[rows], MISSING)]

    @property
    def values_unlisted(self) -> int:
        """How many distinct values `list_values` would read."""
        return len(self.values) - self._listed

    def list_values(self) -> None:
        """Bring the table of codes within lists, as long as the distinct values, up to date."""
        if not self.values_unlisted:
            return
        lines = [
            [self._part_of.setdefault(repr(one), len(self._part_of)) for one in _as_list(value)]
            for value in self.values[self._listed :]
        ]
        before, count = self._lists, self._listed + len(lines)
        self._lists = np.full((count, max([before.shape[1], *map(len, lines)])), -1, dtype=np.int32)
        self._lists[: self._listed, : before.shape[1]] = before
        for row, line in zip(self._lists[self._listed :], lines, strict=True):
            row[: len(line)] = line
        self._features = None
        if len(self._part_of) <= MAX_WIDTH and len(self._part_of) * count <= MAX_NUMBERS:
            features = np.zeros((count, len(self._part_of)), dtype=np.float32)
            items, places = (self._lists >= 0).nonzero()
            features[items, self._lists[items, places]] = 1.0
            self._features = of_length_one(features)
        self._listed = count

    def equal_to(self, texts: Sequence[str], count: int) -> Mask:
        """Return which of the first rows have one of these texts, (count,); of no column of lists."""
        known = [self._code_of.get(orjson.dumps(text)) for text in texts]
        answers = np.zeros(len(self.values), dtype=bool)
        answers[[code for code in known if code is not None]] = True
        held: Mask = answers[self._codes[:count]]
        return held

    def values_untested(self, key: bytes) -> int:
        """How many distinct values `answer` would ask a test of."""
        answers = self._tests.get(key)
        return len(self.values) - (0 if answers is None else len(answers))

    def answer(self, key: bytes, test: Callable[[Any], bool]) -> Mask:
        """Return per distinct value whether a test holds.

        Args:
            key: names the test.
            test: of a value; asked once per distinct value.
        """
        answers = self._tests.get(key)
        known = 0 if answers is None else len(answers)
        if answers is None or known < len(self.values):
            more = np.array([test(value) for value in self.values[known:]], dtype=bool)
            answers = more if answers is None else np.concatenate([answers, more])
            with self._remembering:
                if len(self._tests) >= MAX_TESTS:
                    self._tests.pop(next(iter(self._tests)))
                self._tests[key] = answers
        return answers

    def matches(self, key: bytes, test: Callable[[Any], bool], count: int) -> Mask:
        """Return for which of the first rows a test holds, (count,)."""
        held: Mask = self.answer(key, test)[self._codes[:count]]
        return held


def of_length_one(vectors: Floats) -> Floats:
    """Scale vectors, (m, f), to the length 1 where they stand; those of length 0 stay so."""
    lengths = np.sqrt(np.einsum("mf,mf->m", vectors, vectors))
    vectors /= np.maximum(lengths, np.float32(1e-9))[:, None]
    return vectors


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, str)


def holds_object(value: Any) -> bool:
    """Whether a value is an object, or a list that holds one."""
    parts = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(one, dict) for one in parts)


def reader_of(path: str) -> Callable[[CatalogueRow], Any]:
    """Return what reads a field or property of a row, by its dotted path; what is missing is None."""
    first, *rest = path.split(".")

    def read(row: CatalogueRow) -> Any:
        value = row.fields.get(first)
        if value is None:
            value = row.properties.get(first)
        for step in rest:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return read
