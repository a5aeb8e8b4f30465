"""Surfaces that label text: load, train, serve by a worker, correct, retrain. All of it real."""

from __future__ import annotations

import pytest

from bakeoff.gateway.slates.breaker import FAILURES_IN_A_ROW
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.retrain_surface import retrain_surface
from experiments.models import Feedback
from experiments.training_data.examples import examples_of
from inference.actions.load_examples import load_examples
from inference.actions.queue_training import CannotTrainError
from inference.models import ModelVersion, TrainingRun
from inference.worker_threads import shared_model_worker, start_worker_threads
from tests.support import builders
from tests.support.learning import WORDS, make_examples, train


def crown(surface, run, lane) -> None:
    assert run.state == TrainingRun.State.PASSED, run.message
    surface.versions.champions().update(alias="retired")
    ModelVersion.objects.filter(pk=run.version_id).update(alias="champion")
    lane.refresh()


def ask(lane, desk, text, unit="u1", **fields):
    body = {"surface": "intents", "unit_id": unit, "text": text, **fields}
    return lane.post("/v1/classify", body, desk.public)


def test_without_a_model_the_static_list_answers(desk, lane):
    answer = ask(lane, desk, "heat rain").json()
    assert answer["labels"] == [{"label": "other", "score": 0.0}]
    assert answer["fallback"] == "no_champion"


def test_terms_are_labelled_by_the_web_process(desk, lane):
    run = train(desk.surface, "tfidf")
    assert run.version.alias == "challenger"
    advance_challenger(surface=desk.surface)
    lane.refresh()
    answer = ask(lane, desk, "rain rain sun").json()
    assert answer["labels"][0]["label"] == "billing"
    assert sum(one["score"] for one in answer["labels"]) == pytest.approx(1, abs=1e-4)
    assert (answer["model"], answer["fallback"]) == ("tfidf@1", None)
    gate = run.version.gate
    assert gate["rival"] == "the labels' shares"
    assert {"accuracy", "log_score", "precision", "recall", "f1"} <= set(gate["rows"])
    assert gate["about"]["calibration"]


def test_shuffled_labels_promote_nothing(desk):
    load_examples(surface_id=desk.surface.pk, examples=make_examples(shuffled=True))
    run = train(desk.surface, "tfidf")
    assert run.state == TrainingRun.State.REFUSED
    assert "log_score is better than the labels' shares by" in run.message
    assert advance_challenger(surface=desk.surface) is None
    assert not desk.surface.versions.champions().exists()


def test_corrections_and_thumbs_become_examples_and_a_metric(desk, lane):
    crown(desk.surface, train(desk.surface, "tfidf"), lane)
    answers = [ask(lane, desk, "rain sun heat", unit=f"u{n}").json() for n in range(3)]
    words = [("correction", "billing"), ("correction", "account"), ("thumb", 1)]
    for n, (answer, (kind, value)) in enumerate(zip(answers, words, strict=True)):
        sent = lane.post(
            "/v1/feedback",
            {
                "recommendation_id": answer["recommendation_id"],
                "unit_id": f"u{n}",
                "kind": kind,
                "value": value,
            },
            desk.public,
        )
        assert sent.status_code == 202, sent.text
    examples = examples_of(desk.surface)
    mine = {u: label for u, label in zip(examples.unit_ids, examples.labels, strict=True) if u}
    assert mine == {"u0": "billing", "u1": "account", "u2": "billing"}
    assert len(examples.texts) == 123
    corrections = Feedback.objects.filter(project=desk.project, kind="correction").order_by("unit_id")
    assert [row.value for row in corrections] == [1.0, 0.0]


def test_an_encoder_is_served_by_the_worker_and_falls_back_without_it(desk, lane):
    run = train(desk.surface, "frozen-head")
    crown(desk.surface, run, lane)
    stopping = start_worker_threads()
    try:
        shared_model_worker().load(run.version.artifact_sha256)  # as it does by itself, a second later
        answer = ask(lane, desk, "rain sun heat").json()
        assert answer["fallback"] is None
        assert answer["labels"][0]["label"] == "billing"
    finally:
        stopping.set()
        from time import sleep

        sleep(1.5)
    reasons = [
        ask(lane, desk, "rain sun heat").json()["fallback"] for _ in range(FAILURES_IN_A_ROW + 1)
    ]
    assert reasons == ["timeout"] * FAILURES_IN_A_ROW + ["breaker_open"]
    prior = ask(lane, desk, "rain sun heat").json()
    assert sorted(one["label"] for one in prior["labels"]) == sorted(WORDS)
    assert prior["model"] == "frozen-head@1"


TUNED = {"epochs": 2.0, "batch": 16, "rate": 1e-3}


@pytest.mark.parametrize("method", ["full", "lora", "adalora"])
def test_a_transformer_is_fine_tuned_on_labels(trained, method):
    run = trained("bert", method=method, **TUNED)
    assert run.state in {TrainingRun.State.PASSED, TrainingRun.State.REFUSED}, run.message
    assert run.version.gate["rows"]["accuracy"]["challenger"] > 0.5
    assert run.curve
    assert run.curve[-1][0] == "seed 0"


def test_numbers_and_words_beside_the_text_are_read(desk):
    load_examples(surface_id=desk.surface.pk, examples=make_examples(features=True))
    run = train(desk.surface, "tfidf")
    assert run.state == TrainingRun.State.PASSED, run.message


def test_kinds_are_not_mixed_up(desk, lane):
    with pytest.raises(CannotTrainError, match=r"must be one of .* on a surface of kind 'classify'"):
        retrain_surface(surface=desk.surface, algorithm="ease", trigger="a test")
    wrong = lane.post("/v1/recommend", {"surface": "intents", "unit_id": "u1"}, desk.public)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "wrong_kind")
    wrong = lane.post(
        "/v1/classify", {"surface": "home-feed", "unit_id": "u1", "text": "a"}, desk.public
    )
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "wrong_kind")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 5), ("text", "x" * 20_001), ("text", "\0"), ("text", ""),
        ("features", []), ("features", {"a": [1]}), ("features", {"": 1}), ("features", {"a": "x" * 201}),
        ("k", 0), ("k", 101),
    ],
)  # fmt: skip
def test_what_cannot_be_labelled_is_refused(desk, lane, rows, field, value):
    refused = ask(lane, desk, **{"text": "rain", field: value})
    assert refused.status_code == 400
    named = refused.json()["error"]["field"] or field  # NUL is refused before any field is read
    assert named.split(".")[0] == field
    assert rows("slate", desk.project) == 0


def test_personal_data_are_not_kept_with_the_slate(desk, lane):
    from experiments.models import Slate

    answer = ask(lane, desk, "write to ann@example.com about rain", features={"amount": 3}).json()
    slate = Slate.objects.get(recommendation_id=answer["recommendation_id"])
    assert "ann@example.com" not in slate.context["text"]
    assert slate.context["features"] == {"amount": 3}
    assert slate.context["redacted"] == ["email"]


def test_the_page_of_a_run_shows_its_gate_and_cancels_it(trained):
    from django.contrib.auth.models import User
    from django.test import Client

    from bakeoff.dashboard.run_page import draw_curve

    run = trained("bert", method="adalora", **TUNED)
    person = builders.make_root()
    client = Client()
    client.force_login(person)
    page = client.get(f"/runs/{run.pk}/").content.decode()
    for part in ("Calibration", "Log score", "Slices", "Loss", "on shuffled labels", "polyline"):
        assert part in page, part
    assert f"/runs/{run.pk}/" in client.get("/").content.decode()
    waiting = retrain_surface(surface=run.surface, algorithm="tfidf", trigger="a test")
    assert "Cancel run" in client.get(f"/runs/{waiting.pk}/").content.decode()
    assert client.post(f"/runs/{waiting.pk}/cancel/").status_code == 302
    waiting.refresh_from_db()
    assert waiting.state == TrainingRun.State.CANCELLED
    stranger = User.objects.create_user(f"stranger-{run.pk}", password="x")
    client.force_login(stranger)
    assert client.get(f"/runs/{run.pk}/").status_code == 404
    assert client.post(f"/runs/{run.pk}/cancel/").status_code == 404
    assert "<script>" not in draw_curve([["<script>", 1, 0.5]]).svg
