"""The support chat of `/demo/` in a real Chromium: streams by a public key, and what visitors do with answers."""

from __future__ import annotations

import pytest

from experiments.models import Exposure, Feedback
from tests.support.browser import Visit
from tests.support.dashboard import make_user
from tests.support.generating import make_chat
from tests.support.provider import breaks_off, chunk, is_silent, says
from tests.support.waiting import wait_until

PUBLIC = {"public": True, "budgets": {"unit": {"tokens": 100_000}, "address": {"tokens": 100_000}}}
LOOKS = [
    ("light", {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}}),
    ("dark", {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}}),
    ("phone", {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "is_mobile": True}),
]
QUESTION = {
    "messages": [{"role": "user", "content": "{{ question }}"}],
    "variables": {"question": {"max_length": 200, "description": "About an order."}},
}


@pytest.fixture
def public_chat(lane, provider):
    """A public surface, two prompts of which compete."""
    lane.gateway._chain._breakers.clear()
    chat = make_chat(lane, provider, **PUBLIC)
    first, second = chat.add(**QUESTION), chat.add(**QUESTION, parameters={"temperature": 0.1})
    chat.trial = chat.experiment(first, second)
    return chat


def begins_only(exchange) -> None:
    """Begin an answer, and say no more until the reader leaves."""
    exchange.start_stream()
    exchange.event(chunk({"content": "First of all"}))
    is_silent()(exchange)


def visit(chat, chromium, *, key: str | None = None, unit: str = "", role: str = "admin", **options):
    seen = Visit(chromium, chat.lane, make_user(chat.project, role=role), **options)
    key = chat.public if key is None else key
    seen.page.goto(f"/demo/?surface={chat.project.slug}/support&key={key}&unit={unit}")
    return seen


def send(page, text: str, number: int = 1):
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")
    turn = page.locator("#turns > li").nth(number - 1)
    turn.and_(page.locator("[data-done]")).wait_for()
    return turn


def recorded(chat, kind: str) -> Feedback:
    rows = Feedback.objects.filter(project=chat.project, kind=kind)
    wait_until(rows.exists)
    return rows.get()


def test_what_a_visitor_does_with_an_answer_is_recorded(chromium, public_chat):
    chat = public_chat
    chat.provider.behave = says("It comes in two days.")
    seen = visit(chat, chromium, permissions=["clipboard-read", "clipboard-write"])
    page = seen.page
    turn = send(page, "Where is my order?")
    assert turn.locator(".answer").inner_text() == "It comes in two days."
    assert turn.locator(".question").inner_text() == "Where is my order?"
    assert chat.trial.key in turn.locator(".about").inner_text()
    slate = chat.last()
    assert str(slate.recommendation_id) == turn.get_attribute("data-generation")
    assert slate.generation["streamed"] is True
    assert chat.provider.requests[-1]["messages"][-1]["content"] == "Where is my order?"

    turn.get_by_role("button", name="Thumb down").click()
    assert recorded(chat, "thumb").value == -1
    turn.get_by_role("button", name="Copy").click()
    recorded(chat, "copy")
    assert page.evaluate("navigator.clipboard.readText()") == "It comes in two days."
    turn.get_by_role("button", name="Edit").click()
    turn.get_by_label("Your version of the answer").fill("It comes tomorrow.")
    turn.get_by_role("button", name="Save").click()
    edit = recorded(chat, "edit")
    assert edit.recommendation_id == slate.recommendation_id
    assert edit.text == "It comes tomorrow."
    assert 0 < edit.value < 1
    assert turn.locator(".answer").inner_text() == "It comes tomorrow."

    turn.get_by_role("button", name="Regenerate").click()
    page.locator("#turns > li[data-done]").nth(1).wait_for()
    assert recorded(chat, "regenerate").recommendation_id == slate.recommendation_id
    assert chat.last().unit_id == slate.unit_id
    assert {row.unit_id for row in Feedback.objects.filter(project=chat.project)} == {slate.unit_id}
    assert seen.errors == []
    assert seen.elsewhere == []
    seen.close()


def test_each_new_visitor_is_a_unit_of_the_experiment(chromium, public_chat):
    chat = public_chat
    chat.provider.behave = says("Yes.")
    seen = visit(chat, chromium, unit="ann")
    send(seen.page, "Do you ship?")
    seen.page.get_by_role("button", name="New visitor").click()
    assert seen.page.locator("#turns > li").count() == 0
    send(seen.page, "Do you ship?")
    units = set(Exposure.objects.filter(experiment=chat.trial).values_list("unit_id", flat=True))
    assert len(units) == 2
    assert "ann" in units
    seen.close()


def test_a_visitor_who_stops_an_answer_abandons_it(chromium, public_chat):
    chat = public_chat
    chat.provider.behave = begins_only
    seen = visit(chat, chromium)
    page = seen.page
    page.get_by_label("Your message").fill("Tell me everything.")
    page.keyboard.press("Enter")
    page.locator("#turns > li[data-generation]").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#turns > li[data-done]").wait_for()
    recorded(chat, "abandon")
    wait_until(lambda: chat.last() is not None)
    assert chat.last().generation["outcome"] == "cancelled"
    assert page.get_by_role("button", name="Send").is_enabled()
    seen.close()


def test_an_answer_that_breaks_off_is_named_and_a_refused_question_too(chromium, public_chat):
    chat = public_chat
    chat.provider.behave = breaks_off()
    seen = visit(chat, chromium)
    turn = send(seen.page, "Where is my order?")
    assert turn.locator(".answer").inner_text().startswith("Half of")
    assert seen.page.locator("#trouble").inner_text() != ""
    seen.close()
    strange = visit(chat, chromium, key="pk_nobodys")
    strange.page.get_by_label("Your message").fill("Hello?")
    strange.page.keyboard.press("Enter")
    strange.page.locator("#trouble").filter(has_text="key").wait_for()
    assert strange.page.locator("#turns > li").count() == 0
    strange.close()


@pytest.mark.parametrize(("look", "options"), LOOKS)
def test_the_chat_is_readable_everywhere(chromium, public_chat, look, options):
    chat = public_chat
    chat.provider.behave = says("x" * 300)
    seen = visit(chat, chromium, **options)
    send(seen.page, "y" * 200)
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), look
    colours = seen.page.evaluate(
        """[...document.querySelectorAll(".turns .question, .turns .answer")].map((one) => {
            const style = getComputedStyle(one);
            return [style.color, style.backgroundColor];
        })"""
    )
    assert all(ink != ground for ink, ground in colours)
    assert seen.errors == []
    seen.close()


def test_the_chat_is_in_chinese_where_the_page_is(chromium, public_chat):
    chat = public_chat
    chat.provider.behave = says("好。")
    seen = visit(chat, chromium, locale="zh-CN")
    page = seen.page
    page.get_by_label("您的消息").fill("我的订单在哪里？")
    page.get_by_role("button", name="发送").click()
    page.locator("#turns > li[data-done]").wait_for()
    page.get_by_role("button", name="点赞").click()
    page.locator(".recorded").filter(has_text="已记录").wait_for()
    seen.close()


def test_a_generation_appears_in_an_open_list_when_it_has_ended(chromium, public_chat):
    """By the stream, long before the page would ask by itself."""
    chat = public_chat
    chat.provider.behave = says("Yes.")
    seen = Visit(chromium, chat.lane, make_user(chat.project, role="viewer"))
    page = seen.page
    page.goto(f"/p/{chat.project.slug}/surfaces/support/generations/")
    chat.lane.refresh()  # the process learns that somebody watches
    page.wait_for_timeout(500)  # until the stream is open
    generation_id = chat.ask(user="ann", variables={"question": "Do you ship?"}).json()["id"]
    page.locator(f'[data-generation="{generation_id}"]').wait_for(timeout=10_000)
    assert seen.errors == []
    seen.close()


def demo(chat, query: str = "") -> str:
    from django.test import Client

    client = Client()
    client.force_login(make_user(chat.project, role="viewer"))
    answer = client.get(f"/demo/?surface={chat.project.slug}/support{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_surface_that_no_page_may_ask_says_what_is_missing(chat):
    assert "takes no public keys" in demo(chat, f"&key={chat.public}")
    chat.set(**PUBLIC)
    assert "prompt@1 has no variables" in demo(chat, f"&key={chat.public}")


def test_without_a_surface_that_generates_the_page_says_how_to_get_one(shop):
    from django.test import Client

    client = Client()
    client.force_login(make_user(shop.project, role="viewer"))
    page = client.get("/demo/").content.decode()
    assert "data-no-chat" in page
    assert "bakeoff demo --generate" in page
    assert "BAKEOFF_LOCAL_LLM" in page
