"""Pages of a surface that generates."""

from __future__ import annotations

from django.test import Client

from tests.support.dashboard import sign_in
from tests.support.html import has
from tests.support.provider import refuses, says


def visit(chat, path: str, role: str = "viewer"):
    return sign_in(chat.project, role=role).get(f"/p/{chat.project.slug}/{path}")


def test_a_generation_with_its_prompt_and_feedback(chat):
    generation_id = chat.ask(messages=[{"role": "user", "content": "<b>Where?</b>"}]).json()["id"]
    body = {"unit_id": "u1", "recommendation_id": generation_id, "kind": "thumb", "value": 1}
    chat.lane.post("/v1/feedback", body, chat.secret)
    listed = visit(chat, "surfaces/support/generations/").content.decode()
    assert has(listed, data_generation=generation_id)
    page = visit(chat, f"generations/{generation_id}/").content.decode()
    assert has(page, data_outcome="completed")
    assert "&lt;b&gt;Where?&lt;/b&gt;" in page
    assert "Hello there." in page
    assert sign_in().get(f"/p/{chat.project.slug}/generations/{generation_id}/").status_code == 404
    assert Client().get(f"/p/{chat.project.slug}/generations/{generation_id}/").status_code == 302


def test_cost_and_latency_over_time_and_rows_that_come_by_themselves(chat):
    chat.ask()
    path = "surfaces/support/generations/"
    page = visit(chat, path).content.decode()
    assert has(page, data_line="prompt@1")
    assert page.count('data-line="prompt@1"') == 2  # cost and latency
    assert 'hx-trigger="live-generations from:body throttle:1s, every 15s"' in page
    later = chat.ask().json()["id"]
    client = sign_in(chat.project, role="viewer")
    rows = client.get(f"/p/{chat.project.slug}/{path}", headers={"HX-Request": "true"})
    assert has(rows.content.decode(), data_generation=later)
    assert b"<html" not in rows.content
    paused = visit(chat, f"{path}?paused=1&outcome=completed").content.decode()
    assert "hx-trigger" not in paused.split('id="generations"')[1].split(">")[0]
    assert 'href="?outcome=completed&amp;"' in paused


def test_a_version_shows_what_differs_from_the_champion(chat):
    other = chat.add(text="You help in one sentence.")
    page = visit(chat, f"models/{other.pk}/").content.decode()
    assert "<ins>+   content: You help in one sentence.</ins>" in page
    assert "<del>-   content: You help.</del>" in page


def test_operators_try_two_versions_side_by_side(chat):
    other = chat.add(model="large")
    chat.provider.by_model = {"small": says("A long story."), "large": refuses(500)}
    body = {"first": chat.versions[0].pk, "second": other.pk, "message": "Hi", "variables": ""}
    # Pages of the server that serves: a page elsewhere has no playground.
    operator = sign_in(chat.project, role="operator")
    address = f"{chat.lane.url}/p/{chat.project.slug}/surfaces/support/playground/"
    session, token = operator.cookies["sessionid"].value, "x" * 32
    headers = {"Cookie": f"sessionid={session}; csrftoken={token}"}
    sent = {**body, "csrfmiddlewaretoken": token}
    answer = chat.lane.client.post(address, data=sent, headers=headers)
    assert answer.status_code == 200, answer.text
    assert has(answer.text, data_trial="prompt@1")
    assert "A long story." in answer.text
    assert "No provider gave an answer" in answer.text
    assert [one["messages"][-1]["content"] for one in chat.provider.requests] == ["Hi", "Hi"]
    assert not chat.slates().exists()
    analyst = sign_in(chat.project, role="analyst")
    assert analyst.post(f"/p/{chat.project.slug}/surfaces/support/playground/", body).status_code == 403
