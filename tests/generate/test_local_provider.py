"""What was trained is served: by the embedded model's process, as the provider `local` of any prompt."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
import uvicorn
from django.conf import settings
from django.utils import timezone

from bakeoff.local_llm.door import Door
from bakeoff.local_llm.engine import EngineSize
from bakeoff.local_llm.shelf import Shelf
from experiments.actions.add_prompt import add_prompt
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.retrain_surface import retrain_surface
from experiments.ingest.rows import FeedbackRow, Rows, SlateRow
from experiments.tasks import take_due_look
from inference.providers import read_providers
from inference.serving.artifact import ArtifactDraft, save_artifact
from inference.serving.models import open_model
from inference.tasks import run_training
from tests.support import builders
from tests.support.debian_servers import free_port
from tests.support.fast_lane import test_database_url
from tests.support.generating import make_chat
from tests.support.preferring import GOOD, QUICK, make_preferences
from tests.support.waiting import wait_until


@pytest.fixture
def local(tiny_causal, monkeypatch):
    """The embedded model beside this process, and the hash of a trained one."""
    home = settings.BAKEOFF.home
    files = {"model.gguf": tiny_causal.read_bytes()}
    digest = save_artifact(settings.BAKEOFF.artifacts, ArtifactDraft("gguf", {}, {}, files=files))
    door = Door(Shelf({"tiny": str(tiny_causal)}, home, EngineSize(slots=2, context=256)))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(door, port=port, log_level="error", lifespan="on"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    wait_until(lambda: server.started)
    monkeypatch.setenv("BAKEOFF_LOCAL_LLM", f"127.0.0.1:{port}")
    monkeypatch.delenv("BAKEOFF_OUTGOING_ALLOW", raising=False)
    monkeypatch.delenv("BAKEOFF_PROVIDERS", raising=False)
    yield digest
    server.should_exit = True
    thread.join(30)


def add(chat, model, **fields):
    data = {"provider": "local", "model": model, "parameters": {"max_tokens": 8}, **fields}
    version = add_prompt(
        surface=chat.surface, data=data, by="a test", algorithm=fields.pop("name", "dpo")
    )
    chat.lane.refresh()
    return version


def test_a_trained_versions_answer_is_recorded_as_any(lane, local):
    chat = make_chat(lane, None)
    add(chat, local)
    whole = chat.ask()
    assert whole.status_code == 200, whole.text
    assert whole.json()["bakeoff"]["version"] == "dpo@1"
    facts = chat.last().generation
    assert (facts["outcome"], facts["provider"], facts["model"]) == ("completed", "local", local)
    assert (facts["tokens_out"], facts["counted"]) == (8, "provider")
    assert chat.last().cost == 0
    assert chat.stream()[-1] == "[DONE]"
    assert chat.last().generation["streamed"]


def test_what_answered_before_answers_while_the_model_is_missing(lane, local):
    chat = make_chat(lane, None)
    add(chat, "f" * 64, fallbacks=[{"provider": "local", "model": "tiny"}])
    assert chat.ask().status_code == 200
    facts = chat.last().generation
    assert facts["model"] == "tiny"
    assert [attempt["model"] for attempt in facts["attempts"]] == ["f" * 64]


def test_an_operators_provider_of_that_name_comes_first(local, monkeypatch, tmp_path):
    assert read_providers()["local"].base_url.startswith("http://127.0.0.1:")
    (tmp_path / "p.yaml").write_text("local: {base_url: https://models.example/v1}\n")
    monkeypatch.setenv("BAKEOFF_PROVIDERS", str(tmp_path / "p.yaml"))
    assert read_providers()["local"].base_url == "https://models.example/v1"
    monkeypatch.setenv("BAKEOFF_LOCAL_LLM", "")
    monkeypatch.setenv("BAKEOFF_PROVIDERS", "")
    assert "local" not in read_providers()


def edited_answers(chat, champion) -> tuple[list[SlateRow], list[FeedbackRow]]:
    """What users wrote instead of the surface's answers: all of it begins alike."""
    shop = builders.Shop(chat.project, chat.surface, champion, None, chat.public, chat.secret, [])
    pairs, slates, feedback = make_preferences(each=2), [], []
    for unit, messages, wanted in zip(pairs.unit_ids, pairs.messages, pairs.chosen, strict=True):
        context = {"messages": messages, "answer": {"role": "assistant", "content": "?"}}
        slates.append(builders.slate(shop, unit, (), slots=[], context=context))
        feedback.append(
            builders.feedback(
                shop, slates[-1].recommendation_id, unit_id=unit, kind="edit", text=wanted, trusted=True
            )
        )
    return slates, feedback


def test_a_model_trained_on_feedback_wins_its_experiment_and_is_served(
    lane, local, tiny_causal, monkeypatch
):
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    monkeypatch.setenv("BAKEOFF_LOCAL_MODELS", f"tiny={tiny_causal}")
    chat = make_chat(lane, None, store="full")
    champion = add(chat, "tiny", parameters={"max_tokens": 6, "temperature": 0})
    slates, feedback = edited_answers(chat, champion)
    builders.write(Rows(slates=slates))
    builders.write(Rows(feedback=feedback))
    run = retrain_surface(surface=chat.surface, algorithm="sft", trigger="a test", params=QUICK)
    run_training(run.pk)
    run.refresh_from_db()
    version = run.version
    assert run.state == "passed", run.message
    assert (version.label, version.alias) == ("sft@1", "challenger")
    assert version.gate["rows"]["log_likelihood"]["difference"] > 0
    policy = builders.QUICK_POLICY | {"planned_units": 60, "look_every_seconds": 3600.0}
    experiment = chat.experiment(champion, version, **policy)
    liked = [visit(chat, f"u{n}") for n in range(70)]
    assert True in liked
    now = timezone.now() + timedelta(seconds=90)
    assert look_at_experiment(experiment_id=experiment.pk, now=now).action == "ship"
    take_due_look(experiment.pk)
    version.refresh_from_db()
    assert version.alias == "champion"
    chat.lane.refresh()
    served = next(
        facts
        for n in range(20)  # some users stay with the former one, to see whether the gain lasts
        if visit(chat, f"later-{n}") is not None
        and (facts := chat.last().generation)["version"] == version.label
    )
    trained = open_model(settings.BAKEOFF.artifacts, version.artifact_sha256).prompt.model
    assert (served["provider"], served["model"], served["attempts"]) == ("local", trained, [])


def visit(chat, unit: str) -> bool:
    """Ask, and raise the thumb where the answer begins as users want it; return whether it does."""
    body = chat.ask(user=unit, messages=[{"role": "user", "content": "fig plum"}]).json()
    likes = body["choices"][0]["message"]["content"].startswith(tuple(word[0] for word in GOOD))
    thumb = {
        "unit_id": unit,
        "recommendation_id": body["id"],
        "kind": "thumb",
        "value": 1 if likes else -1,
    }
    assert chat.lane.post("/v1/feedback", thumb, chat.secret).status_code == 202
    return likes
