"""What was trained is served: by the embedded model's process, as the provider `local` of any prompt."""

from __future__ import annotations

import asyncio
import threading

import pytest
import uvicorn

from bakeoff.local_llm.door import Door
from bakeoff.local_llm.engine import EngineSize
from bakeoff.local_llm.shelf import Shelf
from experiments.actions.add_prompt import add_prompt
from inference.providers import read_providers
from inference.serving.artifact import ArtifactDraft, save_artifact
from tests.support.debian_servers import free_port
from tests.support.generating import make_chat
from tests.support.waiting import wait_until


@pytest.fixture
def local(tiny_causal, monkeypatch):
    """The embedded model beside this process, and the hash of a trained one."""
    home = tiny_causal.parent
    files = {"model.gguf": tiny_causal.read_bytes()}
    digest = save_artifact(home / "artifacts", ArtifactDraft("gguf", {}, {}, files=files))
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
