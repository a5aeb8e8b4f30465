"""Prompts and their templates: what they may say, and what no template gets at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.reports.prompt_diff import diff_prompts, prompt_text
from inference.serving.json_schemas import SchemaError, compile_schema, fits
from inference.serving.prompts import Prompt, PromptError, VariablesError
from inference.serving.templates import MAX_RENDERED, Template, TemplateError

PROMPT = {
    "provider": "big", "model": "large", "parameters": {"temperature": 0.2}, "static_text": "We are away.",
    "messages": [{"role": "system", "content": "You help {{ name|default('you') }}."}],
    "variables": {"name": {"max_length": 10, "required": False}},
    "checks": {"blocked_terms": ["x"], "json_schema": {"type": "object"}, "redact": ["in"], "max_length": 9},
    "fallbacks": [{"provider": "small", "model": "tiny"}], "tools": [], "total_seconds": 20,
}  # fmt: skip


def test_a_prompt_is_read_back_as_it_was_written():
    prompt = Prompt.parse(PROMPT)
    assert Prompt.parse(prompt.as_json()) == prompt
    assert [one.model for one in prompt.chain] == ["large", "tiny"]
    assert prompt.render(prompt.settle({}))[0]["content"] == "You help you."
    with pytest.raises(VariablesError):
        prompt.settle({"name": "x" * 11})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"provider": "https://evil.example"}, "provider"),
        ({"provider": None}, "provider"),
        ({"api_key": "x"}, "api_key"),
        ({"parameters": {"model": "x"}}, "parameters"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": "{{ other }}"}]}, "messages"),
        ({"variables": {"a b": {}}}, "variables.a b"),
        ({"checks": {"json_schema": {"$ref": "http://10.0.0.1/x"}}}, "checks.json_schema"),
        ({"fallbacks": [{"provider": "small"}]}, "fallbacks[0]"),
        ({"total_seconds": 0}, "total_seconds"),
        ({"first_token_seconds": 30}, "first_token_seconds"),
        ({"parameters": {"x": "y" * 70_000}}, "parameters"),
    ],
)
def test_what_breaks_a_rule_is_refused(changes, field):
    with pytest.raises(PromptError) as refused:
        Prompt.parse({**PROMPT, **changes})
    assert refused.value.field.startswith(field)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(10) %}x{% endfor %}", "{{ name.__class__ }}", "{{ name['a'] }}", "{{ name() }}", "{{ other }}",
        "{{ name * 9 }}", "{{ name ** 9 }}", "{% set a = 1 %}", "{{ name|attr('x') }}", "{% include 'a' %}", "{% import 'a' as b %}",
        "{% macro a() %}{% endmacro %}", "{{ 'a'|truncate(name) }}", "{{ name|truncate(*name) }}", "{{ [name] }}", "{{ self }}",
        "{{ loop }}", "{{", "{{ " + "(" * 3000 + "name" + ")" * 3000 + " }}", "{{ " + "not " * 5000 + "name }}",
        "{% if name %}" * 1000 + "{% endif %}" * 1000, "x" * 40_000,
    ],
)  # fmt: skip
def test_a_template_gets_at_nothing(source):
    with pytest.raises(TemplateError):
        Template(source, {"name"})


def test_what_a_template_gives_is_bounded():
    with pytest.raises(TemplateError, match="must be at most"):
        Template("{{ a }}" * 100, {"a"}).render({"a": "x" * (MAX_RENDERED // 50)})


@given(st.text(max_size=50))
def test_a_variable_is_no_template(value):
    assert Template("<{{ a }}>", {"a"}).render({"a": value}) == f"<{value}>"
    assert Template("{{ a }}", {"a"}).render({"a": "{{ 7 * 7 }}{% raw %}"}) == "{{ 7 * 7 }}{% raw %}"


def test_a_schema_is_fetched_from_nowhere():
    assert fits({"type": "object", "required": ["a"]}, '{"a": 1}')
    assert not fits({"type": "object", "required": ["a"]}, "{}")
    assert not fits({"type": "object"}, "no JSON")
    for schema in ({"$ref": "file:///etc/passwd"}, {"type": "nonsense"}):
        with pytest.raises(SchemaError):
            compile_schema(schema)


def test_two_prompts_differ_line_by_line():
    before = Prompt.parse(PROMPT)
    after = Prompt.parse({**PROMPT, "model": "larger", "static_text": None})
    changed = [(one.kind, one.text) for one in diff_prompts(before, after) if one.kind != "same"]
    assert changed == [
        ("removed", "model: large"),
        ("added", "model: larger"),
        ("removed", "static_text: We are away."),
    ]
    lines = Prompt.parse({**PROMPT, "messages": [{"role": "system", "content": "One\nTwo\n"}]})
    assert "  content: |\n    One\n    Two\n" in prompt_text(lines)
