"""What the pages of docs say to type is typed: scripts in a browser, Python, requests, commands."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from pathlib import Path

import click
import pytest

from bakeoff.cli import main as cli
from bakeoff.dashboard.sdk_files import EMBED, integrity_of, versions
from experiments.models import Event
from tests.support.generating import make_chat

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Return the name and text of each block of code in some languages."""
    snippets = []
    for page in PAGES:
        for number, block in enumerate(re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.DOTALL)):
            if block[0] in languages:
                snippets.append((f"{page.relative_to(ROOT)}-{number}", block[1]))
    return snippets


def cases(*languages: str):
    return [pytest.param(text, id=name) for name, text in blocks(*languages)]


@pytest.mark.parametrize("text", cases("html"))
def test_a_page_runs_as_it_stands(chromium, lane, shop, text):
    text = re.sub(r"https?://[\w.:-]+/sdk", "/sdk", text).replace("pk_…", shop.public)
    text = text.replace("sha384-…", integrity_of(versions()[0], EMBED))
    text = text.replace("timeout: 300", "timeout: 30_000")  # a busy machine is no missing platform
    context = chromium.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    body = f"<!doctype html><body><ul id='films'></ul>{text}"
    page.route("**/host", lambda route: route.fulfill(body=body, content_type="text/html"))
    with page.expect_response("**/v1/recommend") as response:
        page.goto(f"{lane.url}/host")
    assert response.value.status == 200
    if "bakeoff.track" in text:
        page.locator("li").nth(1).click()
        page.evaluate("() => bakeoff.flush()")
        assert Event.objects.filter(project=shop.project, name="click").count() == 1
    assert errors == []
    context.close()


OPENAI = [case for case in cases("python") if "from openai" in case.values[0]]
PYTHON = [
    case
    for case in cases("python")
    if not case.values[0].startswith(">>>") and case not in OPENAI  # tests/stats has those
]


@pytest.mark.parametrize("text", PYTHON)
def test_python_runs(text, lane, shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = text.replace("http://localhost:8000", lane.url).replace("pk_…", shop.public)
    text = text.replace("sk_…", shop.secret)
    text = text.replace('HTTPServer(("127.0.0.1", 9000), Model).serve_forever()', "Model")
    names = {"json": json}
    exec(compile(text, "a page of docs", "exec"), names)
    if "flags" in names:
        names["flags"].close()  # ends its thread


@pytest.mark.parametrize("text", OPENAI)
def test_openais_client_asks_as_the_page_says(text, lane, provider):
    chat = make_chat(lane, provider)
    chat.add(
        text="You answer {{ shop }}'s customers in two sentences.",
        variables={"shop": {"max_length": 100}},
    )
    text = textwrap.dedent(text).replace("http://localhost:8000", lane.url)
    names = {"SECRET": chat.secret}
    exec(compile(text, "a page of docs", "exec"), names)
    assert names["answer"].id == str(chat.last().recommendation_id)


def requests() -> list:
    """Return path and body of the first block of JSON below each heading that is a request."""
    bodies = []
    for title, text in re.findall(r"^## POST (/v1/\w+)\n(.*?)(?=^## |\Z)", (ROOT / "docs/http.md").read_text(), re.DOTALL | re.MULTILINE):  # fmt: skip
        if body := re.search(r"```json\n(.*?)```", text, re.DOTALL):
            bodies.append(pytest.param(title, json.loads(body[1]), id=title))
    return bodies


@pytest.mark.parametrize(("path", "body"), requests())
def test_a_request_of_the_page_is_understood(lane, shop, path, body):
    answer = lane.post(path, body, shop.public)
    # A surface of labels is not there, nor one of actions: all else was read before.
    assert answer.status_code == 200 or answer.json()["error"]["code"] == "unknown_surface", answer.text
    assert answer.status_code == 200 or path in {"/v1/classify", "/v1/rank"}


def commands() -> list:
    """Return every line of a shell block that calls bakeoff."""
    lines = []
    for name, text in blocks("sh", "bash", "console"):
        calls = re.findall(r"^\s*(?:\S*/)?bakeoff (.*)", text.replace("\\\n", " "), re.MULTILINE)
        lines += [pytest.param(call, id=f"{name}: {call[:40]}") for call in calls]
    for page in PAGES:
        inline = re.findall(
            r"`bakeoff ([^`\n]+)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        )
        # What feeds another command is one, and so is that.
        calls = [call for line in inline for call in re.split(r" \| bakeoff ", line)]
        lines += [pytest.param(call, id=f"{page.stem}: {call[:40]}") for call in dict.fromkeys(calls)]
    return lines


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_pages_is_one(line):
    words = shlex.split(line, comments=True)
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        if not words or words[0] == "…":  # in a sentence: the group as such
            return
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, f"{name} is no command"
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known
