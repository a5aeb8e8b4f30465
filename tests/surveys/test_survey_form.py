"""The form of a survey: whom it asks and in which languages, row by row, with every refusal at its field."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.models import SavedGroup, Survey
from tests.support.browser import Visit
from tests.support.dashboard import make_user, sign_in
from tests.support.form_reader import read_form
from tests.support.form_reader import row_fields as rows

GERMAN = {"question": "Warum nicht?", "choices": ["Zu teuer", "Nichts für mich"]}
PHONE = {"width": 390, "height": 844}


def comparison(attribute="country", comparison="$eq", value="DE") -> dict[str, str]:
    return {"attribute": attribute, "comparison": comparison, "value": value}


def german(
    language="de", question="Warum nicht?", choices="Zu teuer\nNichts für mich"
) -> dict[str, str]:
    return {"language": language, "question": question, "choices": choices}


@pytest.fixture
def form(shop):
    """Send the form of a survey that a person filled in, with some fields changed."""
    client = sign_in(shop.project, role="operator")
    address = reverse("feedback-surveys", args=[shop.project.slug])
    filled = {
        "surface": shop.surface.key, "key": "why", "question": "Why not?", "kind": "choice",
        "choices": "Too expensive\nNot for me\n", "percent": "50", "period_days": "7",
    }  # fmt: skip

    def send(*lists, language="en", **fields):
        body = filled | fields
        for one in lists:
            body |= one
        return client.post(address, body, headers={"accept-language": language})

    return send


def wrong_fields(page: str) -> list[str]:
    """Return the labels of fields that say what is wrong with them."""
    parts = page.split('<div class="field wrong">')[1:]
    return [part.partition("</label>")[0].rpartition(">")[2] for part in parts]


def test_rows_become_the_condition(shop, form):
    SavedGroup.objects.create(project=shop.project, key="beta", attribute="id", values=["u1"])
    done = form(
        rows(
            "condition",
            comparison(comparison="$in", value="DE, AT，CH、LI"),
            comparison("city", "$nin", '"Paris, France", Rome, "7", "The \\"City\\"、London"'),
            comparison("screen", "$eq", '5", wide'),
            comparison("age", "$gte", "18"),
            comparison("age", "$lt", "65"),
            comparison("plan", "$eq", '"7"'),
            comparison("member", "$eq", "true"),
            comparison("id", "$inGroup", "beta"),
            comparison("coupon", "$missing", ""),
            comparison("", "$eq", ""),
        ),
        rows(
            "translations",
            german(),
            german("zh-Hans", "为什么不？", "太贵\n不适合我"),
            german("", "", ""),
        ),
    )
    assert done.status_code == 302, done.content.decode()
    survey = Survey.objects.get(project=shop.project)
    assert survey.condition == {
        "country": {"$in": ["DE", "AT", "CH", "LI"]}, "screen": {"$eq": '5", wide'},
        "city": {"$nin": ["Paris, France", "Rome", "7", 'The "City"、London']}, "age": {"$gte": 18, "$lt": 65}, "plan": {"$eq": "7"},
        "member": {"$eq": True}, "id": {"$inGroup": "beta"}, "coupon": {"$exists": False},
    }  # fmt: skip
    assert survey.translations["de"] == GERMAN
    assert list(survey.translations) == ["de", "zh-Hans"]


def test_variants_are_ticked_and_those_of_others_refused(shop, form):
    experiment = shop.run_experiment(promote=False)
    refused = form(variants="nowhere/treatment")
    assert (refused.status_code, "nowhere/treatment" in refused.content.decode()) == (422, True)
    assert form(variants=f"{experiment.key}/treatment").status_code == 302
    assert Survey.objects.get(project=shop.project).variants == [f"{experiment.key}/treatment"]


@pytest.mark.parametrize(
    ("entries", "fields", "words"),
    [
        (rows("condition", comparison(attribute="")), ["Attribute"], "Fill this in; it must not be empty."),
        (rows("condition", comparison(value=" ")), ["Compared with"], "Fill this in; it must not be empty."),
        (rows("condition", comparison(comparison="$in", value=" , ")), ["Compared with"], "Fill this in; it must not be empty."),
        *((rows("condition", comparison(comparison="$in", value=value)), ["Compared with"], "the whole value in")
          for value in ('Rome, "Paris', 'Paris", Rome', '5" wide, 6" wide', '"a" "b"', '"', r'"C:\d"')),
        (rows("condition", comparison("unit.plan")), ["Attribute"], "Name an attribute of the request"),
        (rows("condition", comparison("$or")), ["Attribute"], "Name an attribute of the request"),
        (rows("condition", comparison(comparison="$near")), ["Comparison"], "Select a valid choice"),
        (rows("condition", comparison(comparison="$exists")), ["Compared with"], "has no value"),
        (rows("condition", comparison("id", "$inGroup", "nobody")), ["Compared with"], "“nobody” is no group"),
        (rows("condition", comparison(), comparison(value="AT")), ["Comparison"], "each comparison once"),
        (rows("condition", *[comparison(f"a{n}") for n in range(21)]), [], "At most 20 rows."),
        (rows("translations", german("xx")), ["Language"], "“xx” is not a language"),
        (rows("translations", german("")), ["Language"], "Fill this in; it must not be empty."),
        (rows("translations", german(question="")), ["Question"], "“de” needs a question"),
        (rows("translations", german(choices="Ja")), ["Choices"], "exactly 2 different choices"),
        (rows("translations", german(), german()), ["Language"], "Each language has one row."),
    ],
)  # fmt: skip
def test_a_refusal_stands_at_its_field_and_what_was_typed_stays(shop, form, entries, fields, words):
    refused = form(entries, percent="40")
    page = refused.content.decode().replace("&quot;", '"')
    assert refused.status_code == 422
    assert wrong_fields(page) == fields
    assert words in page
    again = read_form(refused.content.decode(), "survey")
    # A choice that the page does not offer is the one thing that it cannot show again.
    typed = {name: value for name, value in entries.items() if value != "$near"}
    assert {name: again[name][-1] for name in typed} == typed
    assert again["percent"] == ["40"]
    assert not Survey.objects.filter(project=shop.project).exists()


def test_what_is_wrong_with_the_field_and_with_the_row_is_shown_at_once(shop, form):
    refused = form(rows("condition", comparison(value="")), percent="0")
    assert wrong_fields(refused.content.decode()) == ["Users who are asked (%)", "Compared with"]


def test_a_chinese_reader_reads_why(shop, form):
    page = form(rows("condition", comparison("unit.plan")), language="zh-hans").content.decode()
    assert "请填写请求中的属性" in page
    assert "是其中之一" in page


def test_a_row_more_or_less_checks_nothing_and_stores_nothing(shop, form):
    experiment = shop.run_experiment(promote=False)
    named = f"{experiment.key}/treatment"
    entries = rows("condition", comparison("a"), comparison("b", value="2"), comparison("c"))
    more = form(entries, {"add-row": "condition"}, percent="x", asks_comment="on", variants=named)
    again = read_form(more.content.decode(), "survey")
    assert more.status_code == 200
    assert wrong_fields(more.content.decode()) == []
    assert again["condition-TOTAL_FORMS"] == ["4"]
    assert (again["percent"], again["asks_comment"], again["variants"]) == (["x"], ["on"], [named])
    less = form(entries, {"remove-row": "condition-1"})
    again = read_form(less.content.decode(), "survey")
    names = [again[f"condition-{n}-attribute"] for n in range(int(again["condition-TOTAL_FORMS"][0]))]
    assert names == [["a"], ["c"]]
    for number in ("-1", "x", "9" * 30):
        odd = form({"condition-TOTAL_FORMS": number, "add-row": "condition"})
        assert odd.status_code == 200
        assert int(read_form(odd.content.decode(), "survey")["condition-TOTAL_FORMS"][0]) <= 21
    assert not Survey.objects.filter(project=shop.project).exists()


@pytest.mark.parametrize("script", [True, False])
def test_a_person_fills_it_in(chromium, lane, shop, script):
    """With and without JavaScript, on a phone: rows are added and removed; Enter creates the survey."""
    person = make_user(shop.project, role="operator")
    seen = Visit(chromium, lane, person, viewport=PHONE, java_script_enabled=script)
    page = seen.page
    page.goto(f"/p/{shop.project.slug}/feedback/surveys/")
    page.get_by_label("Key", exact=True).fill("liked")
    page.get_by_label("Question", exact=True).first.fill("Good?")
    page.get_by_label("Kind").select_option("rating")
    targeting = page.get_by_role("group", name="Targeting")
    targeting.get_by_label("Attribute").first.fill("country")
    targeting.get_by_label("Comparison").first.select_option(label="is one of")
    for number in (2, 3):
        assert targeting.get_by_label("Attribute").count() == number
        targeting.get_by_role("button", name="Add row").click()
        targeting.get_by_label("Attribute").nth(number).wait_for()
    assert targeting.get_by_label("Attribute").count() == 4
    targeting.get_by_role("button", name="Remove row 2 of Targeting").click()
    targeting.get_by_label("Attribute").nth(2).wait_for()
    page.get_by_role("button", name="Create survey").click()
    assert targeting.get_by_role("alert").inner_text() == "Fill this in; it must not be empty."
    assert targeting.get_by_label("Attribute").first.input_value() == "country"
    targeting.get_by_label("Compared with").first.fill("DE, AT")
    targeting.get_by_label("Compared with").first.press("Enter")
    page.locator('[data-survey="liked"]').wait_for()
    survey = Survey.objects.get(project=shop.project)
    assert survey.condition == {"country": {"$in": ["DE", "AT"]}}
    assert seen.elsewhere == []
    seen.close()
