"""Models of one's own, versions in shadow, and what goes wrong with either: all over a real gateway."""

from __future__ import annotations

import json
import re
import time

import numpy as np
import pytest
from django.conf import settings

from bakeoff.gateway.slates.breaker import FAILURES_IN_A_ROW, Breaker
from experiments.actions.shadow_version import CannotShadowError, shadow_version
from experiments.models import Exposure, Slate
from experiments.training_data.interactions import answers_of
from inference.actions.answer_shadows import answer_shadows, spearman
from inference.actions.queue_training import CannotTrainError
from inference.actions.summarise_shadow import summarise_shadow
from inference.cache import cache_client
from inference.models import ModelVersion, Surface, TrainingRun
from inference.serving.endpoint import (
    RemoteAnswer,
    WrongAnswerError,
    check_scores,
    encode_question,
    read_answer,
)
from tests.support import builders
from tests.support.endpoint_version import crown_endpoint
from tests.support.learning import train


def ask(lane, shop, unit="u1", **fields):
    return lane.post(
        "/v1/recommend", {"surface": "home-feed", "unit_id": unit, "k": 3, **fields}, shop.public
    )


def test_an_endpoint_ranks_what_it_is_offered(shop, lane, endpoint):
    endpoint.behave = lambda request: {"scores": [float(c[1:]) for c in request["candidates"]]}
    crown_endpoint(shop, lane, endpoint.url)
    answer = ask(lane, shop, exclude=["i9"], context={"country": "DE"}).json()
    assert [item["item_id"] for item in answer["items"]] == ["i8", "i7", "i6"]
    assert answer["fallback"] is None
    (request,) = endpoint.requests
    assert request["unit_id"] == "u1"
    assert request["context"] == {"country": "DE"}
    assert request["candidates"] == [f"i{n}" for n in range(9)]


def test_an_endpoint_may_speak_the_open_inference_protocol(shop, lane, endpoint):
    def behave(request):
        inputs = {tensor["name"]: tensor for tensor in request["inputs"]}
        assert inputs["candidates"]["datatype"] == "BYTES"
        assert inputs["candidates"]["shape"] == [1, 10]
        data = [float(c[1:]) for c in inputs["candidates"]["data"]]
        return {"outputs": [{"name": "scores", "datatype": "FP32", "shape": [1, 10], "data": data}]}

    endpoint.behave = behave
    crown_endpoint(shop, lane, endpoint.url, protocol="v2")
    assert ask(lane, shop).json()["items"][0]["item_id"] == "i9"


@pytest.mark.parametrize(
    "wrong",
    [
        {"scores": [1.0]},
        {"scores": "none"},
        b"not json",
        b'{"scores": [NaN, 1, 1, 1, 1, 1, 1, 1, 1, 1]}',
        {"scores": [None] * 10},
        {"scores": [True] * 10},
        [],
    ],
)
def test_a_wrong_answer_is_a_fallback_and_no_error(shop, lane, endpoint, wrong):
    endpoint.behave = lambda _request: wrong
    crown_endpoint(shop, lane, endpoint.url)
    answer = ask(lane, shop)
    assert answer.status_code == 200
    assert answer.json()["fallback"] == "model_error"
    assert [item["item_id"] for item in answer.json()["items"]] == ["i0", "i1", "i2"]


def test_a_model_that_takes_ten_seconds_is_broken_off_and_then_left_alone(shop, lane, endpoint):
    def slow(request):
        time.sleep(10)
        return {"scores": [0.0] * len(request["candidates"])}

    endpoint.behave = slow
    crown_endpoint(shop, lane, endpoint.url, deadline_ms=300)
    start = time.monotonic()
    reasons = [ask(lane, shop).json()["fallback"] for _ in range(FAILURES_IN_A_ROW + 2)]
    assert reasons == ["timeout"] * FAILURES_IN_A_ROW + ["breaker_open"] * 2
    assert time.monotonic() - start < 5
    assert len(endpoint.requests) == FAILURES_IN_A_ROW


def test_a_breaker_tries_again_after_a_pause_that_grows(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("bakeoff.gateway.slates.breaker.time.monotonic", lambda: clock[0])
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW):
        assert breaker.lets_through()
        breaker.failed()
    assert not breaker.lets_through()
    clock[0] += 5.1
    assert breaker.lets_through()
    assert not breaker.lets_through()  # one tries, the others do not wait
    breaker.failed()
    clock[0] += 5.1
    assert not breaker.lets_through()
    clock[0] += 5
    assert breaker.lets_through()
    breaker.succeeded()
    assert breaker.lets_through()
    assert breaker.lets_through()


def test_half_of_all_failing_opens_a_breaker():
    breaker = Breaker()
    for n in range(20):
        (breaker.failed if n % 2 else breaker.succeeded)()
    assert breaker.is_open


def test_an_endpoint_goes_through_the_gate_like_any_other(learner, endpoint):
    train(learner, "popularity")
    endpoint.behave = lambda request: {"scores": [-float(n) for n in range(len(request["candidates"]))]}
    run = train(learner, "endpoint", url=endpoint.url, deadline_ms=10_000)
    assert run.state == TrainingRun.State.PASSED, run.message
    assert run.version.label == "endpoint@1"
    assert run.version.gate["rows"]["ndcg"]
    endpoint.behave = lambda _request: {"scores": [1.0]}
    run = train(learner, "endpoint", url=endpoint.url, deadline_ms=10_000)
    assert run.state == TrainingRun.State.FAILED
    assert "the model gave no answer" in run.message


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "url == '', must begin with http:// or https://"),
        ({"url": "file:///etc/passwd"}, "must begin with http"),
        ({"url": "http://x", "protocol": "grpc"}, "protocol == 'grpc', must be one of"),
        ({"url": "http://x", "deadline_ms": 0}, "deadline_ms == 0, must be in [1, 10000]"),
        ({"adress": "http://x"}, "parameter == 'adress', must be one of"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_is_refused_at_once(learner, params, message):
    with pytest.raises(CannotTrainError, match=re.escape(message)):
        train(learner, "endpoint", **params)
    assert not learner.training_runs.exists()


def test_a_class_that_nobody_installed_is_named(learner):
    run = train(learner, "python", entry_point="nearest")
    assert run.state == TrainingRun.State.FAILED
    assert "entry_point == 'nearest', must be one of" in run.message


def test_a_shadow_answers_real_requests_unseen(shop, lane):
    shadow = builders.make_version(shop.surface, list(range(1, 11)))
    Surface.objects.filter(pk=shop.surface.pk).update(shadow_share=1.0)
    shadow_version(version=shadow, by="a test", reason="to see")
    lane.refresh()
    served = [ask(lane, shop, unit=f"u{n}").json() for n in range(5)]
    assert all(answer["model"] == shop.champion.label for answer in served)
    shop.surface.refresh_from_db()
    deadline, count = time.monotonic() + 10, 0
    while count < 5 and time.monotonic() < deadline:
        count += answer_shadows(
            surface=shop.surface, client=cache_client(), artifacts=settings.BAKEOFF.artifacts
        )
    summary = summarise_shadow(shadow)
    assert (summary.answers, summary.errors) == (5, 0)
    assert summary.overlap == 0  # the opposite taste
    assert summary.correlation == pytest.approx(-1)
    assert summary.latency_ms > 0
    assert not Exposure.objects.filter(project=shop.project).exists()
    moves = [(move.before, move.after, move.moved_by) for move in shadow.moves.all()]
    assert moves == [("challenger", "shadow", "a test")]


@pytest.mark.parametrize("rule", ["pin", "boost"])
def test_a_shadow_is_asked_under_the_rules_of_the_request(shop, lane, rule):
    shadow = builders.make_version(shop.surface, [1] * 10)
    # The champion's twin: under the same rules it answers the same.
    ModelVersion.objects.filter(pk=shadow.pk).update(
        alias="shadow", artifact_sha256=shop.champion.artifact_sha256
    )
    Surface.objects.filter(pk=shop.surface.pk).update(shadow_share=1.0)
    lane.refresh()
    last = shop.items[-1]
    rules = {
        "pin": [{"item_id": last, "position": 1}],
        "boost": [{"filter": {"title": f"Item {last}"}, "by": 1000}],
    }
    plain = [item["item_id"] for item in ask(lane, shop).json()["items"]]
    ruled = [item["item_id"] for item in ask(lane, shop, **{rule: rules[rule]}).json()["items"]]
    assert plain != ruled
    assert ruled[0] == last
    shop.surface.refresh_from_db()
    deadline, count = time.monotonic() + 60, 0
    while count < 2 and time.monotonic() < deadline:
        count += answer_shadows(
            surface=shop.surface, client=cache_client(), artifacts=settings.BAKEOFF.artifacts
        )
    assert [answer.overlap for answer in shadow.shadow_answers.all()] == [1.0, 1.0]
    contexts = Slate.objects.filter(project=shop.project).order_by("recommendation_id")
    assert [slate.context for slate in contexts] == [{}, {"$rules": True}]


def test_off_policy_views_leave_out_what_rules_changed(shop):
    drawn = [["i1", 1.0, 1, 0.5, True], ["i2", 1.0, 2, 0.4, False]]
    for unit, slots, context in (
        ("plain", drawn, {"country": " CL ", "secret": "x"}),
        ("new items", [[*slot, None, 0.95] for slot in drawn], {}),  # known chances, no rule
        ("by slot", [[*slot, 9] for slot in drawn], {}),  # as before slates said so
        ("filtered", drawn, {"$rules": True}),
    ):
        builders.make_slate(shop, unit, slots=slots, exploration=1.0, context=context)
    assert set(answers_of(shop.surface).unit_ids) == {"plain", "new items"}
    assert not answers_of(shop.surface).contexts  # no model of the surface reads any
    shop.surface.context_features = ["country"]
    answers = answers_of(shop.surface)
    contexts = dict(zip(answers.unit_ids, answers.contexts, strict=True))
    assert contexts == {"plain": {"country": "cl"}, "new items": {}}


def test_a_shadow_that_fails_is_counted_and_harms_nobody(shop, lane):
    shadow = builders.make_version(shop.surface, list(range(1, 11)))
    Surface.objects.filter(pk=shop.surface.pk).update(shadow_share=1.0)
    ModelVersion.objects.filter(pk=shadow.pk).update(alias="shadow", artifact_sha256="0" * 64)
    lane.refresh()
    assert ask(lane, shop).json()["fallback"] == "default_list"
    time.sleep(0.3)
    answer_shadows(surface=shop.surface, client=cache_client(), artifacts=settings.BAKEOFF.artifacts)
    summary = summarise_shadow(shadow)
    assert (summary.answers, summary.errors) == (1, 1)
    assert "is missing" in shadow.shadow_answers.get().error


def test_who_serves_cannot_go_into_shadow(shop):
    with pytest.raises(CannotShadowError, match="is champion, must be one of"):
        shadow_version(version=shop.champion, by="a test", reason="")


def test_rank_correlation_is_that_of_scipy():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=50), rng.normal(size=50)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(a, np.ones(50)) is None


def test_a_damaged_artifact_does_not_stop_traffic(shop, lane):
    digest = builders.make_popularity(shop.items, [3] * 10, test="damaged")
    shop.surface.versions.champions().update(artifact_sha256=digest)
    (settings.BAKEOFF.artifacts / digest / "bias.npy").write_bytes(b"\x80\x04pickled")
    lane.refresh()
    answer = ask(lane, shop).json()
    assert answer["fallback"] == "model_unavailable"
    assert [item["item_id"] for item in answer["items"]] == shop.items[-3:]


def test_an_answer_says_what_it_cost(shop, lane, endpoint):
    """Else it costs what its version says; one that stands in for a wrong answer costs nothing."""
    crown_endpoint(shop, lane, endpoint.url, cost_per_answer=0.5)
    costs = [None, 0.0125, 0, 1e6, -0.1, 1e7, "much"]
    for cost in costs:
        endpoint.behave = lambda request, cost=cost: {
            "scores": [1.0] * len(request["candidates"]),
            "cost": cost,
        }
        ask(lane, shop)
    slates = Slate.objects.filter(project=shop.project).order_by("served_at")
    stored = list(slates.values_list("cost", "fallback"))
    assert stored[:4] == [(0.5, None), (0.0125, None), (0.0, None), (1e6, None)]
    assert stored[4:] == [(0.0, "model_error")] * 3


@pytest.mark.parametrize(
    ("content", "protocol", "cost"),
    [
        ({"scores": [1], "cost": 0.25}, "json", 0.25),
        ({"scores": [1]}, "json", None),
        (
            {"outputs": [{"name": "scores", "data": [1]}, {"name": "cost", "data": [2]}]},
            "v2",
            2.0,
        ),
        ({"outputs": [{"name": "scores", "data": [1]}]}, "v2", None),
    ],
)
def test_a_cost_is_read_in_both_protocols(content, protocol, cost):
    assert read_answer(200, json.dumps(content).encode(), protocol) == RemoteAnswer([1], cost)


def test_answers_are_checked_one_by_one():
    assert read_answer(200, b'{"scores": [1, 2.5]}', "json") == RemoteAnswer([1, 2.5])
    with pytest.raises(WrongAnswerError, match="status == 500, must be 200"):
        read_answer(500, b"", "json")
    with pytest.raises(WrongAnswerError, match="scores == 1, must be 2"):
        check_scores([1.0], 2)
    with pytest.raises(WrongAnswerError, match="must be a finite number"):
        check_scores([float("inf")], 1)
    with pytest.raises(
        WrongAnswerError, match=r"cost == \[1, 2\], must be a number in \[0, 1e\+06\]\."
    ):
        read_answer(200, b'{"scores": [1], "cost": [1, 2]}', "json")
    request = json.loads(encode_question({"text": "hello", "features": {"a": 1}}, "v2"))
    assert [tensor["name"] for tensor in request["inputs"]] == ["text", "features"]


PACKAGE = '''
import json

class Nearest:
    """Items whose number is near that of the last liked one."""

    def fit(self, data, folder, options):
        (folder / "known.json").write_text(json.dumps(list(data.item_ids)))

    @classmethod
    def load(cls, folder):
        model = cls()
        model.known = set(json.loads((folder / "known.json").read_text()))
        return model

    def rank(self, unit_id, recent, candidates, context):
        last = int(recent[0][1:]) if recent else 0
        return [-abs(int(c[1:]) - last) if c in self.known else -1e9 for c in candidates]
'''


@pytest.mark.usefixtures("cold_trainings")  # what is installed is read where an interpreter starts
def test_an_installed_class_is_gated_and_answers(learner, tmp_path, monkeypatch):
    import os
    import sys

    from inference.serving.model_worker import ModelWorker

    (tmp_path / "my_nearest.py").write_text(PACKAGE)
    info = tmp_path / "my_nearest-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-nearest\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bakeoff.models]\nnearest = my_nearest:Nearest\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    train(learner, "popularity")
    run = train(learner, "python", entry_point="nearest")
    assert run.state == TrainingRun.State.PASSED, run.message
    assert run.version.gate["units"] > 20
    question = {"unit_id": "u", "recent": ["i12"], "candidates": ["i3", "i11", "i30"], "context": {}}
    answerer = ModelWorker(settings.BAKEOFF.artifacts)
    (scores,) = answerer.answer(run.version.artifact_sha256, [question])
    assert scores == [-9, -1, -18]


def test_versions_and_runs_are_moved_over_http(shop, lane):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    path = f"/v1/surfaces/home-feed/models/{challenger.algorithm}/{challenger.number}"
    moved = lane.post(f"{path}/shadow", {"reason": "to see"}, shop.secret)
    assert (moved.status_code, moved.json()["alias"]) == (200, "shadow")
    again = lane.post(f"{path}/shadow", {"reason": "to see"}, shop.secret)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "cannot_shadow")
    refused = lane.post(f"{path}/compress", {"how": "int8"}, shop.secret)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "cannot_compress")
    run = TrainingRun.objects.create(surface=shop.surface, algorithm="ease", trigger="a test")
    ended = lane.post(f"/v1/training-runs/{run.pk}/cancel", {}, shop.secret)
    assert (ended.status_code, ended.json()["state"]) == (200, "cancelled")
    again = lane.post(f"/v1/training-runs/{run.pk}/cancel", {}, shop.secret)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "cannot_cancel")
    stranger = builders.make_shop()
    lane.refresh()
    assert lane.post(f"/v1/training-runs/{run.pk}/cancel", {}, stranger.secret).status_code == 404
