"""A question that is due is asked by the embed alone: once, with consent, in the page's language."""

from __future__ import annotations

import re

import pytest

from experiments.actions.create_survey import create_survey
from experiments.models import Feedback, Slate
from experiments.survey_question import SurveyQuestion, Translation
from inference.models import Surface
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.embed_page import stored

QUESTION = "How do you like these?"
OTHER_QUESTION = "Did you find it?"
TAG = '<script src="/sdk/v1.js" data-key="{key}" data-wait="0" {more}></script>'
SHOW = "async () => (await bakeoff.recommend('home-feed', { k: 2 })).survey?.key"


def page_of(shop, more="", *, lang="en", body="<h1>Shop</h1>"):
    tag = TAG.format(key=shop.public, more=more)
    return f'<!doctype html><html lang="{lang}"><title>Shop</title>{tag}<main>{body}</main></html>'


def scripts(page) -> list[str]:
    return [path for path in page.requested if path.endswith("survey.js")]


def settle(page):
    """Wait for a request after a slate: what the slate made the embed load was requested before it."""
    page.evaluate("async () => (await fetch('/sdk/v1.js')).text()")


@pytest.fixture
def asking(lane, shop):
    question = SurveyQuestion(
        "liked", "rating", QUESTION, asks_comment=True,
        translations={"zh-Hans": Translation("你喜欢这些吗？")},
    )  # fmt: skip
    create_survey(surface=shop.surface, question=question, by="a test")
    lane.refresh()
    return shop


def test_a_page_with_one_script_is_loaded_once_by_keyboard(opened, asking):
    page = opened("", whole=page_of(asking))
    assert page.evaluate(SHOW) == "liked"
    group = page.get_by_role("group", name=QUESTION)
    group.wait_for()
    # It came by itself, in sight, and took no focus from what the visitor does.
    assert page.evaluate("() => document.activeElement.tagName") == "BODY"
    stored(asking, "prompt_shown", 1)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type("More films by women.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Thank you.").wait_for()
    rows = {row.kind: row for row in Feedback.objects.filter(project=asking.project)}
    assert (rows["survey"].text, rows["text"].text) == ("liked", "More films by women.")
    slate = Slate.objects.get(project=asking.project)
    assert {row.recommendation_id for row in rows.values()} == {slate.recommendation_id}
    # Neither this page nor the next asks again: the server names no question, and nothing is loaded.
    assert page.evaluate(SHOW) is None
    page.reload()
    loaded = len(scripts(page))
    assert page.evaluate(SHOW) is None
    settle(page)
    assert (len(scripts(page)), page.locator("bakeoff-survey").count()) == (loaded, 0)
    assert (page.problems, page.warnings) == ([], [])


def test_slates_in_a_row_bring_one_question(opened, asking):
    page = opened("", whole=page_of(asking))
    keys = page.evaluate(
        "() => Promise.all(['home-feed', 'home-feed'].map((one) => bakeoff.show(one, { timeout: 9000 })))"
        ".then((all) => all.map((one) => one.survey.key))"
    )
    assert keys == ["liked", "liked"]
    page.get_by_role("group", name=QUESTION).wait_for()
    settle(page)
    assert page.get_by_role("group", name=QUESTION).count() == 1
    assert len(stored(asking, "prompt_shown", 1)) == 1
    assert len(scripts(page)) == 1


def test_who_dismisses_it_is_not_asked_again(opened, asking):
    page = opened("", whole=page_of(asking))
    page.evaluate(SHOW)
    page.get_by_role("button", name="Not now").click()
    stored(asking, "prompt_dismissed", 1)
    assert page.evaluate(SHOW) is None
    assert page.get_by_role("group", name=QUESTION).count() == 0
    assert not Feedback.objects.filter(project=asking.project).exists()


@pytest.mark.parametrize("consent", ["pending", "denied"])
def test_without_consent_nothing_is_loaded_or_loaded(opened, asking, consent):
    page = opened("", whole=page_of(asking, f'data-consent="{consent}"'))
    assert page.evaluate(SHOW) is None
    settle(page)
    assert (scripts(page), page.locator("bakeoff-survey").count()) == ([], 0)
    # With consent the next slate asks.
    page.evaluate("() => bakeoff.consent('granted')")
    assert page.evaluate(SHOW) == "liked"
    page.get_by_role("group", name=QUESTION).wait_for()


def test_a_page_turns_it_off(opened, asking):
    page = opened("", whole=page_of(asking, 'data-surveys="off"'))
    assert page.evaluate(SHOW) == "liked"
    settle(page)
    assert (scripts(page), page.locator("bakeoff-survey").count()) == ([], 0)


def test_a_surface_without_a_question_loads_nothing(opened, shop):
    page = opened("", whole=page_of(shop))
    assert page.evaluate(SHOW) is None
    settle(page)
    assert scripts(page) == []


def test_it_is_loaded_in_chinese_words_on_a_chinese_page(opened, asking):
    page = opened("", whole=page_of(asking, lang="zh-Hans-CN"))
    page.evaluate(SHOW)
    group = page.get_by_role("group", name="你喜欢这些吗？")
    group.wait_for()
    assert group.get_by_role("button").all_text_contents() == ["提交", "暂不回答"]
    assert "还有什么想说的吗？" in group.text_content()
    group.get_by_role("radio", name="4").check()
    group.get_by_role("button", name="提交").click()
    page.get_by_role("status").get_by_text("谢谢。").wait_for()
    assert Feedback.objects.get(project=asking.project).value == 4


def test_an_element_of_the_pages_own_asks_at_its_place(opened, asking):
    body = '<h1>Shop</h1><bakeoff-survey send="Go"></bakeoff-survey>'
    page = opened("", whole=page_of(asking, body=body))
    page.evaluate(SHOW)
    page.get_by_role("button", name="Go").wait_for()
    assert page.locator("main bakeoff-survey:not([corner])").count() == 1
    assert page.locator("bakeoff-survey").count() == 1


@pytest.fixture
def searching(lane, asking):
    """A second surface of the shop, with a question of its own."""
    surface = Surface.objects.create(project=asking.project, key="search", kind="recommend")
    builders.make_version(surface, list(range(10, 0, -1)), alias="champion")
    create_survey(
        surface=surface, question=SurveyQuestion("found", "rating", OTHER_QUESTION), by="a test"
    )
    lane.refresh()
    return asking


def questions(page) -> list[str]:
    """What each element of the page asks, in their order."""
    return page.evaluate(
        "() => [...document.querySelectorAll('bakeoff-survey')]"
        ".map((one) => one.shadowRoot.querySelector('legend')?.textContent ?? '')"
    )


@pytest.mark.parametrize("order", [("home-feed", "search"), ("search", "home-feed")])
def test_each_element_asks_about_its_surface(opened, searching, order):
    elements = "<bakeoff-survey></bakeoff-survey>" + "".join(
        f'<bakeoff-survey surface="{one}"></bakeoff-survey>' for one in ("search", "home-feed")
    )
    page = opened("", whole=page_of(searching, body=elements))
    for surface in (*order, *order):  # a second slate of either brings no question twice
        page.evaluate("async (surface) => { await bakeoff.recommend(surface, { k: 2 }) }", surface)
        settle(page)
    page.get_by_role("group", name=QUESTION).wait_for()
    page.get_by_role("group", name=OTHER_QUESTION).wait_for()
    assert questions(page) == ["", OTHER_QUESTION, QUESTION]
    page.get_by_role("group", name=OTHER_QUESTION).get_by_role("radio", name="4").check()
    page.get_by_role("group", name=OTHER_QUESTION).get_by_role("button", name="Send").click()
    page.get_by_role("status").get_by_text("Thank you.").wait_for()
    assert questions(page) == ["", "", QUESTION]
    answered = Feedback.objects.get(project=searching.project)
    slate = Slate.objects.get(recommendation_id=answered.recommendation_id)
    assert (answered.text, answered.value, slate.surface.key) == ("found", 4, "search")
    assert page.problems == []


def test_elements_for_any_surface_ask_one_question_each(opened, searching):
    page = opened("", whole=page_of(searching, body="<bakeoff-survey></bakeoff-survey>" * 3))
    for surface in ("search", "home-feed", "home-feed"):
        page.evaluate("async (surface) => { await bakeoff.recommend(surface, { k: 2 }) }", surface)
        settle(page)
    page.get_by_role("group", name=QUESTION).wait_for()
    assert questions(page) == [OTHER_QUESTION, QUESTION, ""]


def test_an_element_of_another_surface_asks_nothing(opened, searching):
    body = '<bakeoff-survey surface="search"></bakeoff-survey>'
    page = opened("", whole=page_of(searching, body=body))
    assert page.evaluate(SHOW) == "liked"
    settle(page)
    assert (
        page.evaluate("async () => (await bakeoff.recommend('search', { k: 2 })).survey.key") == "found"
    )
    page.get_by_role("group", name=OTHER_QUESTION).wait_for()
    assert questions(page) == [OTHER_QUESTION]


def test_a_page_whose_policy_forbids_the_script_shows_its_list_all_the_same(opened, asking, lane):
    only = f"default-src 'none'; script-src {lane.url}/sdk/v1.js; connect-src 'self'"
    page = opened("", whole=page_of(asking), policy=only)
    unhandled = "() => addEventListener('unhandledrejection', () => (window.unhandled = true))"
    page.evaluate(unhandled)
    assert page.evaluate(SHOW) == "liked"
    settle(page)
    assert page.evaluate("() => window.unhandled") is None
    assert page.locator("bakeoff-survey").count() == 0


def test_a_script_by_its_hash_loads_another_only_where_the_page_says_so(opened, asking, lane):
    code = sign_in(asking.project).get(f"/demo/?surface={asking.project.slug}/home-feed")
    version, integrity = re.search(
        r"/sdk/([\d.]+)/bakeoff.js&quot;\s+integrity=&quot;(sha384-[^&]+)&quot;", code.content.decode()
    ).groups()
    assert "data-surveys=&quot;on&quot;" in code.content.decode()
    for more, is_loaded in (("", False), ('data-surveys="on"', True)):
        tag = (
            f'<script src="/sdk/{version}/bakeoff.js" integrity="{integrity}" crossorigin="anonymous"'
            f' data-key="{asking.public}" data-wait="0" {more}></script>'
        )
        page = opened("", whole=f"<!doctype html><title>Shop</title>{tag}")
        assert page.evaluate(SHOW) == "liked"
        settle(page)
        # Of the same version, at the address that never changes.
        assert scripts(page) == ([f"/sdk/{version}/survey.js"] if is_loaded else [])
        assert page.locator("bakeoff-survey").count() == is_loaded


def test_the_demo_page_asks_it(chromium, asking, lane):
    context = chromium.new_context()
    page = context.new_page()
    session = sign_in(asking.project).cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": lane.url}])
    address = f"/demo/?surface={asking.project.slug}/home-feed&key={asking.public}"
    page.goto(lane.url + address)
    group = page.get_by_role("group", name=QUESTION)
    group.get_by_role("radio", name="5").check()
    group.get_by_role("button", name="Send").click()
    page.get_by_role("status").get_by_text("Thank you.").wait_for()
    assert Feedback.objects.get(project=asking.project).value == 5
    context.close()
