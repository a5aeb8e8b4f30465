"""Which items' texts are nearest to a question: vectors of a project in a worker's memory.

The first question of a project has its vectors loaded beside the thread that answers; until then, and
where there is no encoder, it is refused, and the web process goes by words alone. From then on vectors
follow the catalogue, some seconds behind. A graph is stored, so that a worker that starts maps it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import Q

from inference.encoders.item_vectors import encoder_sha256, load_encoder
from inference.encoders.stored_graph import (
    FOLDER,
    GraphDescription,
    GraphRefusedError,
    measured,
    open_graph,
    store_graph,
)
from inference.encoders.vector_graph import VectorGraph
from inference.models import CatalogueState, Item, ItemVector
from inference.serving.nearest_texts import MAX_NEAREST, pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from inference.serving.artifact import Floats

logger = logging.getLogger(__name__)
MAX_ITEMS = 100_000  # 150 MB of vectors, which all are compared; more are sought by a graph
MAX_PROJECTS = 8  # held at once; the one that was asked for least lately goes
REFRESH_SECONDS = 10.0
MIN_COSINE = 0.3  # below it, texts have as much in common as any two
CHUNK = 2000
STORED_SHARE = (
    0.05  # of a graph's vectors that may differ from what is stored, before it is stored anew
)


class NotLoadedError(Exception):
    """The vectors of a project are being loaded."""


@dataclass(slots=True)
class _Texts:
    """The vectors of one project.

    Attributes:
        change: number of the last change of the catalogue that is in them.
        pending: ids of items whose text has no vector yet.
        place: row of each item, by its id.
        ids: of the items, int64 (n,).
        vectors: of length 1, or 0 for an item that is gone, float32 (n, width); empty with a graph.
        graph: in their place once there are many.
        loaded_at: by a clock that only goes forward; 0 for not yet.
        stored: what is known of the stored graph; None where there is none.
    """

    change: int = -1
    pending: set[int] = field(default_factory=set)
    place: dict[int, int] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)
    vectors: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    graph: VectorGraph | None = None
    loaded_at: float = 0.0
    stored: GraphDescription | None = None

    def load(self, project: int) -> None:
        """Take over what changed since."""
        started = time.monotonic()
        state = CatalogueState.objects.filter(project=project).first()
        number = state.number if state is not None else 0
        if self.change < 0:
            self._open(project, number)
        rows = Item.deleted_or_not.filter(project=project)
        if self.change >= 0:
            rows = rows.filter(Q(change__gt=self.change) | Q(pk__in=self.pending))
        ids = list(rows.order_by("-pk").values_list("pk", flat=True))
        for start in range(0, len(ids), CHUNK):
            self._take(list(Item.deleted_or_not.filter(pk__in=ids[start : start + CHUNK])))
        self.change, self.loaded_at = number, time.monotonic()
        if self.graph is not None:
            self._store(project, self.graph, time.monotonic() - started)

    def _open(self, project: int, number: int) -> None:
        """Begin with the stored graph, if there is one that fits the catalogue and the encoder."""
        try:
            opened = open_graph(_folder(project), encoder=encoder_sha256(), change=number)
        except GraphRefusedError as error:
            logger.warning("the stored graph of project %s is built anew: %s", project, error)
            return
        if opened is not None:
            self._adopt(*opened)

    def _adopt(self, graph: VectorGraph, stored: GraphDescription) -> None:
        """Go on from a stored graph: the next load takes over what came since."""
        self.graph, self.stored, self.change = graph, stored, stored.change
        self.pending |= set(stored.pending)

    def _store(self, project: int, graph: VectorGraph, seconds: float) -> None:
        """Store the graph where much of it is not stored yet; searches go on meanwhile."""
        if self.stored is not None and graph.changes <= STORED_SHARE * self.stored.items:
            return
        about = GraphDescription(
            sha256="",
            encoder=encoder_sha256(),
            change=self.change,
            pending=tuple(sorted(self.pending)),
            items=len(graph),
            # Of what was built whole: what is added to it later is found as well.
            recall=self.stored.recall if self.stored is not None else measured(graph),
            build_seconds=self.stored.build_seconds if self.stored is not None else round(seconds, 1),
        )
        try:
            opened = open_graph(_folder(project), encoder=about.encoder, change=about.change)
            if opened is None or opened[1] == self.stored:  # else another process was first
                store_graph(_folder(project), graph, about)
                opened = open_graph(_folder(project), encoder=about.encoder, change=about.change)
        except (OSError, ValueError, RuntimeError, GraphRefusedError) as error:
            # It serves from memory as before, and the next load tries again.
            logger.warning("the graph of project %s is not stored: %s", project, error)
            return
        if opened is not None and opened[1] != self.stored:
            self._adopt(*opened)

    def _take(self, items: Sequence[Item]) -> None:
        keys = {
            item.pk: ItemVector.key_of(item.text_to_embed) for item in items if item.deleted_at is None
        }
        known = dict(
            ItemVector.objects.filter(
                encoder_sha256=encoder_sha256(), text_sha256__in=set(keys.values())
            ).values_list("text_sha256", "vector")
        )
        for item in items:
            packed = known.get(keys.get(item.pk, ""))
            if packed is not None:
                self._put(item.pk, np.frombuffer(packed, dtype="<f4"))
                self.pending.discard(item.pk)
            elif item.deleted_at is None:
                self.pending.add(item.pk)
            else:
                self._remove(item.pk)
                self.pending.discard(item.pk)

    def _remove(self, pk: int) -> None:
        if self.graph is not None:
            self.graph.remove(pk)
        elif pk in self.place:
            self.vectors[self.place[pk]] = 0

    def _put(self, pk: int, vector: Floats) -> None:
        if self.graph is not None:
            self.graph.put([pk], vector[None])
            return
        place = self.place.get(pk)
        if place is None:
            place = len(self.ids)
            if place >= MAX_ITEMS:
                self._grow_into_a_graph(len(vector))
                self._put(pk, vector)
                return
            if place >= len(self.vectors):
                more = np.zeros((max(place, CHUNK), len(vector)), np.float32)
                self.vectors = np.concatenate([self.vectors.reshape(-1, len(vector)), more])
            self.ids.append(pk)
        # First the vector, then its name: another thread may be looking.
        self.vectors[place] = vector / max(float(np.linalg.norm(vector)), 1e-9)
        self.place[pk] = place

    def _grow_into_a_graph(self, width: int) -> None:
        """Put all vectors into a graph, and search it from then on."""
        graph, held = VectorGraph(width), self.vectors[: len(self.ids)]
        there = np.flatnonzero(held.any(axis=1))
        graph.put([self.ids[row] for row in there], held[there])
        # First the graph, then away with the vectors: another thread may be looking.
        self.graph = graph
        self.ids, self.place, self.vectors = [], {}, np.zeros((0, 0), np.float32)

    def nearest(self, vector: Floats) -> list[tuple[int, float]]:
        """Return ids and cosines of the nearest items, best first."""
        if self.graph is not None:
            near = self.graph.nearest(vector, MAX_NEAREST)
            return [(pk, cosine) for pk, cosine in near if cosine >= MIN_COSINE]
        ids, vectors = self.ids, self.vectors  # both, should they go into a graph meanwhile
        count = min(len(ids), len(vectors))
        if not count:
            return []
        cosines = vectors[:count] @ vector
        top = np.argsort(-cosines, kind="stable")[:MAX_NEAREST]
        return [(ids[row], float(cosines[row])) for row in top if cosines[row] >= MIN_COSINE]


def _folder(project: int) -> Path:
    return settings.BAKEOFF.home / FOLDER / str(project)


class NearestTexts:
    """Answers for all projects; one in a worker."""

    def __init__(self, refresh_seconds: float = REFRESH_SECONDS) -> None:
        """Load nothing yet.

        Args:
            refresh_seconds: how far vectors may be behind the catalogue.
        """
        self._refresh_seconds = refresh_seconds
        self._texts: dict[int, _Texts] = {}
        self._loading: set[int] = set()
        self._lock = threading.Lock()

    def answer(self, questions: Sequence[Mapping[str, Any]]) -> list[list[float]]:
        """Return the nearest items of each question.

        Raises:
            NotLoadedError: the vectors of a project are not here yet.
        """
        projects = {int(question["project"]) for question in questions}
        for project in projects:
            self._refresh(project)
        if missing := [p for p in projects if not self._texts[p].loaded_at]:
            raise NotLoadedError(f"vectors of project {missing[0]} are being loaded.")
        vectors = load_encoder().encode([question["seek"] for question in questions])
        return [
            pack(self._texts[int(question["project"])].nearest(vector))
            for question, vector in zip(questions, vectors, strict=True)
        ]

    def _refresh(self, project: int) -> None:
        """Have a project's vectors loaded in a thread of their own when that is due."""
        with self._lock:
            texts = self._texts.pop(project, None) or _Texts()
            self._texts[project] = texts  # the last one is the one that was asked for lately
            while len(self._texts) > MAX_PROJECTS:
                del self._texts[next(iter(self._texts))]
            fresh = texts.loaded_at and time.monotonic() - texts.loaded_at < self._refresh_seconds
            if fresh or project in self._loading:
                return
            self._loading.add(project)
        threading.Thread(
            target=self._load, args=(project, texts), name="nearest texts", daemon=True
        ).start()

    def _load(self, project: int, texts: _Texts) -> None:
        try:
            load_encoder()
            texts.load(project)
        except Exception:
            # Whatever it is, the next question has it tried again, and words answer meanwhile.
            logger.exception("vectors of project %s are not loaded", project)
        finally:
            connection.close()  # this thread's own
            with self._lock:
                self._loading.discard(project)
