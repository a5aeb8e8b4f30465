"""What can be trained for a surface: recommenders, or classifiers; a package may bring more.

An installed package registers an object under the entry point group `bakeoff.recommenders` or
`bakeoff.classifiers`; it implements the protocol of that name and exports to a form that serving knows.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from inference.classifiers import CLASSIFIERS
from inference.recommenders import RECOMMENDERS

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)
GROUPS = {"recommend": "bakeoff.recommenders", "classify": "bakeoff.classifiers"}


@cache
def algorithms_of(kind: str) -> Mapping[str, Any]:
    """Return what can be trained for surfaces of a kind, by name: a flag's answer needs no model."""
    if kind not in GROUPS:
        return {}
    known: dict[str, Any] = dict(CLASSIFIERS if kind == "classify" else RECOMMENDERS)
    for entry in entry_points(group=GROUPS[kind]):
        try:
            loaded = entry.load()
            algorithm = loaded() if isinstance(loaded, type) else loaded
        except Exception:
            # Somebody else's package must not keep the platform's own models from being trained.
            logger.exception("entry point %s of %s cannot be loaded", entry.name, entry.value)
            continue
        known[entry.name] = algorithm
    return known
