"""A project's graph of texts, stored: a worker that starts maps it, and adds what came since.

Guarantees: a file is opened only where its SHA-256 is the described one; what is damaged, of another
encoder or newer than the catalogue is refused with a sentence, and the graph is built anew. The
description is written last, and names its file, so that it never stands for half of one or another's.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from inference.encoders.vector_graph import VectorGraph
from inference.serving.file_lock import try_lock

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
FOLDER = "text-graphs"  # of the home
DESCRIPTION, LOCK = "graph.json", ".lock"
MIN_RECALL, RECALL_AT, SAMPLED = 0.95, 100, 50


class GraphRefusedError(Exception):
    """A stored graph that is not used; the message says why."""


@dataclass(frozen=True, slots=True)
class GraphDescription:
    """What is known of a graph without opening it.

    Attributes:
        sha256: of the file, which is named by it.
        encoder: SHA-256 of what its vectors were made by.
        change: number of the last change of the catalogue that is in it.
        pending: ids of items whose text had no vector then.
        items: how many vectors it has.
        recall: share of the 100 nearest that it finds, over sampled texts, when it was built whole.
        build_seconds: that building it whole took; without the vectors themselves.
    """

    sha256: str
    encoder: str
    change: int
    pending: tuple[int, ...]
    items: int
    recall: float
    build_seconds: float


def open_graph(
    folder: Path, *, encoder: str, change: int
) -> tuple[VectorGraph, GraphDescription] | None:
    """Return a project's graph, mapped, and what is known of it; None where none is stored.

    Args:
        folder: of the project.
        encoder: SHA-256 of the encoder that is asked by.
        change: number of the catalogue's last change.

    Raises:
        GraphRefusedError: what is stored is not used; it is deleted, to be built anew.
    """
    try:
        return _open(folder, encoder, change)
    except GraphRefusedError:
        (folder / DESCRIPTION).unlink(missing_ok=True)
        raise


def _open(folder: Path, encoder: str, change: int) -> tuple[VectorGraph, GraphDescription] | None:
    try:
        content = json.loads((folder / DESCRIPTION).read_bytes())
        about = GraphDescription(**{**content, "pending": tuple(content["pending"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise GraphRefusedError(f"{DESCRIPTION} cannot be read: {error}.") from error
    if about.encoder != encoder:
        raise GraphRefusedError(f"encoder == {about.encoder[:12]}, must be {encoder[:12]}.")
    if about.change > change:  # of a database that was put back
        raise GraphRefusedError(f"change == {about.change}, must be at most the catalogue's {change}.")
    path = _file_of(folder, about.sha256)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != about.sha256:
            raise GraphRefusedError(
                f"graph {path.name} was changed: SHA-256 == {digest[:12]}, must be {about.sha256[:12]}."
            )
        graph = VectorGraph.map(path)
    except (OSError, ValueError) as error:
        raise GraphRefusedError(f"graph {path.name} cannot be opened: {error}.") from error
    if len(graph) != about.items:
        raise GraphRefusedError(f"items of {path.name} == {len(graph)}, must be {about.items}.")
    return graph, about


def store_graph(folder: Path, graph: VectorGraph, about: GraphDescription) -> GraphDescription | None:
    """Write a graph and what is known of it; None while another process writes.

    Args:
        folder: of the project.
        graph: which nobody adds to meanwhile.
        about: what is known; its hash and count are taken from what is written.

    Raises:
        OSError: there is no room, or no right.
    """
    with try_lock(folder / LOCK) as is_mine:
        if not is_mine:
            return None
        new = folder / f".new-{os.getpid()}"
        try:
            graph.save(new)
            with new.open("rb") as file:
                os.fsync(file.fileno())
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            new.replace(_file_of(folder, digest))
        finally:
            new.unlink(missing_ok=True)
        about = GraphDescription(**{**asdict(about), "sha256": digest, "items": len(graph)})
        aside = folder / f".{DESCRIPTION}"
        aside.write_text(json.dumps(asdict(about)))
        aside.replace(folder / DESCRIPTION)
        for path in folder.glob("*.usearch"):  # who has one mapped keeps it until the process ends
            if path != _file_of(folder, digest):
                path.unlink(missing_ok=True)
        return about


def measured(graph: VectorGraph) -> float:
    """Return the recall of a graph that was built whole, and say where it is low."""
    recall = round(graph.recall(SAMPLED, RECALL_AT), 4)
    if recall < MIN_RECALL:
        logger.warning(
            "a graph over %s texts finds %.4f of the nearest %s, should be at least %s",
            len(graph), recall, RECALL_AT, MIN_RECALL,
        )  # fmt: skip
    return recall


def _file_of(folder: Path, digest: str) -> Path:
    return folder / f"{digest[:32]}.usearch"
