"""OpenAI's own clients, unmodified but for the address."""

from __future__ import annotations

import json
import subprocess

import openai
import pytest

from tests.support import npm
from tests.support.generating import make_chat, write_providers
from tests.support.provider import (
    KEY,
    TestProvider,
    chunk,
    completion,
    refuses,
    says,
    usage,
)

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_order",
            "parameters": {"type": "object", "properties": {"number": {"type": "string"}}},
        },
    }
]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "find_order", "arguments": '{"number": "7"}'},
}


def calls_a_tool(exchange):
    if not exchange.streamed:
        message = {"content": None, "tool_calls": [CALL]}
        exchange.json(200, completion(message, "tool_calls", usage=usage()))
        return
    exchange.start_stream()
    first = {**CALL, "index": 0, "function": {"name": "find_order", "arguments": ""}}
    exchange.event(chunk({"role": "assistant", "tool_calls": [first]}))
    for part in ('{"number": ', '"7"}'):
        exchange.event(chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}))
    exchange.event(chunk({}, "tool_calls"))
    exchange.write(b"data: [DONE]\n\n")


@pytest.fixture(scope="module")
def provider():
    provider = TestProvider()
    yield provider
    provider.stop()


@pytest.fixture
def chat(lane, provider, monkeypatch, tmp_path):
    provider.reset()
    monkeypatch.setenv("BAKEOFF_PROVIDERS", str(write_providers(tmp_path / "p.yaml", provider)))
    monkeypatch.setenv("BAKEOFF_PROVIDER_KEY_TEST", KEY)
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "127.0.0.1")
    lane.gateway._chain._breakers.clear()
    chat = make_chat(lane, provider)
    chat.add(variables={"shop": {"required": False}}, text="You help at {{ shop }}.")
    return chat


@pytest.fixture
def client(chat):
    with openai.OpenAI(base_url=f"{chat.lane.url}/v1", api_key=chat.secret, max_retries=0) as client:
        yield client


ASK = {"model": "support", "user": "u1", "messages": [{"role": "user", "content": "Hello?"}]}


def test_python_chat(chat, client):
    answer = client.chat.completions.create(**ASK, extra_body={"variables": {"shop": "Acme"}})
    assert answer.choices[0].message.content == "Hello there."
    assert answer.usage.total_tokens == 15
    assert answer.bakeoff["version"] == "prompt@1"
    assert chat.provider.requests[-1]["messages"][0]["content"] == "You help at Acme."
    assert [model.id for model in client.models.list()] == ["support"]


def test_python_streams(client):
    texts, usages = [], []
    with client.chat.completions.create(
        **ASK, stream=True, stream_options={"include_usage": True}
    ) as stream:
        for part in stream:
            texts += [choice.delta.content or "" for choice in part.choices]
            usages += [part.usage] if part.usage else []
    assert "".join(texts) == "Hello there."
    assert [one.total_tokens for one in usages] == [15]
    with client.chat.completions.stream(**ASK) as stream:
        assert stream.get_final_completion().choices[0].message.content == "Hello there."


@pytest.mark.parametrize("stream", [False, True])
def test_python_tools(chat, client, stream):
    chat.provider.behave = calls_a_tool
    if stream:
        with client.chat.completions.stream(**ASK, tools=TOOLS) as events:
            answer = events.get_final_completion()
    else:
        answer = client.chat.completions.create(**ASK, tools=TOOLS)
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("find_order", {"number": "7"})
    assert chat.provider.requests[-1]["tools"] == TOOLS
    slate = chat.last()
    assert (slate.generation["tool_calls"], slate.generation["outcome"]) == (1, "completed")
    assert slate.context["answer"]["tool_calls"][0]["function"]["name"] == "find_order"


def test_python_json_schema(chat, client):
    chat.provider.behave = says('{"city": "Paris"}')
    answer = client.chat.completions.create(**ASK, response_format=FORMAT)
    assert json.loads(answer.choices[0].message.content) == {"city": "Paris"}
    assert chat.provider.requests[-1]["response_format"] == FORMAT


def test_python_errors(chat, client):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(**{**ASK, "model": "nowhere"})
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**ASK, extra_body={"variables": {"other": "x"}})
    with (
        pytest.raises(openai.AuthenticationError) as unknown,
        openai.OpenAI(base_url=client.base_url, api_key="sk_nobody", max_retries=0) as nobody,
    ):
        nobody.models.list()
    assert unknown.value.code == "invalid_api_key"
    chat.provider.behave = refuses(429)
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(**ASK)
    assert failed.value.code == "provider_failed"


def test_python_hears_that_a_stream_broke(chat, client):
    def half(exchange):
        exchange.start_stream()
        exchange.event(chunk({"content": "Half"}))

    chat.provider.behave = half
    with (
        pytest.raises(openai.APIError, match="broke off"),
        client.chat.completions.create(**ASK, stream=True) as stream,
    ):
        list(stream)


NODE = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: process.argv[3], maxRetries: 0 });
const ask = { model: "support", user: "u1", messages: [{ role: "user", content: "Hello?" }] };
const out = {};
const answer = await client.chat.completions.create(ask);
out.text = answer.choices[0].message.content;
out.version = answer.bakeoff.version;
out.streamed = "";
for await (const part of await client.chat.completions.create({ ...ask, stream: true })) {
  out.streamed += part.choices[0]?.delta?.content ?? "";
}
out.final = await client.chat.completions.stream(ask).finalContent();
out.models = (await client.models.list()).data.map((model) => model.id);
const format = { type: "json_schema", json_schema: { name: "place", schema: { type: "object" } } };
out.json = (await client.chat.completions.create({ ...ask, response_format: format })).choices.length;
const tools = [{ type: "function", function: { name: "find_order", parameters: { type: "object" } } }];
out.tools = (await client.chat.completions.create({ ...ask, tools })).choices[0].message.tool_calls[0].function.name;
try { await client.chat.completions.create({ ...ask, model: "nowhere" }); }
catch (error) { out.error = [error.constructor.name, error.status, error.code]; }
console.log(JSON.stringify(out));
"""


def test_node(chat, tmp_path):
    folder = npm.install(tmp_path, "openai@7.59.0")
    (folder / "ask.js").write_text(NODE)

    def behave(exchange):
        (calls_a_tool if exchange.body.get("tools") else says("Hello there."))(exchange)

    chat.provider.behave = behave
    done = subprocess.run(
        ["node", "ask.js", chat.lane.url, chat.secret],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "text": "Hello there.", "streamed": "Hello there.", "final": "Hello there.", "version": "prompt@1",
        "models": ["support"], "json": 1, "tools": "find_order",
        "error": ["NotFoundError", 404, "model_not_found"],
    }  # fmt: skip
