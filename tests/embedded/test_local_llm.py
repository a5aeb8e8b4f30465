"""The embedded language model: what an OpenAI client gets, and what stops a generation."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import httpx2
import pytest

from bakeoff.environment import run_folder_of
from bakeoff.local_llm.answers import whole_answer
from bakeoff.local_llm.door import Door, DoorLimits
from bakeoff.local_llm.engine import EngineSize
from bakeoff.local_llm.errors import ApiError
from bakeoff.local_llm.shelf import Shelf
from bakeoff.local_llm.turns import Turns
from inference.serving.artifact import ArtifactDraft, save_artifact
from tests.support.debian_servers import free_port
from tests.support.tiny_causal import write_tiny_causal
from tests.support.waiting import wait_until

SIZE = EngineSize(slots=2, context=512)
HELLO = [{"role": "user", "content": "hello"}]
FLAG = {
    "type": "object",
    "properties": {"flag": {"type": "boolean"}},
    "required": ["flag"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    run_folder_of(folder).mkdir(parents=True, exist_ok=True)
    write_tiny_causal(folder / "tiny.gguf")
    (folder / "broken.gguf").write_bytes(b"GGUF, but no more of it")
    return folder


@pytest.fixture(scope="module")
def artifact(home):
    files = {"model.gguf": (home / "tiny.gguf").read_bytes()}
    return save_artifact(home / "artifacts", ArtifactDraft("gguf", {}, {}, files=files))


@pytest.fixture(scope="module")
def client(home, artifact):
    port = free_port()
    models = f"tiny={home}/tiny.gguf broken={home}/broken.gguf none={home}/none.gguf"
    process = subprocess.Popen(
        [sys.executable, "-m", "bakeoff", "local-llm", "--slots", "2", "--context", "512"],
        env={
            **os.environ,
            "BAKEOFF_HOME": str(home),
            "BAKEOFF_LOCAL_LLM": f"127.0.0.1:{port}",
            "BAKEOFF_LOCAL_MODELS": models,
        },
    )

    def is_ready():
        assert process.poll() is None
        try:
            return http.get("/healthz").status_code == 200
        except httpx2.ConnectError:
            return False

    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        wait_until(is_ready)
        yield http
    process.terminate()
    process.wait(30)


def complete(client, **fields):
    return client.post(
        "/v1/chat/completions", json={"model": "tiny", "messages": HELLO, "max_tokens": 12, **fields}
    )


def events_of(text):
    return [line.removeprefix("data: ") for line in text.splitlines() if line]


def test_an_answer_and_its_stream_are_the_same(client):
    fields = {"temperature": 0, "seed": 1}
    whole = complete(client, **fields)
    assert whole.status_code == 200, whole.text
    answer = whole.json()
    assert (answer["object"], answer["model"]) == ("chat.completion", "tiny")
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 12
    streamed = complete(client, **fields, stream=True, stream_options={"include_usage": True})
    assert streamed.headers["content-type"] == "text/event-stream"
    *chunks, end = events_of(streamed.text)
    assert end == "[DONE]"
    parsed = [json.loads(chunk) for chunk in chunks]
    assert {chunk["object"] for chunk in parsed} == {"chat.completion.chunk"}
    deltas = [choice["delta"] for chunk in parsed for choice in chunk["choices"]]
    text = "".join(delta.get("content") or "" for delta in deltas)
    assert text == answer["choices"][0]["message"]["content"] != ""
    assert parsed[-1]["usage"]["completion_tokens"] == 12
    assert not any(
        "usage" in json.loads(chunk) for chunk in events_of(complete(client, stream=True).text)[:-1]
    )


def test_a_schema_is_kept_and_choices_are_several(client):
    schema = {"type": "json_schema", "json_schema": {"name": "f", "schema": FLAG}}
    fields = {"response_format": schema, "max_tokens": 400, "temperature": 0, "n": 2}
    answer = complete(client, **fields).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    for choice in answer["choices"]:
        assert isinstance(json.loads(choice["message"]["content"])["flag"], bool)


def test_a_tools_call_is_put_together_from_its_parts():
    def chunk(*calls, finish=None):
        delta = {"tool_calls": list(calls)} if calls else {}
        return {
            "id": "1",
            "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }

    begin = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": ""}}
    more = [{"index": 0, "function": {"arguments": part}} for part in ('{"fl', 'ag":true}')]
    usage = {"choices": [], "usage": {"total_tokens": 3}}
    answer = whole_answer(
        [chunk(begin), chunk(more[0]), chunk(more[1]), chunk(finish="tool_calls"), usage]
    )
    (choice,) = answer["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert choice["message"]["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"flag":true}'}}
    ]
    assert answer["usage"] == {"total_tokens": 3}


def test_a_trained_version_is_named_by_its_artifacts_hash(client, artifact, home):
    assert complete(client, model=artifact).status_code == 200
    assert artifact in [model["id"] for model in client.get("/v1/models").json()["data"]]
    unknown = complete(client, model="f" * 64)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    other = save_artifact(
        home / "artifacts", ArtifactDraft("gguf", {}, {"n": 1}, files={"model.gguf": b"x"})
    )
    (home / "artifacts" / other / "model.gguf").write_bytes(b"changed")
    changed = complete(client, model=other)
    assert changed.status_code == 500
    assert "model.gguf of artifact" in changed.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"model": "nobody"}, 404, "model == 'nobody', is not served here"),
        ({"model": "../tiny"}, 404, "is not served here"),
        ({"model": "broken"}, 500, "broken.gguf cannot be loaded"),
        ({"model": "none"}, 500, "is no GGUF file"),
        ({"model": None}, 400, "model must be a string"),
        ({"messages": []}, 400, "messages must be a list"),
        ({"messages": ["x"]}, 400, "an object with a role"),
        ({"max_tokens": 0}, 400, "max_tokens == 0, must be a whole number"),
        ({"n": 9}, 400, "n == 9, must be a whole number in [1, 8]"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"messages": [{"role": "user", "content": "x" * 600}]}, 400, "exceeds the available context"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "?"}}}}, 400, "type ?"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_an_error_of_openais_shape(client, fields, status, words):
    for stream in (False, True):
        refused = complete(client, **fields, stream=stream)
        assert refused.status_code == status
        assert words in refused.json()["error"]["message"]
        assert refused.json()["error"]["type"]


def test_who_is_no_client_of_the_api_is_refused(client):
    path, body = "/v1/chat/completions", json.dumps({"model": "tiny", "messages": HELLO})
    assert client.post(path, content=body, headers={"content-type": "text/plain"}).status_code == 415
    page = {"content-type": "application/json", "origin": "https://site.example"}
    assert client.post(path, content=body, headers=page).status_code == 403
    json_type = {"content-type": "application/json"}
    assert client.post(path, content="{", headers=json_type).json()["error"]["code"] == "invalid_json"
    assert client.post(path, content="[]", headers=json_type).status_code == 400
    assert client.post(path, content=" " * 1_000_001, headers=json_type).status_code == 413
    assert client.get(path).status_code == 405
    assert client.get("/v1/embeddings").status_code == 404


def test_it_gives_its_supervisor_signs_of_life(client, home):
    wait_until(lambda: list(run_folder_of(home).glob("web-*.beat")))


def test_its_ports_answer_nobody_else(client):
    """The library listens too: on a port that it chooses, for who knows a key that nobody knows."""
    import psutil

    ours = client.base_url.port
    owner = next(
        one
        for one in psutil.Process().children()
        if str(ours) in one.environ().get("BAKEOFF_LOCAL_LLM", "")
    )
    complete(client)
    ports = {one.laddr.port for one in owner.net_connections() if one.status == "LISTEN"} - {ours}
    assert ports
    for port in ports:
        reply = httpx2.post(f"http://127.0.0.1:{port}/v1/chat/completions", json={"messages": HELLO})
        assert reply.status_code == 401


def ask(door, fields, *, send, leaves_after=None):
    """Ask a door in this process; the client leaves when `leaves_after` is set."""
    body = json.dumps({"model": "tiny", "messages": HELLO, "stream": True, **fields}).encode()
    messages = [{"type": "http.request", "body": body}]

    async def receive():
        if messages:
            return messages.pop()
        await (leaves_after or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
    return door(scope, receive, send)


def test_a_client_that_leaves_stops_its_generation(home):
    async def scenario():
        door = Door(Shelf({"tiny": str(home / "tiny.gguf")}, home, SIZE))
        seen, left = [], asyncio.Event()

        async def send(message):
            seen.append(message.get("body", b""))
            left.set()
            await asyncio.sleep(0)

        await ask(door, {"max_tokens": 400, "temperature": 0}, send=send, leaves_after=left)
        return b"".join(seen), door._health()

    sent, health = asyncio.run(scenario())
    assert b"data: " in sent
    assert b'finish_reason":"' not in sent
    assert b"[DONE]" not in sent
    assert (health["running"], health["waiting"]) == (0, 0)


def test_a_deadline_ends_a_stream_with_its_reason(home):
    async def scenario():
        door = Door(Shelf({"tiny": str(home / "tiny.gguf")}, home, SIZE), DoorLimits(seconds=2.0))
        seen = []

        async def send(message):
            seen.append(message.get("body", b""))
            if len(seen) == 3:
                await asyncio.sleep(60)  # a client that reads no further, until the deadline

        await ask(door, {"max_tokens": 400}, send=send)
        early = Door(Shelf({"tiny": str(home / "tiny.gguf")}, home, SIZE), DoorLimits(seconds=0.0))
        refused = []

        async def note(message):
            refused.append(message)

        await ask(early, {}, send=note)
        return b"".join(seen), refused[0]["status"], door._health()["running"]

    sent, status, running = asyncio.run(scenario())
    assert b'"code":"deadline_exceeded"' in sent
    assert b"[DONE]" not in sent
    assert (status, running) == (504, 0)


def test_who_would_be_one_too_many_is_refused_and_the_others_wait_in_turn():
    async def scenario():
        turns, order, done = Turns(slots=1, max_waiting=2), [], asyncio.Event()

        async def work(name):
            async with turns.turn():
                order.append(name)
                await done.wait()

        tasks = []
        for name in "abc":
            tasks.append(asyncio.create_task(work(name)))
            await asyncio.sleep(0)
        with pytest.raises(ApiError, match="2 requests wait already") as refused:
            await work("d")
        counts = (turns.running, turns.waiting)
        done.set()
        await asyncio.gather(*tasks)
        return order, refused.value, counts, (turns.running, turns.waiting)

    order, refused, counts, after = asyncio.run(scenario())
    assert (order, counts, after) == (["a", "b", "c"], (1, 2), (0, 0))
    assert (refused.status, refused.retry_seconds) == (429, 1)


def test_the_model_used_longest_ago_makes_room(home):
    async def scenario():
        sources = {name: str(home / "tiny.gguf") for name in "abc"}
        shelf = Shelf(sources, home, EngineSize(slots=2, context=128))
        async with shelf.engine("a"):
            async with shelf.engine("b"):
                pass
            async with shelf.engine("c"):
                held = shelf.loaded
        return held, shelf.names

    held, names = asyncio.run(scenario())
    assert held == ["a", "c"]  # "a" was used longer ago, but generates
    assert names == ["a", "b", "c"]
