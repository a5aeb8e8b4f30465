"""The one list of what can be trained: our recommenders and classifiers, and those of packages.

An installed package registers a class under the entry point group `bakeoff.recommenders` or
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

    from inference.classifiers import Classifier
    from inference.recommenders import Recommender

logger = logging.getLogger(__name__)


@cache  # reading every installed package's metadata takes milliseconds, and a page asks each time
def recommenders() -> Mapping[str, Recommender]:
    """Return what can be trained to rank items, by name."""
    return {**RECOMMENDERS, **_of_packages("bakeoff.recommenders")}


@cache
def classifiers() -> Mapping[str, Classifier]:
    """Return what can be trained to label texts, by name."""
    return {**CLASSIFIERS, **_of_packages("bakeoff.classifiers")}


def algorithms_of(kind: str) -> Mapping[str, Recommender | Classifier]:
    """Return what can be trained for surfaces of a kind, by name; nothing for flags."""
    if kind == "recommend":
        return recommenders()
    return classifiers() if kind == "classify" else {}


def _of_packages(group: str) -> dict[str, Any]:
    algorithms = {}
    for entry in entry_points(group=group):
        try:
            loaded = entry.load()
            algorithms[entry.name] = loaded() if isinstance(loaded, type) else loaded
        except Exception:
            # Somebody else's package must not keep the platform's own models from being trained.
            logger.exception("entry point %s of %s cannot be loaded", entry.name, entry.value)
    return algorithms
