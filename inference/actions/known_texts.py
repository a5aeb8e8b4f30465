"""Whether a labelled text is there already under a name of another sort, and would count twice."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from inference.models import Example

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.actions.load_examples import ExampleDraft

# How `load_examples` names a row by its content.
_BY_CONTENT = re.compile(r"[0-9a-f]{32}:[0-9]+")
READ_ROWS = 2000


class KnownTexts:
    """The texts that a surface's examples had before a load, by how each is named.

    A file that is loaded with a column of ids and again without one, or with its columns as features
    and again without them, has other names the second time: every row would be there twice. Two files
    with ids of their own may hold one text each: both count.
    """

    def __init__(self, surface_id: int) -> None:
        """Read the surface's examples once; of a text its hash is held."""
        self._ids: set[str] = set()
        self._texts: dict[tuple[bool, frozenset[str]], set[int]] = defaultdict(set)
        rows = Example.objects.filter(surface_id=surface_id).values_list(
            "example_id", "text", "features"
        )
        for example_id, text, features in rows.iterator(READ_ROWS):
            self._ids.add(example_id)
            sort = _is_by_content(example_id), frozenset(features)
            self._texts[sort].add(_key_of(text, features, sort[1]))

    def is_new(self, draft: ExampleDraft) -> bool:
        """Whether an example is to be written: it replaces one, or its text is not there elsewhere."""
        if draft.example_id in self._ids:
            return True
        by_content, names = _is_by_content(draft.example_id), frozenset(draft.features)
        for (other_by_content, other_names), texts in self._texts.items():
            if by_content == other_by_content and (not by_content or names == other_names):
                continue
            shared = names & other_names
            if not shared and not draft.text.strip():
                continue  # rows without a text that have nothing in common
            if _key_of(draft.text, draft.features, shared) in texts:
                return False
        return True


def _is_by_content(example_id: str) -> bool:
    return _BY_CONTENT.fullmatch(example_id) is not None


def _key_of(text: str, features: Mapping[str, object], names: frozenset[str]) -> int:
    """Return the hash of a text; of a row without one, of the features that both sorts have."""
    if text.strip():
        return hash(text)
    return hash(tuple((name, str(features[name])) for name in sorted(names)))
