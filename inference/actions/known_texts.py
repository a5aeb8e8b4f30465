"""Whether a labelled text is there already under a name of another sort, and would count twice."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inference.models import Example

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from inference.actions.example_draft import ExampleDraft

# How `load_examples` names a row by its content.
_BY_CONTENT = re.compile(r"[0-9a-f]{32}:[0-9]+")
READ_ROWS = 2000


@dataclass(slots=True)
class _Rows:
    """The rows of one sort: their hashes, and their keys by the features that another sort shares.

    Attributes:
        names: of their features, sorted.
        hashes: of each row one of its text and one of each feature.
    """

    names: Sequence[str]
    hashes: array[int] = field(default_factory=lambda: array("q"))
    _keys: dict[frozenset[str], set[int]] = field(default_factory=dict)

    def add(self, text: str, features: Mapping[str, object]) -> None:
        """Hold a row."""
        self.hashes.append(_hash_of_text(text))
        self.hashes.extend(hash(str(features[name])) for name in self.names)

    def keys(self, shared: frozenset[str]) -> set[int]:
        """Return each row's key by its text and these of its features."""
        keys = self._keys.get(shared)
        if keys is None:
            places = [0, *(n for n, name in enumerate(self.names, start=1) if name in shared)]
            columns = [self.hashes[place :: len(self.names) + 1] for place in places]
            keys = self._keys[shared] = set(map(hash, zip(*columns, strict=True)))
        return keys


class KnownTexts:
    """The texts that a surface's examples had before a load, by how each is named.

    A file that is loaded with a column of ids and again without one, or with its columns as features
    and again without them, has other names the second time: every row would be there twice. Rows are
    the same where their texts are, and all features that both have: loans "for a car" may be of many
    amounts. Two files with ids of their own may hold one text each: both count.
    """

    def __init__(self, surface_id: int) -> None:
        """Read the surface's examples once; of a text and of each feature its hash is held."""
        self._ids: set[str] = set()
        self._sorts: dict[tuple[bool, frozenset[str]], _Rows] = {}
        rows = Example.objects.filter(surface_id=surface_id).values_list(
            "example_id", "text", "features"
        )
        for example_id, text, features in rows.iterator(READ_ROWS):
            self._ids.add(example_id)
            sort = _is_by_content(example_id), frozenset(features)
            if sort not in self._sorts:
                self._sorts[sort] = _Rows(sorted(features))
            self._sorts[sort].add(text, features)

    def is_new(self, draft: ExampleDraft) -> bool:
        """Whether an example is to be written: it replaces one, or its text is not there elsewhere."""
        if draft.example_id in self._ids:
            return True
        by_content, names = _is_by_content(draft.example_id), frozenset(draft.features)
        for (other_by_content, other_names), rows in self._sorts.items():
            if by_content == other_by_content and (not by_content or names == other_names):
                continue
            shared = names & other_names
            if not shared and not draft.text.strip():
                continue  # rows without a text that have nothing in common
            if _key_of(draft, shared) in rows.keys(shared):
                return False
        return True


def _is_by_content(example_id: str) -> bool:
    return _BY_CONTENT.fullmatch(example_id) is not None


def _hash_of_text(text: str) -> int:
    return hash(text if text.strip() else "")


def _key_of(draft: ExampleDraft, shared: frozenset[str]) -> int:
    """Return the hash that `_Rows.keys` has of a row with the same text and shared features."""
    values = (hash(str(draft.features[name])) for name in sorted(shared))
    return hash((_hash_of_text(draft.text), *values))
