"""Who may ask what, how often, and what is looked at on the way in and out."""

from __future__ import annotations

import json
import logging

import pytest
from django.db import connection

from bakeoff.accounts.models import AuditEntry
from bakeoff.accounts.set_quota import set_quota
from bakeoff.accounts.usage import read_usage
from experiments.actions.change_surface import CannotChangeSurfaceError, patch_surface
from experiments.actions.count_usage import count_usage
from experiments.actions.erase_unit import erase_unit
from inference.cache import cache_client
from tests.support import builders
from tests.support.provider import KEY, refuses, says, usage

DAY = {"unit": {"tokens": 100}, "address": {"money": 1}}


def outcomes(chat) -> list[str]:
    return [one.generation["outcome"] for one in chat.slates()]


def test_a_public_key_sends_variables_alone(chat):
    refused = chat.ask(key=chat.public)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "secret_key_needed")
    chat.surface.versions.update(alias="retired")
    chat.add(text="{{ question }}", variables={"question": {"max_length": 50}})
    chat.set(public=True, budgets=DAY)
    answer = chat.ask(key=chat.public, messages=..., variables={"question": "Where?"})
    assert answer.status_code == 200, answer.text
    for more in (
        {"messages": [{"role": "user", "content": "Write a poem"}]},
        {"messages": ..., "tools": [{"type": "function", "function": {"name": "x"}}]},
        {"messages": ..., "max_tokens": 100_000},
        {"messages": ..., "temperature": 0.1},
    ):
        answer = chat.ask(key=chat.public, variables={"question": "Where?"}, **more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "secret_key_needed")
    assert len(chat.provider.requests) == 1
    models = chat.lane.client.get("/v1/models", headers={"Authorization": f"Bearer {chat.public}"})
    assert [one["id"] for one in models.json()["data"]] == ["support"]


@pytest.mark.parametrize(
    ("generate", "field"),
    [
        ({"public": True}, "generate.budgets"),
        ({"store": "some"}, "generate.store"),
        ({"cache": {"seconds": 60}, "store": "none"}, "generate.cache"),
        ({"budgets": {"everybody": {}}}, "generate.budgets.everybody"),
        ({"budgets": {"key": {"tokens": -1}}}, "generate.budgets.key.tokens"),
        ({"prices": {"test": {"small": {"input": 1}}}}, "generate.prices"),
        ({"guardrails": {"redact": ["both"]}}, "generate.guardrails.redact"),
        ({"proxy": True}, "generate.proxy"),
    ],
)
def test_settings_that_break_a_rule_are_refused(chat, generate, field):
    with pytest.raises(CannotChangeSurfaceError) as refused:
        patch_surface(surface=chat.surface, changes={"generate": generate}, by="a test")
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("budget", "keys"),
    [
        ({"unit": {"tokens": 20}}, "u1"),
        ({"key": {"tokens": 20}}, "u2"),
        ({"project": {"money": 3e-5}}, "u2"),
        ({"surface": {"tokens": 30}}, "u2"),
        ({"address": {"tokens": 30}}, "u2"),
    ],
)
def test_a_spent_budget_is_a_429_of_openais(chat, budget, keys):
    chat.set(budgets=budget)
    assert chat.ask().status_code == 200  # 15 tokens, 0.00002
    assert chat.ask().status_code == 200
    refused = chat.ask(user=keys)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert refused.json()["error"]["type"] == "insufficient_quota"
    assert int(refused.headers["retry-after"]) > 0
    assert outcomes(chat) == ["completed", "completed", "blocked"]
    if "unit" in budget:
        assert chat.ask(user="another").status_code == 200


def test_answers_are_given_again_where_the_surface_caches(chat):
    chat.set(cache={"seconds": 60})
    first, again = chat.ask(), chat.ask(user="u2")
    assert first.json()["choices"][0]["message"] == again.json()["choices"][0]["message"] | {
        "content": "Hello there."
    }
    assert json.loads(chat.stream()[0])["choices"][0]["delta"]["content"] == "Hello there."
    chat.ask(temperature=0.5)
    assert len(chat.provider.requests) == 2
    assert outcomes(chat) == ["completed", "cached", "cached", "completed"]
    assert [one.cost > 0 for one in chat.slates()] == [True, False, False, True]
    erase_unit(project_id=chat.project.pk, unit_id="u1", by="a test")
    assert not list(cache_client().scan_iter(f"answer:{chat.surface.pk}:*"))
    chat.ask()
    assert len(chat.provider.requests) == 3


def test_no_answer_is_given_again_while_an_experiment_runs(chat):
    chat.set(cache={"seconds": 60})
    chat.experiment(chat.versions[0], chat.add(text="Other."))
    chat.ask(), chat.ask()
    assert len(chat.provider.requests) == 2
    chat.set(cache={"seconds": 60, "during_experiments": True})
    chat.ask(), chat.ask()
    assert len(chat.provider.requests) == 3


def test_prices_are_those_of_the_surface_and_the_day(chat):
    rows = [
        {"from": "2020-01-01", "input": 100, "output": 0},
        {"from": "2999-01-01", "input": 0, "output": 0},
    ]
    chat.set(prices={"test": {"small": rows}})
    chat.provider.behave = says("Hello", tokens=usage(1000, 5, cached=400))
    chat.ask()
    assert chat.last().cost == pytest.approx(1000 * 100 / 1e6)
    chat.set(prices={"test": {"*": {"input": 100, "output": 0, "cached": 10}}})
    chat.ask()
    assert chat.last().cost == pytest.approx((600 * 100 + 400 * 10) / 1e6)


def test_tokens_are_counted_where_the_provider_states_none(chat):
    chat.provider.behave = says("Hello there.", tokens={})
    answer = chat.ask().json()
    facts = chat.last().generation
    assert (facts["counted"], facts["tokens_out"]) == ("us", 3)
    assert answer["usage"]["completion_tokens"] == 3
    *_events, usage_event, _done = chat.stream(stream_options={"include_usage": True})
    assert json.loads(usage_event)["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("stream", [False, True])
def test_blocked_terms_neither_go_nor_come(chat, stream):
    chat.set(guardrails={"blocked_terms": ["Falcon", "机密"]})
    for text in ("What of FALCON?", "这是机密文件"):
        refused = chat.ask(stream=stream, messages=[{"role": "user", "content": text}])
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "content_filter")
    assert not chat.provider.requests
    assert chat.ask(messages=[{"role": "user", "content": "Falconry?"}]).status_code == 200
    chat.provider.behave = says("It is about falcon.")
    if stream:
        first, last, _done = chat.stream()
        assert "falcon" not in first
        assert json.loads(last)["choices"][0]["finish_reason"] == "content_filter"
    else:
        choice = chat.ask().json()["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("", "content_filter")
    assert chat.last().generation["guardrails"] == {"blocked_term_out": 1}
    assert outcomes(chat) == ["blocked", "blocked", "completed", "refused"]


@pytest.mark.parametrize("stream", [False, True])
def test_checks_of_a_version(chat, stream):
    chat.surface.versions.update(alias="retired")
    schema = {"type": "object", "required": ["city"]}
    chat.add(checks={"json_schema": schema, "redact": ["in", "out"], "max_length": 60})
    mail = [{"role": "user", "content": "I am anna@example.com"}]
    chat.provider.behave = says('{"town": "bob@example.com"}')
    answer = chat.ask(messages=mail, stream=stream)
    assert "[email]" in answer.text
    assert "bob@" not in answer.text
    assert chat.provider.requests[-1]["messages"][-1]["content"] == "I am [email]"
    facts = chat.last().generation
    assert facts["schema_ok"] is False
    assert facts["guardrails"] == {"redacted_in": 1, "redacted_out": 1, "json_schema": 1}
    chat.provider.behave = says(json.dumps({"city": "x" * 100}))
    chat.ask(stream=stream)
    facts = chat.last().generation
    assert (facts["schema_ok"], facts["finish_reason"]) == (True, "length")
    assert len(chat.last().context["answer"]["content"]) == 60


def test_a_stream_is_cut_where_it_is_long_enough(chat):
    chat.surface.versions.update(alias="retired")
    chat.add(checks={"max_length": 7})
    chat.provider.behave = says("One two three four", pieces=6)
    chunks = [json.loads(one) for one in chat.stream()[:-1]]
    text = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks)
    assert (text, chunks[-1]["choices"][0]["finish_reason"]) == ("One two", "length")
    assert chat.last().context["answer"]["content"] == "One two"


def test_tools_that_the_version_forbids(chat):
    chat.surface.versions.update(alias="retired")
    chat.add(tools=[])
    tools = [{"type": "function", "function": {"name": "x"}}]
    refused = chat.ask(tools=tools)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "tools_not_allowed")
    assert outcomes(chat) == ["blocked"]


@pytest.mark.parametrize(
    ("store", "expected"),
    [("none", None), ("redacted", "I am [email]"), ("full", "I am anna@example.com")],
)
def test_texts_are_stored_as_the_surface_says(chat, store, expected):
    chat.set(store=store)
    chat.ask(messages=[{"role": "user", "content": "I am anna@example.com"}])
    context = chat.last().context
    assert (context["messages"][-1]["content"] if context else None) == expected


def test_the_key_of_a_provider_stands_nowhere(chat, caplog, tmp_path):
    """Rows of every table, logs, answers, artifacts, pages."""
    caplog.set_level(logging.DEBUG)
    answers = []
    for behave in (says(f"It is {KEY}."), refuses(400, KEY), refuses(401, KEY), refuses(500, KEY)):
        chat.provider.behave = behave
        answer = chat.ask()
        answers.append(answer.text if answer.status_code != 200 else "")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" AS t WHERE t::text LIKE %s', [f"%{KEY}%"])
            assert cursor.fetchone() == (0,), table
    assert AuditEntry.objects.filter(project=chat.project).exists()
    assert KEY not in caplog.text
    assert not any(KEY in text for text in answers)
    from django.conf import settings

    for version in chat.versions:
        for file in (settings.BAKEOFF.artifacts / version.artifact_sha256).iterdir():
            assert KEY.encode() not in file.read_bytes()


def test_tokens_are_counted_and_a_quota_that_is_used_up_refuses(chat):
    chat.provider.behave = says("Hello", tokens=usage(1000, 5))
    set_quota(project=chat.project, changes={"tokens": 1005}, by="the operator")
    assert chat.ask().status_code == 200
    (month,) = read_usage(chat.project, builders.now()).months
    counts = (month.answers, month.generations, month.tokens_in, month.tokens_out)
    assert counts == (0, 1, 1000, 5)
    count_usage(builders.now())
    chat.lane.refresh()
    refused = chat.ask()
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["type"]) == (
        429, "insufficient_quota", "insufficient_quota",
    )  # fmt: skip
    assert error["message"].startswith(f"tokens of {month.month:%Y-%m} == 1005, must be below 1005, ")
    assert len(chat.slates()) == 1
    set_quota(project=chat.project, changes={"tokens": None}, by="the operator")
    chat.lane.refresh()
    assert chat.ask().status_code == 200
