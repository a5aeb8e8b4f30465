from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import ArtifactError, check_artifact, save_artifact
from inference.serving.catalogue import Catalogue
from inference.serving.catalogue_row import CatalogueRow
from inference.serving.eligible import Eligible
from inference.serving.explore import draw_slate, propensities_of
from inference.serving.keys import candidates_key, recent_key
from inference.serving.ladder import serve
from inference.serving.ranker import Ranker
from inference.serving.refresh import History, refresh_units
from inference.serving.slate_request import SlateRequest
from inference.training.data import TrainingData
from tests.support.artifacts import draft_artifact, draft_large


@pytest.fixture
def ranker(tmp_path) -> Ranker:
    return Ranker(tmp_path, save_artifact(tmp_path, draft_artifact()))


def ask(**fields) -> SlateRequest:
    defaults = {
        "k": 3, "recent": [], "precomputed": None, "exclude": (), "only": None,
        "static_list": ["s1", "s2"], "max_candidates": 200, "temperature": 0.0,
    }  # fmt: skip
    return SlateRequest(**{**defaults, **fields})


def answer(ranker, **fields):
    return serve(ranker, ask(**fields), rng=np.random.default_rng(0), no_model_reason="no_champion")


def test_the_same_draft_has_the_same_name(tmp_path):
    assert save_artifact(tmp_path, draft_artifact()) == save_artifact(tmp_path, draft_artifact())
    assert save_artifact(tmp_path, draft_artifact(seed=1)) != save_artifact(tmp_path, draft_artifact())
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".new-")]


def test_a_number_that_is_not_finite_is_no_model(tmp_path):
    for wrong in (np.nan, np.inf):
        with pytest.raises(ArtifactError, match="'bias' holds a number that is not finite"):
            save_artifact(tmp_path, draft_artifact(bias=np.array([0, wrong, 0, 0, 0, 0], np.float32)))
    assert not any(tmp_path.iterdir())


def test_a_file_that_the_manifest_does_not_name_is_refused(tmp_path):
    digest = save_artifact(tmp_path, draft_artifact())
    (tmp_path / digest / "model.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(ArtifactError, match=r"holds \['model.pkl'\]"):
        Ranker(tmp_path, digest)


@pytest.mark.parametrize("file", ["bias.npy", "items.json", "manifest.json"])
def test_a_changed_file_is_found(tmp_path, file):
    digest = save_artifact(tmp_path, draft_artifact())
    path = tmp_path / digest / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match="was changed"):
        Ranker(tmp_path, digest)


def put_manifest(root, content: str) -> str:
    """Write a folder whose name is right for whatever its manifest says."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    (root / digest).mkdir()
    (root / digest / "manifest.json").write_text(content)
    return digest


def test_a_link_in_an_artifact_is_refused(tmp_path):
    digest = save_artifact(tmp_path, draft_artifact())
    file = tmp_path / digest / "bias.npy"
    file.rename(tmp_path / "elsewhere.npy")
    file.symlink_to(tmp_path / "elsewhere.npy")
    with pytest.raises(ArtifactError, match=r"'bias\.npy' .* is not a plain file"):
        check_artifact(tmp_path, digest)


def test_a_file_of_terabytes_is_refused_before_it_is_read(tmp_path):
    """It is sparse: it takes no disk, and would be hashed for an hour."""
    digest = put_manifest(tmp_path, '{"form": "vectors", "files": {"huge": "00"}}')
    with (tmp_path / digest / "huge").open("wb") as file:
        file.truncate(2**42)
    with pytest.raises(ArtifactError, match=r"bytes of artifact .* must be at most 8000000000"):
        check_artifact(tmp_path, digest)


@pytest.mark.parametrize(
    "content", ["[]", "null", "{", "{}", '{"files": []}', '{"files": {"a": 1}}', "[" * 100_000]
)
def test_a_manifest_of_another_shape_is_refused(tmp_path, content):
    with pytest.raises(ArtifactError, match="manifest of artifact"):
        check_artifact(tmp_path, put_manifest(tmp_path, content))


def test_a_missing_artifact_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="is missing"):
        check_artifact(tmp_path, "0" * 64)


def test_no_array_is_a_pickle(tmp_path):
    digest = save_artifact(tmp_path, draft_artifact())
    arrays = list((tmp_path / digest).glob("*.npy"))
    assert arrays
    for path in arrays:
        np.load(path, allow_pickle=False)
    json.loads((tmp_path / digest / "manifest.json").read_bytes())


def test_scores_follow_the_documented_formula(ranker):
    recent, items = [4, 1], np.array([0, 2, 5], dtype=np.int32)
    d = draft_artifact().arrays
    logits = d["context_vectors"][recent] @ d["attention"] + d["recency"][:2]
    weights = np.exp(logits) / np.exp(logits).sum()
    unit = weights @ d["context_vectors"][recent]
    assert ranker.score(items, recent) == pytest.approx(
        d["item_vectors"][items] @ unit + d["bias"][items], rel=1e-5
    )


def test_precomputed_and_online_agree(ranker):
    for history in ([0], [3, 1], [5, 4, 2]):
        best = ranker.candidates([history], [history], 3)[0]
        served = answer(ranker, recent=[f"i{n}" for n in history], precomputed=best.tobytes())
        assert [slot.item_id for slot in served.slots] == [f"i{n}" for n in best]
        assert served.fallback is None


def test_the_ladder_says_how_far_down_it_went(ranker):
    assert answer(ranker, recent=["i1"]).fallback == "nearline"
    assert answer(ranker).fallback == "default_list"
    assert answer(ranker, recent=["unknown"]).fallback == "default_list"
    assert answer(ranker, exclude=[f"i{n}" for n in range(6)]).fallback == "static_list"
    empty = answer(ranker, exclude=[f"i{n}" for n in range(6)], static_list=[])
    assert (empty.fallback, empty.slots) == ("empty", [])
    static = answer(None, exclude=["s1"])
    assert (static.fallback, [slot.item_id for slot in static.slots]) == ("no_champion", ["s2"])


def test_a_history_longer_than_the_model_reads_is_cut(ranker):
    long = [5, 4, 3, 2, 1]
    assert ranker.scorer.unit_vector(long) == pytest.approx(ranker.scorer.unit_vector(long[:3]))


def test_cold_units_get_the_default_list_without_what_they_met(ranker):
    assert ranker.candidates([[]], [[0, 2]], 3)[0].tolist() == [1, 3, 4]


def test_popularity_needs_no_vectors(tmp_path):
    nothing = np.zeros((6, 0), dtype=np.float32)
    flat = draft_artifact(
        item_vectors=nothing, context_vectors=nothing, attention=np.zeros(0, np.float32)
    )
    ranker = Ranker(tmp_path, save_artifact(tmp_path, flat))
    assert ranker.score(np.array([1], dtype=np.int32), [2]) == pytest.approx(
        draft_artifact().arrays["bias"][1]
    )


def test_propensities_are_those_of_the_draw():
    """Frequencies of the first slot over many draws against its logged propensity."""
    rng = np.random.default_rng(4)
    counts, logged = np.zeros(5), np.zeros(5)
    for _ in range(20_000):
        rank, propensity = draw_slate(5, 2, temperature=1.0, rng=rng)[0]
        counts[rank] += 1
        logged[rank] = propensity
    assert logged.sum() == pytest.approx(1, abs=1e-6)
    assert counts / 20_000 == pytest.approx(logged, abs=0.012)


def test_second_slot_is_conditional_on_the_first():
    rng = np.random.default_rng(4)
    for _ in range(100):
        (first, _), (second, propensity) = draw_slate(5, 2, temperature=1.0, rng=rng)
        weights = 1 / np.arange(1, 6)
        assert propensity == pytest.approx(weights[second] / (weights.sum() - weights[first]), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.001, 0.01, 0.04])
def test_a_low_temperature_has_chances_too(temperature):
    """Weights of later ranks beside that of the first are too small for a float there."""
    drawn = draw_slate(50, 10, temperature=temperature, rng=np.random.default_rng(4))
    ranks, chances = zip(*drawn, strict=True)
    assert all(0 < chance <= 1 for chance in chances)
    assert propensities_of(ranks, 50, 10, temperature=temperature) == list(chances)


def test_no_exploration_keeps_the_ranking():
    assert draw_slate(5, 3, temperature=0, rng=np.random.default_rng(0)) == [
        (0, 1.0),
        (1, 1.0),
        (2, 1.0),
    ]
    assert draw_slate(2, 3, temperature=0, rng=np.random.default_rng(0)) == [(0, 1.0), (1, 1.0)]


def test_refresh_writes_what_a_request_reads(ranker):
    from inference.cache import cache_client

    histories = {"u1": History(liked=["i2"], seen=["i2", "i0"]), "u2": History()}
    refresh_units(cache_client(), "a-history", {987654: ranker}, histories, project_id=1, candidates=4)
    assert cache_client().lrange(recent_key("a-history", "u1"), 0, -1) == [b"i2"]
    stored = np.frombuffer(cache_client().get(candidates_key(987654, "u1")), dtype=np.int32)
    assert not {0, 2} & set(stored.tolist())
    assert np.frombuffer(cache_client().get(candidates_key(987654, "u2")), np.int32).tolist() == [
        0,
        1,
        2,
        3,
    ]


def eligible(*rows: CatalogueRow, wanted=None) -> Eligible:
    catalogue = Catalogue()
    catalogue.apply(rows, 1)
    mask = catalogue.shown(now=1000.0)
    return Eligible(catalogue, mask if wanted is None else mask & wanted, wanted is not None)


def names(served) -> list[str]:
    return [slot.item_id for slot in served.slots]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (CatalogueRow("i0"), True),
        (CatalogueRow("i0", available=False), False),
        (CatalogueRow("i0", exists=False), False),
        (CatalogueRow("i0", published_at=1001.0), False),
        (CatalogueRow("i0", published_at=1000.0), True),
        (CatalogueRow("i0", expires_at=1000.0), False),
        (CatalogueRow("i0", expires_at=1001.0), True),
    ],
)
def test_no_rung_shows_what_may_not_be_shown(ranker, row, shown):
    only = eligible(row)
    every = np.arange(6, dtype=np.int32).tobytes()
    slates = [
        answer(ranker, k=6, eligible=only),
        answer(ranker, k=6, eligible=only, precomputed=every),
        answer(ranker, k=6, eligible=only, recent=["i3"]),
        answer(ranker, k=6, eligible=only, only=["i0", "i1"]),
        answer(None, k=6, eligible=only, static_list=["i0", "s1"]),
        answer(None, k=6, eligible=only, only=["i0", "x"]),
        answer(ranker, k=6, eligible=only, temperature=1.0),
    ]
    assert [("i0" in names(slate)) for slate in slates] == [shown] * len(slates)
    assert all(slate.slots for slate in slates)


def test_a_lists_gaps_are_filled_from_the_whole_catalogue(ranker):
    rows = [CatalogueRow(f"i{n}", available=n > 3) for n in range(6)]
    first = np.array([0, 1, 2], dtype=np.int32).tobytes()
    served = answer(ranker, precomputed=first, eligible=eligible(*rows))
    assert sorted(names(served)) == ["i4", "i5"]
    assert served.fallback is None


def test_a_filter_leaves_out_what_the_catalogue_does_not_hold(ranker):
    rows = [CatalogueRow(f"i{n}") for n in range(3)]
    wanted = np.array([True, False, True])
    assert sorted(names(answer(ranker, k=6, eligible=eligible(*rows, wanted=wanted)))) == ["i0", "i2"]
    assert len(names(answer(ranker, k=6, eligible=eligible(*rows)))) == 6


def test_candidates_that_no_version_knows_come_last(ranker):
    served = answer(ranker, k=4, only=["new-b", "i2", "new-a", "i1", "new-b"])
    assert set(names(served)[:2]) == {"i1", "i2"}
    assert names(served)[2:] == ["new-b", "new-a"]
    assert [slot.score is None for slot in served.slots] == [False, False, True, True]
    assert [slot.rank for slot in served.slots[2:]] == [3, 4]
    assert names(answer(ranker, k=2, only=["a", "b", "c"])) == ["a", "b"]
    assert names(answer(None, only=["x", "s2", "y"])) == ["s2", "x", "y"]


def test_a_catalogue_hides_and_shows_items_when_their_time_comes():
    catalogue = Catalogue()
    rows = [CatalogueRow("soon", published_at=10.0), CatalogueRow("gone", expires_at=20.0)]
    catalogue.apply(rows, 1)
    seen = {now: catalogue.shown(now).tolist() for now in (5.0, 10.0, 19.0, 20.0)}
    assert seen == {5.0: [False, True], 10.0: [True, True], 19.0: [True, True], 20.0: [True, False]}
    catalogue.apply([CatalogueRow("gone"), CatalogueRow("new")], 2)
    assert catalogue.shown(30.0).tolist() == [True, True, True]


def test_a_versions_items_are_found_when_they_come_to_the_catalogue_later(ranker):
    catalogue = Catalogue()
    catalogue.apply([CatalogueRow("i5"), CatalogueRow("other")], 1)
    assert catalogue.places_of(ranker).tolist() == [-1, -1, -1, -1, -1, 0]
    catalogue.apply([CatalogueRow(f"x{n}") for n in range(600)] + [CatalogueRow("i0")], 2)
    assert catalogue.places_of(ranker).tolist() == [602, -1, -1, -1, -1, 0]
    assert len(catalogue.shown()) == 603


@pytest.mark.parametrize("algorithm", ["item-knn", "ease", "als"])
def test_what_recent_items_add_is_the_score_without_its_bias(tmp_path, algorithm):
    liked = [np.array(one) for one in ([0, 1, 2], [0, 2], [3, 4], [3, 4, 5], [1, 5], [2, 3])]
    params = {"factors": 4} if algorithm == "als" else {}
    data = TrainingData([f"i{n}" for n in range(6)], None, liked)
    draft = RECOMMENDERS[algorithm].fit(data, FitOptions(params=params))
    assert_added(Ranker(tmp_path, save_artifact(tmp_path, draft)))


def test_attention_shares_the_score_among_recent_items(ranker):
    assert_added(ranker)


def assert_added(ranker):
    items, bias = np.arange(6, dtype=np.int32)[::-1], ranker.scorer.bias
    for recent in ([0], [5, 3], [2, 4, 2]):
        added = ranker.contributions(items, recent)
        assert added.shape == (6, len(recent))
        wanted = ranker.score(items, recent) - bias[items]
        assert added.sum(axis=1) == pytest.approx(wanted, abs=1e-5)
    assert ranker.contributions(items, []) is None


def test_a_few_of_many_items_are_scored_as_all_are(tmp_path):
    draft, _ = draft_large("neighbours", items=50_001)
    ranker = Ranker(tmp_path, save_artifact(tmp_path, draft))
    items, recent = np.array([9, 300, 321, 50_000], dtype=np.int32), [0, 21, 49_700, 0]
    assert ranker.score(items, recent) == pytest.approx(ranker.scorer.score_all([recent])[0][items])
    assert ranker.nearline(recent, 2).tolist() == [300, 7]
