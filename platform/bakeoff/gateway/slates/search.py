"""Items that a question finds: by words in PostgreSQL, by vectors of texts in a worker.

Guarantees: both are asked at once; without a worker, or where it is too slow, words alone find, and the
answer says so. What is nearest to a product's title is remembered for some minutes, and its breaker is
another than that of searches. While PostgreSQL is away there is no ranker, so that the surface's static
list answers and says so.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.gateway.database import Connector, Lookup
from bakeoff.gateway.remembered import Remembered
from bakeoff.gateway.slates.remote_scorer import RemoteError
from bakeoff.gateway.slates.word_search import find_by_words
from inference.serving.nearest_texts import MAX_NEAREST, MODEL, ask_for, unpack
from inference.serving.ordered_items import OrderedItems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from bakeoff.gateway.slates.remote_scorer import RemoteScorer
    from inference.serving.catalogue import Catalogue
    from inference.serving.orders import LiveOrder

QUERY = "$query"  # in a slate's context
WORDS_ALONE = "words_alone"
NO_VECTORS = "Words alone were sought: no worker has said in time what is near in meaning."
MAX_WAITING = 10_000  # texts that are counted
# Whose breakers guard the worker's vectors, of questions and of titles: no version has these ids.
QUESTIONS, TITLES = 0, -1
MAX_TITLES, TITLE_SECONDS = 2000, 300.0  # a hundred ids each
FUSION = 60.0  # of reciprocal rank fusion (Cormack, Clarke & Buettcher 2009)
_NAMES = "SELECT id, item_id FROM inference_item WHERE project_id = %(project)s AND id = ANY(%(ids)s)"

_WAITING = """
    SELECT count(*) FROM (SELECT 1 FROM inference_item
        WHERE vector_due_at IS NOT NULL AND project_id = %(project)s LIMIT %(limit)s) AS waiting"""


class Search:
    """Finds items by words; one in a process."""

    def __init__(self, connector: Connector, remote: RemoteScorer) -> None:
        """Remember where to ask, and who asks workers."""
        self._lookup = Lookup(connector, "words", writes=False)
        self._remote = remote
        self._titles: Remembered[tuple[int, str], tuple[float, list[str]]] = Remembered(MAX_TITLES)

    async def stop(self) -> None:
        """Close the connection."""
        await self._lookup.stop()

    async def ranker(
        self, project: int, question: str, order: LiveOrder, catalogue: Catalogue
    ) -> tuple[OrderedItems | None, str | None]:
        """Return what was found, best first, and why not all was asked, if so.

        Nothing is found while nothing can be looked up, None then.

        Args:
            project: whose items.
            question: in words.
            order: how much each ranking counts.
            catalogue: of the project.
        """
        by_words, by_vectors = await asyncio.gather(
            self._by_words(project, question),
            self._nearest(QUESTIONS, project, question) if order.vector_weight else _nothing(),
        )
        if by_words is None:
            return None, None
        rankings = {"words": by_words, "vectors": by_vectors or ()}
        weights = {"words": order.word_weight, "vectors": order.vector_weight}
        return fuse(rankings, weights, catalogue), WORDS_ALONE if by_vectors is None else None

    async def nearest_to_title(self, project: int, title: str) -> list[str] | None:
        """Return the items whose texts are nearest to a title; None where nobody says in time."""
        known = self._titles.get((project, title))
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        nearest = await self._nearest(TITLES, project, title)
        if nearest is not None:
            self._titles[project, title] = time.monotonic() + TITLE_SECONDS, nearest
        return nearest

    async def why_incomplete(self, project: int, reason: str | None) -> str:
        """Say why what was sought may be there though it was not found; empty where nothing is known.

        Args:
            project: whose items.
            reason: of the search.
        """

        async def ask(connection: psycopg.AsyncConnection) -> int:
            cursor = await connection.execute(_WAITING, {"project": project, "limit": MAX_WAITING})
            row = await cursor.fetchone()
            return row[0] if row is not None else 0

        waiting = await self._lookup.ask(ask)
        if waiting:
            more = " or more" if waiting == MAX_WAITING else ""
            return f"{waiting:,}{more} texts wait for their vectors: words alone find them until then."
        return NO_VECTORS if reason == WORDS_ALONE else ""

    async def _nearest(self, asker: int, project: int, text: str) -> list[str] | None:
        """Return the items whose texts are nearest to a text; None where nobody says in time."""
        try:
            answer = await self._remote.answer(asker, MODEL, ask_for(project, text), 2 * MAX_NEAREST)
        except RemoteError:
            return None
        ids = unpack(answer.scores)

        async def ask(connection: psycopg.AsyncConnection) -> dict[int, str]:
            cursor = await connection.execute(_NAMES, {"project": project, "ids": ids})
            return dict(await cursor.fetchall())

        names = await self._lookup.ask(ask) if ids else {}
        return None if names is None else [names[one] for one in ids if one in names]

    async def _by_words(self, project: int, question: str) -> list[str] | None:
        async def ask(connection: psycopg.AsyncConnection) -> list[str] | None:
            return await find_by_words(connection, project, question)

        return await self._lookup.ask(ask)


async def _nothing() -> list[str]:
    """Find nothing: this ranking does not count."""
    return []


def fuse(
    rankings: Mapping[str, Sequence[str]], weights: Mapping[str, float], catalogue: Catalogue
) -> OrderedItems:
    """Return items by the sum of weight / (60 + rank) over the rankings that have them.

    Args:
        rankings: item ids, best first, by name.
        weights: by the same names.
        catalogue: of the project.
    """
    scores: dict[str, float] = {}
    for name, items in rankings.items():
        if not weights[name]:
            continue
        for rank, item in enumerate(items, start=1):
            scores[item] = scores.get(item, 0.0) + weights[name] / (FUSION + rank)
    names = list(scores)
    values = np.array([scores[name] for name in names], dtype=np.float32)
    return OrderedItems(
        digest="search",
        item_ids=names,
        index={name: place for place, name in enumerate(names)},
        scores=values,
        default_order=np.argsort(-values, kind="stable").astype(np.int32),
        catalogue_rows=catalogue.rows_named(names),
    )
