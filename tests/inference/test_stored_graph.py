"""A graph of texts on the disk: mapped, changed, stored again, and refused where it is damaged."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from inference.encoders.stored_graph import (
    DESCRIPTION,
    GraphDescription,
    GraphRefusedError,
    measured,
    open_graph,
    store_graph,
)
from inference.encoders.vector_graph import VectorGraph

ITEMS, WIDTH, ENCODER = 2000, 24, "e" * 64


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).normal(size=(ITEMS, WIDTH)).astype(np.float32)


@pytest.fixture
def stored(tmp_path, vectors):
    """A stored graph of texts 0 to 1,999."""
    graph = VectorGraph(WIDTH)
    graph.put(list(range(ITEMS)), vectors)
    about = GraphDescription("", ENCODER, 7, (3, 5), 0, measured(graph), 1.5)
    assert store_graph(tmp_path, graph, about) is not None
    return tmp_path


def open_it(folder, change=9):
    opened = open_graph(folder, encoder=ENCODER, change=change)
    assert opened is not None
    return opened


def first(graph, vector):
    return graph.nearest(vector, 1)[0][0]


def exact(vectors, query, count):
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    return set(np.argsort(-cosines)[:count].tolist())


def test_what_was_stored_is_mapped_with_what_is_known_of_it(stored, vectors):
    graph, about = open_it(stored)
    assert (len(graph), about.items, about.change, about.pending) == (ITEMS, ITEMS, 7, (3, 5))
    assert about.recall >= 0.95
    assert graph.changes == 0
    near = {name for name, _ in graph.nearest(vectors[17] + 0.1, 100)}
    assert len(near & exact(vectors, vectors[17] + 0.1, 100)) >= 90


def test_the_recall_is_that_beside_all_vectors(vectors):
    graph = VectorGraph(WIDTH)
    graph.put(list(range(ITEMS)), vectors)
    assert graph.recall(20, 50) >= 0.99
    # A search that returns half of them has half of the recall.
    graph.nearest = lambda vector, count: VectorGraph.nearest(graph, vector, count // 2)
    assert graph.recall(20, 50) == pytest.approx(0.5, abs=0.01)


def test_changes_lie_beside_what_is_mapped_and_are_stored_with_it(stored, vectors):
    graph, about = open_it(stored)
    graph.put([4, 5000], np.stack([-vectors[4], vectors[4] * 2]))
    graph.remove(6)
    for _ in range(2):
        assert first(graph, vectors[4]) == 5000
        assert first(graph, -vectors[4]) == 4
        assert 6 not in {name for name, _ in graph.nearest(vectors[6], 50)}
        assert len(graph) == ITEMS
        again = store_graph(stored, graph, about)
        graph, opened = open_it(stored)
        assert (opened, opened.items) == (again, ITEMS)
    assert len(list(stored.glob("*.usearch"))) == 1


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def state(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: flip(next(f.glob("*.usearch"))), "was changed: SHA-256 =="),
        (lambda f: next(f.glob("*.usearch")).write_bytes(b""), "was changed: SHA-256 =="),
        (lambda f: next(f.glob("*.usearch")).unlink(), "cannot be opened"),
        (lambda f: (f / DESCRIPTION).write_text("{"), "cannot be read"),
        (lambda f: (f / DESCRIPTION).write_text("[]"), "cannot be read"),
        (lambda f: state(f / DESCRIPTION, items=1), "items of"),
        (lambda f: state(f / DESCRIPTION, encoder="f" * 64), "encoder == ffffffffffff, must be eeee"),
        (
            lambda f: state(f / DESCRIPTION, change=10),
            "change == 10, must be at most the catalogue's 9",
        ),
    ],
)
def test_what_does_not_fit_is_refused_once_and_then_gone(stored, damage, sentence):
    damage(stored)
    with pytest.raises(GraphRefusedError, match=sentence):
        open_graph(stored, encoder=ENCODER, change=9)
    assert open_graph(stored, encoder=ENCODER, change=9) is None


def test_a_file_that_is_no_graph_is_refused_though_its_hash_is_right(stored):
    content = b"no graph at all"
    digest = hashlib.sha256(content).hexdigest()
    (stored / f"{digest[:32]}.usearch").write_bytes(content)
    state(stored / DESCRIPTION, sha256=digest)
    with pytest.raises(GraphRefusedError, match="cannot be opened"):
        open_graph(stored, encoder=ENCODER, change=9)
