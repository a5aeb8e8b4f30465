"""The index over a large version's items: what it finds, what it refuses, who builds it."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest

from inference.actions.build_missing_indexes import build_missing_indexes
from inference.actions.clean_artifacts import clean_artifacts
from inference.models import ArtifactStore, ModelVersion
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving import index_building
from inference.serving.artifact import load_draft, save_artifact
from inference.serving.candidates import find_candidates
from inference.serving.catalogue import Catalogue
from inference.serving.catalogue_row import CatalogueRow
from inference.serving.eligible import Eligible
from inference.serving.index_building import build_indexes, draw_histories, lacks_index
from inference.serving.item_index import index_folder
from inference.serving.ranker import Ranker
from inference.serving.scorers import draft_blend, draft_vectors
from inference.serving.slate_request import SlateRequest
from inference.serving.store import make_store_id
from inference.training.data import TrainingData
from tests.support import builders

ITEMS, WIDTH = 2400, 16
NAMES = [f"été-{n}" for n in range(ITEMS)]


@pytest.fixture(autouse=True, scope="module")
def _thousand_is_many():
    """A graph of 50,000 items takes half a minute."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("artifact.MAPPED_ITEMS", "index_building.DENSE_ITEMS", "ranker.DENSE_ITEMS"):
            patch.setattr(f"inference.serving.{name}", 1000)
        yield


def draft(seed=0, width=WIDTH, **arrays):
    """Items in 60 groups; some are liked much more than others."""
    rng = np.random.default_rng(seed)
    groups = rng.normal(size=(60, width))
    vectors = (groups[rng.integers(60, size=ITEMS)] + rng.normal(size=(ITEMS, width)) / 2).astype(
        np.float32
    )
    bias = rng.exponential(size=ITEMS).astype(np.float32)
    drawn = draft_vectors(
        item_ids=NAMES,
        item_vectors=vectors,
        context_vectors=vectors,
        bias=bias,
        default_order=np.argsort(-bias).astype(np.int32),
        about={},
    )
    return replace(drawn, arrays={**drawn.arrays, **arrays})


@pytest.fixture(scope="module")
def built(_thousand_is_many, tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    digest = save_artifact(root, draft())
    build_indexes(root, digest)
    return root, digest


@pytest.fixture
def version(built, tmp_path):
    """A store of one's own with a large version, indexed, and the version's name."""
    root, digest = built
    return shutil.copytree(root, tmp_path / "store"), digest


def best_of_all(ranker, history, count) -> list[int]:
    return np.argsort(-ranker.scorer.score_all([history])[0])[:count].tolist()


def share_of_best(ranker, histories, count=100) -> float:
    """Which part of the best of all scores is among the candidates."""
    ours = ranker.candidates(histories, [()] * len(histories), count)
    both = zip(histories, ours, strict=True)
    return float(np.mean([np.isin(near, best_of_all(ranker, one, count)).mean() for one, near in both]))


def test_it_finds_nearly_what_scoring_all_finds(version):
    ranker = Ranker(*version)
    about = ranker.scorer.index.about
    assert about.recall >= 0.98
    assert about.items == ITEMS
    histories = draw_histories(ranker.scorer, 50)
    assert share_of_best(ranker, histories) >= 0.98
    liked = ranker.candidates(histories, histories, 20)
    assert all(not np.isin(ours, past).any() for ours, past in zip(liked, histories, strict=True))
    best = ranker.nearline(histories[0], 10)
    scores = ranker.score(best, histories[0])
    assert scores.tolist() == sorted(scores, reverse=True)


def test_what_a_fit_makes_has_an_index_by_its_vectors(tmp_path):
    rng = np.random.default_rng(0)
    liked = [rng.integers(50, size=8) + 50 * (unit % (ITEMS // 50)) for unit in range(600)]
    data = TrainingData(NAMES, None, liked)
    fits = [
        RECOMMENDERS["als"].fit(data, FitOptions(params={"factors": 8})),
        RECOMMENDERS["sasrec"].fit(
            data, FitOptions(params={"width": 8, "min_steps": 2, "max_steps": 2})
        ),
        RECOMMENDERS["item-knn"].fit(data, FitOptions()),
    ]
    blend = draft_blend([fits[0], fits[2]], [1.0, 0.5], {})
    names = []
    for one in [*fits, blend]:
        digest = save_artifact(tmp_path, one)
        names.append([*build_indexes(tmp_path, digest)])
        ranker = Ranker(tmp_path, digest)
        histories = [liked[unit][:5].tolist() for unit in range(20)]
        assert share_of_best(ranker, histories, 20) >= 0.9, one.form
    assert names == [["items"], ["items"], [], ["part0.items"]]


def flip(path, place=1000) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def cut(path) -> None:
    path.write_bytes(path.read_bytes()[:777])


def describe(**fields):
    def change(path) -> None:
        about = path.with_suffix(".json")
        about.write_text(json.dumps({**json.loads(about.read_text()), **fields}))

    return change


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (flip, "index items.usearch was changed: SHA-256 == "),
        (cut, "index items.usearch was changed: SHA-256 == "),
        (lambda path: path.unlink(), "index items.usearch cannot be read: "),
        (lambda path: path.with_suffix(".json").write_text("{"), "items.json cannot be read: "),
        (describe(stranger=1), "index description items.json cannot be read: "),
        (describe(width=99), f"width of index items.usearch == 99, must be {WIDTH + 2}"),
        (describe(items=7), f"items of index items.usearch == {ITEMS}, must be 7"),
    ],
)
def test_a_damaged_index_is_refused_and_built_anew(version, caplog, damage, sentence):
    root, digest = version
    damage(index_folder(root, digest) / "items.usearch")
    with caplog.at_level(logging.ERROR):
        ranker = Ranker(root, digest)
    assert sentence in caplog.text
    assert ranker.scorer.index is None
    assert ranker.nearline([5, 9], 20).tolist() == best_of_all(ranker, [5, 9], 20)
    assert lacks_index(root, digest)
    assert set(build_indexes(root, digest)) == {"items"}
    assert not build_indexes(root, digest)
    assert Ranker(root, digest).scorer.index is not None


def test_an_index_over_other_vectors_is_refused(version, caplog):
    root, digest = version
    other = save_artifact(root, draft(width=8))
    index_folder(root, digest).rename(index_folder(root, other))
    ranker = Ranker(root, other)
    assert (
        f"width of index items.usearch == {WIDTH + 2}, must be 10, as its vectors have." in caplog.text
    )
    assert len(ranker.nearline([5], 20)) == 20


def test_an_index_that_finds_too_little_is_not_used(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(index_building, "MIN_RECALL", 1.01)
    digest = save_artifact(tmp_path, draft())
    about = build_indexes(tmp_path, digest)["items"]
    assert not about.sha256
    assert "must be at least 1.01: all are scored" in caplog.text
    assert Ranker(tmp_path, digest).scorer.index is None
    assert not lacks_index(tmp_path, digest)  # it would find as little again


def test_an_index_that_is_built_later_is_taken_up(tmp_path, monkeypatch):
    digest = save_artifact(tmp_path, draft())
    ranker = Ranker(tmp_path, digest)
    build_indexes(tmp_path, digest)
    ranker.seek_indexes()
    assert ranker.scorer.index is None  # it has just looked
    monkeypatch.setattr("inference.serving.ranker.SEEK_SECONDS", 0.0)
    ranker.seek_indexes()
    assert ranker.scorer.index is not None


def test_items_without_a_vector_are_left_out(tmp_path):
    vectors = np.array(draft().arrays["item_vectors"])
    vectors[1500:] = 0.0
    digest = save_artifact(tmp_path, draft(item_vectors=vectors))
    assert build_indexes(tmp_path, digest)["items"].items == 1500
    assert len(Ranker(tmp_path, digest).nearline([3], 50)) == 50


def test_ids_of_a_large_version_are_mapped(version):
    root, digest = version
    ranker = Ranker(root, digest)
    assert not isinstance(ranker.item_ids, list)
    assert list(ranker.item_ids) == NAMES
    assert ranker.item_ids[-1] == NAMES[-1]
    assert ranker.item_ids[2:5] == NAMES[2:5]
    assert [ranker.index[name] for name in NAMES] == list(range(ITEMS))
    assert ranker.indices_of(["nobody", NAMES[7], "\ud800", ""]) == [7]
    assert (None in ranker.index, len(ranker.index), "x" in ranker.index) == (False, ITEMS, False)
    with pytest.raises(KeyError):
        ranker.index["nobody"]
    with pytest.raises(IndexError):
        ranker.item_ids[ITEMS]
    assert save_artifact(root, load_draft(root, digest)) == digest


def filtered(ranker, rows) -> SlateRequest:
    """A request of a unit that liked two items; the filter leaves some rows of the catalogue."""
    catalogue = Catalogue()
    catalogue.apply([CatalogueRow(name) for name in NAMES], 1)
    mask = np.zeros(ITEMS, bool)
    mask[rows] = True
    return SlateRequest(
        k=10, recent=[NAMES[5], NAMES[9]], precomputed=None, exclude=(), only=None, static_list=(),
        max_candidates=40, temperature=0.0, eligible=Eligible(catalogue, mask, is_filtered=True),
    )  # fmt: skip


@pytest.mark.parametrize(("left", "scored"), [(200, 1000), (1500, 600)])
def test_a_filter_that_leaves_few_has_all_of_them_scored(version, monkeypatch, left, scored):
    monkeypatch.setattr("inference.serving.candidates.MAX_SCORED", scored)
    ranker = Ranker(*version)
    rows = np.random.default_rng(1).permutation(ITEMS)[:left]
    rows = rows[~np.isin(rows, [5, 9])]
    found = find_candidates(ranker, filtered(ranker, rows))
    assert np.isin(found.items, rows).all()
    assert len(found.items) <= scored
    best = rows[np.argsort(-ranker.score(rows, [5, 9]))[:10]]
    ours = found.items[np.argsort(-ranker.score(found.items, [5, 9]))[:10]]
    assert ours.tolist() == best.tolist()  # of many by the index, beside the most liked ones


def test_a_worker_builds_what_versions_lack_and_cleans_what_is_gone(empty_platform, tmp_path):
    ArtifactStore.objects.update_or_create(pk=1, defaults={"store_id": make_store_id(tmp_path)})
    shop = builders.make_shop()
    digest = save_artifact(tmp_path, draft())
    ModelVersion.objects.filter(pk=shop.champion.pk).update(artifact_sha256=digest)
    assert build_missing_indexes(artifacts=tmp_path) == 1
    assert build_missing_indexes(artifacts=tmp_path) == 0
    gone = index_folder(tmp_path, "0" * 64)
    gone.mkdir()
    nowhere = tmp_path / "nowhere"
    clean_artifacts(artifacts=tmp_path, checkpoints=nowhere, snapshots=nowhere)
    assert not gone.exists()
    assert Ranker(tmp_path, digest).scorer.index is not None
