"""Chat completions: asked, answered, recorded, with and without streaming."""

from __future__ import annotations

import json
import threading
from uuid import uuid4

from experiments.actions.change_shares import Change, open_epoch
from experiments.models import Experiment, Exposure
from tests.support.generating import ASK
from tests.support.provider import chunk


def test_it_answers_and_records(chat):
    answer = chat.ask()
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == "Hello there."
    assert (body["model"], body["object"]) == ("support", "chat.completion")
    assert body["bakeoff"]["version"] == "prompt@1"
    assert answer.headers["x-bakeoff-generation-id"] == body["bakeoff"]["generation_id"] == body["id"]
    (request,) = chat.provider.requests
    assert request["messages"] == [{"role": "system", "content": "You help."}, *ASK]
    slate = chat.last()
    assert str(slate.recommendation_id) == body["id"]
    assert slate.generation["outcome"] == "completed"
    assert (slate.generation["tokens_in"], slate.generation["tokens_out"]) == (10, 5)
    assert slate.cost == 20e-6
    assert slate.context["answer"]["content"] == "Hello there."
    assert slate.slots == []


def test_it_streams_and_records(chat):
    *events, last = chat.stream(stream_options={"include_usage": True})
    assert last == "[DONE]"
    chunks = [json.loads(one) for one in events]
    texts = [c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]]
    assert "".join(texts) == "Hello there."
    assert {one["model"] for one in chunks} == {"support"}
    assert chunks[-1]["usage"]["total_tokens"] == 15
    (generation_id,) = {one["id"] for one in chunks}
    assert chunks[0]["bakeoff"]["generation_id"] == generation_id
    slate = chat.last()
    assert str(slate.recommendation_id) == generation_id
    assert slate.generation["first_token_ms"] > 0
    assert slate.generation["streamed"] is True


def test_feedback_names_a_generation(chat):
    generation_id = chat.ask().json()["id"]
    body = {"unit_id": "u1", "recommendation_id": generation_id, "kind": "thumb", "value": 1}
    answer = chat.lane.post("/v1/feedback", body, chat.public)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


def test_models_are_the_surfaces(chat):
    answer = chat.lane.client.get("/v1/models", headers={"Authorization": f"Bearer {chat.secret}"})
    assert [one["id"] for one in answer.json()["data"]] == ["support"]
    answer = chat.lane.client.get("/v1/models", headers={"Authorization": f"Bearer {chat.public}"})
    assert answer.json()["data"] == []


def test_an_experiment_exposes_units_to_their_variant(chat):
    other = chat.add(text="You help at length.")
    experiment = chat.experiment(chat.versions[0], other)
    answers = [chat.ask(user=f"u{n}").json()["bakeoff"] for n in range(12)]
    assert {one["variant"] for one in answers} == {"control", "treatment-1"}
    exposed = Exposure.objects.filter(experiment=experiment).values_list("unit_id", "variant__key")
    assert dict(exposed) == {f"u{n}": one["variant"] for n, one in enumerate(answers)}
    again = chat.ask(user="u0").json()["bakeoff"]
    assert again["variant"] == answers[0]["variant"]
    assert Exposure.objects.filter(experiment=experiment).count() == 12
    nobody = chat.ask(user=...)
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (400, "unit_needed")
    forced = chat.ask(user="u99", overrides={experiment.key: "treatment-1"})
    assert forced.json()["bakeoff"]["variant"] == "treatment-1"
    assert not Exposure.objects.filter(experiment=experiment, unit_id="u99").exists()


def test_a_bandits_users_keep_their_prompt(chat):
    other = chat.add(text="You help at length.")
    experiment = chat.experiment(chat.versions[0], other, mode="bandit")

    def variants(units):
        return {unit: chat.ask(user=unit).json()["bakeoff"]["variant"] for unit in units}

    first = variants(f"u{n}" for n in range(12))
    shares = {"control": 0.1, "treatment-1": 0.9}
    open_epoch(Experiment.objects.get(pk=experiment.pk), Change(weights=shares), by="platform")
    chat.lane.refresh()
    assert variants(first) == first
    assert list(variants(f"new{n}" for n in range(20)).values()).count("treatment-1") > 12
    assert Exposure.objects.filter(experiment=experiment, epoch=2).count() == 20


def test_variables_fill_the_template(chat):
    chat.surface.versions.update(alias="retired")
    chat.add(
        text="You help {{ name }}.{% if tone %} Be {{ tone }}.{% endif %}",
        variables={"name": {"max_length": 10}, "tone": {"required": False}},
    )
    chat.ask(variables={"name": "Ann", "tone": "brief"})
    assert chat.provider.requests[-1]["messages"][0]["content"] == "You help Ann. Be brief."
    for variables, field in (
        ({}, "variables.name"),
        ({"name": "x" * 11}, "variables.name"),
        ({"name": "Ann", "other": "x"}, "variables.other"),
        ({"name": ["x"]}, "variables.name"),
    ):
        answer = chat.ask(variables=variables)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)
        assert chat.last().generation["outcome"] == "blocked"
    assert len(chat.provider.requests) == 1


def test_feedback_on_an_answer_that_has_not_ended_waits_for_its_record(chat):
    """Who stops an answer says so before the end of it is recorded."""
    stopped = threading.Event()
    chat.provider.behave = ends_when(stopped)
    headers = {"Authorization": f"Bearer {chat.secret}"}
    body = {"model": "support", "messages": ASK, "stream": True}
    with chat.lane.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        generation_id = answer.headers["x-bakeoff-generation-id"]
        threading.Timer(0.5, stopped.set).start()
        body = {"unit_id": "u1", "recommendation_id": generation_id, "kind": "abandon"}
        answered = chat.lane.post("/v1/feedback", body, chat.public)
    assert (answered.status_code, answered.json()["accepted"]) == (202, 1)
    unknown = chat.lane.post("/v1/feedback", body | {"recommendation_id": str(uuid4())}, chat.public)
    assert unknown.status_code == 404


def ends_when(stopped: threading.Event):
    """Begin an answer, and break off when it is stopped."""

    def behave(exchange) -> None:
        exchange.start_stream()
        exchange.event(chunk({"content": "First of all"}))
        stopped.wait(30)

    return behave
