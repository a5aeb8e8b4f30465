"""<bakeoff-slate> in a real browser, under a strict content security policy; and the scripts by their hash."""

from __future__ import annotations

import re

import pytest

from experiments.actions.create_survey import create_survey
from experiments.models import Exposure, Feedback, Slate
from experiments.survey_question import SurveyQuestion, Translation
from inference.actions.load_items import ItemDraft, load_items
from tests.support.dashboard import sign_in
from tests.support.embed_page import stored

ENGLISH = ("Why not?", "Too expensive", "Send", "Thank you.")


def test_it_shows_a_list_and_reports_views_and_clicks(opened, shop, lane):
    hostile = [
        ItemDraft("i0", "<img src=x onerror=alert(1)>", url="https://shop.example/i0"),
        ItemDraft("i1", "Item i1", url="javascript:alert(1)"),
    ]
    load_items(project_id=shop.project.pk, items=hostile)
    shop.run_experiment()
    lane.refresh()
    page = opened('<bakeoff-slate surface="home-feed" k="10" label="For you"></bakeoff-slate>')
    element = page.locator("bakeoff-slate[state=ready]")
    rows = page.get_by_role("region", name="For you").get_by_role("listitem")
    rows.nth(9).wait_for()
    element.wait_for()
    titles = rows.all_text_contents()
    assert "<img src=x onerror=alert(1)>" in titles
    # A link is a link; an address that is a script is none.
    assert [link.get_attribute("href") for link in page.get_by_role("link").all()] == [
        "https://shop.example/i0"
    ]
    rows.nth(1).click()
    (click,) = stored(shop, "click", 1)
    slate = Slate.objects.get(project=shop.project)
    assert (click.item_id, click.recommendation_id) == (slate.slots[1][0], slate.recommendation_id)
    assert {view.recommendation_id for view in stored(shop, "view", 1)} == {slate.recommendation_id}
    assert Exposure.objects.filter(project_id=shop.project.pk).count() == 1
    # Elsewhere on the page it is the same slate.
    page.evaluate("() => document.body.prepend(document.querySelector('bakeoff-slate'))")
    rows.nth(9).wait_for()
    assert page.requested.count("/v1/recommend") == 1
    assert (page.problems, page.warnings) == ([], [])


def test_a_template_is_of_the_page(opened, shop, lane):
    about = {"url": "https://shop.example/x", "properties": {"author": "Ann"}}
    load_items(
        project_id=shop.project.pk, items=[ItemDraft(i, f"Item {i}", **about) for i in shop.items]
    )
    lane.refresh()
    page = opened(
        """<bakeoff-slate surface="home-feed" k="2"><template>
          <a class="card" data-attr="href: url; onclick: title"><b data-text="title"></b> by
          <i data-text="properties.author"></i></a></template></bakeoff-slate>"""
    )
    cards = page.locator("bakeoff-slate > div > a.card")
    cards.nth(1).wait_for()
    assert " ".join(cards.nth(0).text_content().split()) == "Item i0 by Ann"
    assert cards.nth(0).get_attribute("href") == "https://shop.example/x"
    assert cards.nth(0).get_attribute("onclick") is None
    assert (
        page.locator("bakeoff-slate").evaluate("(one) => one.shadowRoot.querySelectorAll('li').length")
        == 2
    )
    assert page.problems == []


def test_attributes_that_change_together_are_one_request(opened, shop):
    page = opened('<bakeoff-slate surface="home-feed" k="2"></bakeoff-slate>')
    page.locator("bakeoff-slate[state=ready]").wait_for()
    page.evaluate(
        """() => { const one = document.querySelector("bakeoff-slate");
            one.setAttribute("k", 3); one.setAttribute("k", 4); one.setAttribute("label", "More"); }"""
    )
    page.get_by_role("region", name="More").get_by_role("listitem").nth(3).wait_for()
    page.evaluate("() => document.querySelector('bakeoff-slate').setAttribute('item', 'i0')")
    page.locator("bakeoff-slate[state=ready]").wait_for()
    assert page.requested.count("/v1/recommend") == 2
    assert page.requested.count("/v1/similar") == 1


def test_a_lazy_list_waits_until_somebody_comes_near(opened, shop):
    page = opened(
        '<div style="height: 3000px"></div><bakeoff-slate surface="home-feed" k="2" lazy></bakeoff-slate>',
        policy="",
    )
    page.wait_for_timeout(300)
    assert "/v1/recommend" not in page.requested
    page.mouse.wheel(0, 5000)
    page.locator("bakeoff-slate[state=ready]").wait_for()
    assert page.requested.count("/v1/recommend") == 1


@pytest.mark.parametrize(
    ("attributes", "warning"),
    [
        ('surface="home-fed"', r"Did you mean 'home-feed'\?"),
        ("", r"<bakeoff-slate>: surface is missing, must be the key of a surface."),
        ('surface="home-feed" k="many"', r"k == 'many', must be a whole number."),
        ('surface="home-feed" list="best"', r"list == 'best', must be one of recommend, similar"),
        (
            'surface="home-feed" list="similar"',
            r"item is missing, must be the item that others are similar to",
        ),
    ],
)
def test_a_refusal_is_a_state_and_a_warning(opened, shop, attributes, warning):
    page = opened(f'<bakeoff-slate {attributes}><p slot="error">Our own list</p></bakeoff-slate>')
    page.locator("bakeoff-slate[state=error]").wait_for()
    assert page.get_by_text("Our own list").is_visible()
    assert page.get_by_role("list").count() == 0
    assert len(page.warnings) == 1
    assert re.search(warning, page.warnings[0]), page.warnings


def test_an_empty_list_and_one_that_comes_back(opened, shop):
    page = opened('<bakeoff-slate surface="home-feed"></bakeoff-slate>')
    page.locator("bakeoff-slate[state=ready]").wait_for()
    page.route(
        "**/v1/recommend", lambda route: route.fulfill(json={"recommendation_id": "x", "items": []})
    )
    page.evaluate("() => document.querySelector('bakeoff-slate').refresh()")
    page.locator("bakeoff-slate[state=empty]").wait_for()
    assert page.get_by_role("status").text_content() is not None
    assert page.get_by_text("Nothing to show yet.").is_visible()
    page.unroute("**/v1/recommend")
    page.route("**/v1/recommend", lambda route: route.abort())
    page.evaluate("() => document.querySelector('bakeoff-slate').refresh()")
    page.locator("bakeoff-slate[state=error]").wait_for()
    assert page.get_by_text("Recommendations are not available right now.").is_visible()
    page.unroute("**/v1/recommend")
    page.evaluate("() => document.querySelector('bakeoff-slate').refresh()")
    page.locator("bakeoff-slate[state=ready]").wait_for()
    assert page.get_by_role("listitem").count() == 10


EARLY = """<!doctype html><title>Early</title><ul id="films"></ul><script>
  window.bakeoff ||= ((q = []) => new Proxy({{}}, {{ get: (_, name) => name === "q" ? q :
    (...args) => new Promise((done, failed) => q.push([name, args, done, failed])) }}))();
  const early = window.bakeoff;
  early.recommend("home-feed", {{ k: 3 }}).then((slate) => (document.title = slate.items.length));
  early.nothing().catch((error) => (document.body.dataset.error = error.message));
</script><script async src="/sdk/v1.js" data-key="{key}"></script>"""


def test_calls_before_the_script_is_there_are_answered(opened, shop):
    page = opened("", whole=EARLY.format(key=shop.public), policy="")
    page.wait_for_function("() => document.title === '3' && document.body.dataset.error")
    # A caller that kept the stand-in goes on through it.
    assert page.evaluate("() => early.popular === bakeoff.popular") is False
    assert page.evaluate("async () => (await early.recommend('home-feed', { k: 2 })).items.length") == 2


def test_a_version_has_an_address_that_never_changes(lane, shop, opened):
    code = sign_in(shop.project).get(f"/demo/?surface={shop.project.slug}/home-feed").content.decode()
    version, integrity = re.search(
        r"/sdk/([\d.]+)/bakeoff.js&quot;\s+integrity=&quot;(sha384-[^&]+)&quot;", code
    ).groups()
    newest, pinned = lane.client.get("/sdk/v1.js"), lane.client.get(f"/sdk/{version}/bakeoff.js")
    assert newest.content == pinned.content
    assert newest.headers["cache-control"] == "public, max-age=3600"
    assert pinned.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert pinned.headers["access-control-allow-origin"] == "*"
    assert (
        lane.client.get("/sdk/v1/slate.js").content
        == lane.client.get(f"/sdk/{version}/slate.js").content
    )
    for path in (
        "/sdk/9.9.9/bakeoff.js",
        f"/sdk/{version}/embed.ts",
        f"/sdk/..%2f{version}/bakeoff.js",
    ):
        assert lane.client.get(path).status_code == 404, path
    assert (
        f"Versions: {version}. Files: bakeoff.js, slate.js, survey.js."
        in lane.client.get("/sdk/9.9.9/bakeoff.js").text
    )
    tag = f'<script src="{lane.url}/sdk/{version}/bakeoff.js" integrity="{integrity}" crossorigin="anonymous" data-key="{shop.public}"></script>'
    page = opened("", whole=f"<!doctype html><title>Shop</title>{tag}", policy="")
    assert page.evaluate("async () => (await bakeoff.recommend('home-feed')).items.length") == 10
    forged = tag.replace("sha384-", "sha384-A")
    page = opened("", whole=f"<!doctype html><title>Shop</title>{forged}", policy="")
    assert page.evaluate("() => typeof bakeoff") == "undefined"


def test_a_refused_comment_hides_no_answer_and_a_moved_question_is_seen(opened, shop, lane):
    question = SurveyQuestion("liked", "rating", "How do you like these?", asks_comment=True)
    create_survey(surface=shop.surface, question=question, by="a test")
    lane.refresh()
    body = """<script src="/sdk/v1/survey.js"></script><div id="far" style="margin-top: 9000px"></div>
      <bakeoff-slate surface="home-feed" k="2"></bakeoff-slate><bakeoff-survey></bakeoff-survey>
      <div id="near"></div>"""
    page = opened(body, policy="")
    page.get_by_role("group").wait_for(state="attached")
    sent = []

    def refuse_comments(route):
        sent.append(route.request.post_data_json["kind"])
        if sent == ["survey", "text"]:
            route.fulfill(status=422, body="{}")  # it is not sent again by itself
        else:
            route.continue_()

    page.route("**/v1/feedback*", refuse_comments)
    # Below the fold it was not seen; moved to the top before that, it is.
    page.evaluate("document.querySelector('h1').after(document.querySelector('bakeoff-survey'))")
    stored(shop, "prompt_shown", 1)
    group = page.get_by_role("group")
    group.get_by_role("radio", name="3").check()
    group.get_by_role("textbox").fill("Too long.")
    group.get_by_role("button", name="Send").click()
    page.get_by_role("alert").get_by_text("That did not work.").wait_for()
    assert len(stored(shop, "prompt_answered", 1)) == 1
    group.get_by_role("button", name="Send").click()
    page.get_by_role("status").get_by_text("Thank you.").wait_for()
    assert sent == ["survey", "text", "text"]
    kinds = Feedback.objects.filter(project=shop.project).values_list("kind", flat=True)
    assert sorted(kinds) == ["survey", "text"]
    assert len(stored(shop, "prompt_shown", 1)) == 1


def test_a_survey_asks_once_and_sends_the_answer_under_a_strict_policy(opened, shop, lane):
    question = SurveyQuestion("liked", "rating", "How do you like these?", asks_comment=True)
    create_survey(surface=shop.surface, question=question, by="a test")
    lane.refresh()
    body = """<script src="/sdk/v1/survey.js"></script>
      <bakeoff-slate surface="home-feed" k="2"></bakeoff-slate><bakeoff-survey></bakeoff-survey>"""
    page = opened(body)
    group = page.get_by_role("group", name="How do you like these?")
    group.wait_for()
    (shown,) = stored(shop, "prompt_shown", 1)
    # By keyboard alone: the scale is one group of radio buttons, the text is optional.
    group.get_by_role("radio", name="3").focus()
    page.keyboard.press("ArrowRight")
    group.get_by_role("textbox").fill("More films by women.")
    group.get_by_role("button", name="Send").press("Enter")
    page.get_by_role("status").get_by_text("Thank you.").wait_for()
    (answered,) = stored(shop, "prompt_answered", 1)
    rows = {row.kind: row for row in Feedback.objects.filter(project=shop.project)}
    assert (rows["survey"].value, rows["survey"].text) == (4.0, "liked")
    assert rows["text"].text == "More films by women."
    slate = Slate.objects.get(project=shop.project)
    for row in (shown, answered, *rows.values()):
        assert row.recommendation_id == slate.recommendation_id
    assert shown.properties == {"survey": "liked"}
    assert (page.problems, page.warnings) == ([], [])
    # Within its period this browser is asked no more.
    page.reload()
    page.locator("bakeoff-slate[state=ready]").wait_for()
    assert not page.locator("bakeoff-survey").evaluate("(one) => one.shadowRoot.childElementCount")


def test_a_question_is_answered_in_the_visitors_own_words(opened, shop, lane):
    create_survey(surface=shop.surface, question=SurveyQuestion("why", "text", "Why?"), by="a test")
    lane.refresh()
    page = opened("""<script src="/sdk/v1/survey.js"></script>
      <bakeoff-slate surface="home-feed" k="2"></bakeoff-slate><bakeoff-survey></bakeoff-survey>""")
    box = page.get_by_role("group", name="Why?").get_by_role("textbox", name="Why?")
    box.fill("   ")
    page.get_by_role("button", name="Send").click()  # blanks are no answer: nothing is sent
    assert box.get_attribute("maxlength") == "2000"
    box.fill(" Too long, 太长了. ")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("status").get_by_text("Thank you.").wait_for()
    (row,) = Feedback.objects.filter(project=shop.project)
    assert (row.kind, row.text, row.answer) == ("survey", "why", "Too long, 太长了.")
    assert len(stored(shop, "prompt_answered", 1)) == 1
    assert (page.problems, page.warnings) == ([], [])


@pytest.mark.parametrize(
    ("lang", "sentence", "choice", "send", "thanks"),
    [("zh-hans-CN", "为什么不？", "太贵", "提交", "谢谢。"), ("fr", *ENGLISH), ("", *ENGLISH)],
)  # fmt: skip
def test_a_survey_asks_in_the_language_of_the_page(
    opened, shop, lane, lang, sentence, choice, send, thanks
):
    texts = Translation("为什么不？", ("太贵", "不适合我"))
    question = SurveyQuestion(
        "why", "choice", "Why not?", ("Too expensive", "Not for me"), translations={"zh-Hans": texts}
    )
    create_survey(surface=shop.surface, question=question, by="a test")
    lane.refresh()
    body = f"""<script src="/sdk/v1/survey.js"></script><main lang="{lang}">
      <bakeoff-slate surface="home-feed" k="2"></bakeoff-slate><bakeoff-survey></bakeoff-survey></main>"""
    page = opened(body)
    group = page.get_by_role("group", name=sentence)
    group.wait_for()
    group.get_by_role("radio", name=choice).check()
    group.get_by_role("button", name=send).click()
    page.get_by_role("status").get_by_text(thanks).wait_for()
    # In whatever language it was read, the answer is the survey's own.
    assert Feedback.objects.get(project=shop.project).tags == ["Too expensive"]
    assert (page.problems, page.warnings) == ([], [])
