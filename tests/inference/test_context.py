"""Features of a request's context: data in which the country alone decides, from the log to the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.utils import timezone

from bakeoff.accounts.models import SECRET, ApiKey
from experiments.models import Event
from experiments.training_data.signals import likes_of
from inference.models import ModelVersion
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import save_artifact
from inference.serving.context_features import ContextFeatureError, check_features, words_of
from inference.serving.context_ranker import ContextRanker, in_context
from inference.serving.ranker import Ranker
from inference.training.data import TrainingData
from inference.training.snapshot import Likes, read_snapshot, write_snapshot
from inference.training.split import split_by_time
from tests.support.learning import ITEMS, train

HALF = len(ITEMS) // 2
SHORT = {"epochs": 20, "hidden": 16, "width": 8, "history": 10, "batch": 16, "cooccurrence": False}


def make_data(seed=0) -> TrainingData:
    """Units that like one half of the items at home and the other abroad, as often."""
    rng = np.random.default_rng(seed)
    liked, words = [], []
    for _ in range(120):
        abroad = rng.random(8) < 0.5
        liked.append(rng.integers(HALF, size=8) + HALF * abroad)
        words.append(np.where(abroad, "fr", "de")[:, None])
    vectors = rng.normal(size=(len(ITEMS), 8)).astype(np.float32)
    return TrainingData(ITEMS, vectors, liked, features=["country"], words=words)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory) -> Ranker:
    root = tmp_path_factory.mktemp("artifacts")
    draft = RECOMMENDERS["two-tower"].fit(make_data(), FitOptions(params=SHORT))
    return Ranker(root, save_artifact(root, draft))


def share_at_home(items) -> float:
    return float((np.asarray(items)[:10] < HALF).mean())


def test_the_country_alone_decides_the_list(ranker):
    assert ranker.features == ("country",)
    home = in_context(ranker, {"country": "DE", "page": "home"}, 0.0)
    abroad = in_context(ranker, {"country": "fr"}, 0.0)
    assert isinstance(home, ContextRanker)
    for recent in ([], [0, HALF]):
        assert share_at_home(home.nearline(recent, 10)) >= 0.8
        assert share_at_home(abroad.nearline(recent, 10)) <= 0.2
    assert share_at_home(home.default_order) >= 0.8
    contexts = [{"country": "de"}, {"country": "fr"}, {"country": "xx"}]
    lists = ranker.candidates([[], [0], [0]], [[], [], []], 10, contexts=contexts)
    assert [round(share_at_home(one)) for one in lists[:2]] == [1, 0]
    # A word that was not learnt says nothing, and neither does a context without the feature.
    plain = ranker.candidates([[0]], [[]], 10)[0]
    np.testing.assert_array_equal(lists[2], plain)
    np.testing.assert_array_equal(in_context(ranker, {"country": 3.5}, 0.0).nearline([0], 10), plain)


def test_a_list_in_context_is_that_of_every_item_scored(ranker):
    abroad = in_context(ranker, {"country": "fr"}, 0.0)
    every = np.arange(len(ITEMS), dtype=np.int32)
    best = abroad.nearline([3], len(ITEMS))
    assert (np.diff(abroad.score(every, [3])[best]) <= 1e-6).all()


def test_without_features_or_with_context_off_nothing_is_read(tmp_path):
    for data, params in (
        (replace(make_data(), features=(), words=None), {}),
        (make_data(), {"context": False}),
    ):
        draft = RECOMMENDERS["two-tower"].fit(data, FitOptions(params={**SHORT, "epochs": 1, **params}))
        assert draft.form == "vectors"


def test_words_are_those_of_the_request_and_of_the_clock():
    at = datetime(2026, 11, 27, 22, 5, tzinfo=UTC).timestamp()  # a Friday
    context = {"country": " DE ", "device": None, "store": 7, "language": ["de"]}
    names = ["country", "device", "language", "hour", "weekday", "context.store"]
    words = {"country": "de", "hour": "22", "weekday": "5", "context.store": "7"}
    assert words_of(names, context, at) == words


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["contry"], "Did you mean 'country'"),
        (["country", "country"], "different features"),
        (["context."], "must be one of"),
        (["context.a=b"], "must be one of"),
        ([f"context.{n}" for n in range(9)], "at most 8"),
    ],
)
def test_unknown_features_are_refused(names, message):
    with pytest.raises(ContextFeatureError, match=message):
        check_features(names)


def test_a_snapshot_keeps_contexts_and_the_split_knows_that_of_the_first_held_out_like(tmp_path):
    likes = Likes(["u"] * 6, ITEMS[:6], [float(n) for n in range(6)])
    likes = replace(likes, contexts={"country": ["de", "de", "de", "de", "de", "fr"]})
    read = read_snapshot(tmp_path, write_snapshot(tmp_path, likes), Likes)
    assert read.contexts == likes.contexts
    split = split_by_time(read, ITEMS)
    assert split.context_of(0) == {"country": "fr"}
    assert split.past[0].words.tolist() == [["de"]] * 5


def test_a_surface_refuses_features_it_does_not_know(lane, shop):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    path = f"/v1/surfaces/{shop.surface.key}"
    refused = lane.client.patch(path, json={"context_features": ["contry"]}, headers=headers)
    assert refused.status_code == 422, refused.text
    error = refused.json()["error"]
    assert (error["code"], error["field"]) == ("invalid_feature", "context_features")
    body = {"context_features": ["country", "hour"]}
    assert lane.client.patch(path, json=body, headers=headers).status_code == 200


def test_from_recorded_events_to_an_answer_of_the_country(learner, lane):
    """What is recorded with a country is learnt, judged with and without it, and served by it."""
    surface = learner
    surface.context_features, surface.liked_events = ["country"], ["click"]
    surface.save()
    data, start = make_data(seed=1), timezone.now() - timedelta(days=1)
    Event.objects.bulk_create(
        Event(
            project=surface.project, event_id=f"c{unit}-{n}", name="click", unit_id=f"v{unit}",
            item_id=ITEMS[item], occurred_at=start + timedelta(seconds=n),
            properties={"country": str(word)},
        )
        for unit, (items, words) in enumerate(zip(data.liked, data.words, strict=True))
        for n, (item, (word,)) in enumerate(zip(items.tolist(), words.tolist(), strict=True))
    )  # fmt: skip
    assert set(likes_of(surface).contexts["country"]) == {"de", "fr"}
    run = train(surface, "two-tower", **SHORT)
    assert run.state == "passed", run.message
    gate = run.version.gate
    (row,) = [row for row in gate["about"]["slices"] if row["slice"].startswith("without the context")]
    assert row["challenger"] < gate["rows"]["ndcg"]["challenger"]
    # Served by the country of the request, to somebody of whom nothing else is known.
    ModelVersion.objects.filter(pk=run.version.pk).update(alias="champion")
    _, key = ApiKey.make(surface.project, SECRET, name="secret")
    lane.refresh()
    lists = {}
    for country in ("de", "FR"):
        answer = lane.client.post(
            "/v1/recommend",
            json={"surface": surface.key, "unit_id": "new", "k": 10, "context": {"country": country}},
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["fallback"] is None
        lists[country] = [ITEMS.index(item["item_id"]) for item in answer.json()["items"]]
    assert share_at_home(lists["de"]) >= 0.8
    assert share_at_home(lists["FR"]) <= 0.2
