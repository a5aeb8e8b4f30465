"""Odd values in the form of an experiment and in addresses: each is stored as it was, or refused there."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.experiment_draft import VariantDraft
from experiments.models import Experiment
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user, report_path, sign_in
from tests.support.form_reader import read_form, row_fields

NUL = '"a\\u0000"'
DEEP = '{"a":' * 300 + "1" + "}" * 300
VALUES = ("two\nlines", "tab\there", "é\u2028", "x" * 6000, {"long": "y" * 6000}, "true", "", " ", 0.1)


@pytest.fixture
def flag(shop):
    return shop.project.surfaces.create(key="button", kind="flag")


def draft_with(shop, flag, *values):
    variants = [
        VariantDraft(f"v{n}", None, 1 / len(values), is_control=n == 0, value=value)
        for n, value in enumerate(values)
    ]
    return define_experiment(builders.draft(shop, flag, key="odd", variants=variants))


def without_breaks(fields):
    """Return the fields as a browser sends them: an input has no line breaks."""
    return {
        name: [one.replace("\r", "").replace("\n", "") for one in values]
        if name.startswith("variants-")
        else values
        for name, values in fields.items()
    }


def wrong_part(page):
    return page.partition('<div class="field wrong">')[2].partition("</div>")[0]


def test_an_untouched_draft_keeps_every_value_of_a_flag(shop, flag):
    draft = draft_with(shop, flag, *VALUES)
    before = list(draft.variants.values())
    client, address = sign_in(shop.project, role="analyst"), report_path(draft, "edit/")
    fields = without_breaks(read_form(client.get(address).content.decode(), "definition"))
    done = client.post(address, fields | {"planned_units": "6000"})
    assert done.status_code == 302, wrong_part(done.content.decode())
    assert list(draft.variants.values()) == before
    long = client.post(address, fields | {"variants-0-value": "z" * 5001})
    assert long.status_code == 422
    assert "at most 5000 characters" in wrong_part(long.content.decode())
    assert list(draft.variants.values()) == before


def test_a_browser_saves_a_value_of_two_lines_untouched(chromium, lane, shop, flag):
    draft = draft_with(shop, flag, "two\nlines", "one")
    seen = Visit(chromium, lane, make_user(shop.project, role="analyst"))
    page = seen.page
    page.goto(report_path(draft, "edit/"))
    page.get_by_label("Name", exact=True).fill("Renamed")
    page.get_by_role("button", name="Save").click()
    page.locator('[data-experiment="odd"]').wait_for()
    draft.refresh_from_db()
    assert draft.name == "Renamed"
    assert list(draft.variants.values_list("value", flat=True)) == ["two\nlines", "one"]
    seen.close()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"variants-1-value": NUL}, "must be a text without U+0000."),
        ({"variants-1-value": DEEP}, "must be nested at most 32 levels deep."),
        ({"condition": f'{{"country": {NUL}}}'}, "must be a text without U+0000."),
        ({"condition": DEEP}, "must be nested at most 32 levels deep."),
        (
            row_fields("condition", {"attribute": "country", "comparison": "$eq", "value": NUL}),
            "must be a text without U+0000.",
        ),
        (
            row_fields(
                "condition", {"attribute": "country", "comparison": "$in", "value": f"DE, {NUL}"}
            ),
            "must be a text without U+0000.",
        ),
    ],
)
def test_what_no_database_holds_is_refused_at_its_field(shop, flag, fields, words):
    draft = draft_with(shop, flag, "a", "b")
    client, address = sign_in(shop.project, role="analyst"), report_path(draft, "edit/")
    sent = read_form(client.get(address).content.decode(), "definition")
    refused = client.post(address, sent | fields)
    assert refused.status_code == 422
    assert words in wrong_part(refused.content.decode())
    assert list(draft.variants.values_list("value", flat=True)) == ["a", "b"]


def test_the_action_refuses_it_too(shop, flag):
    with pytest.raises(
        CannotDefineError, match=r"value of variant 'v1' == .*without U\+0000\."
    ) as refused:
        draft_with(shop, flag, "a", "b\0")
    assert refused.value.field == "variants"
    assert not Experiment.objects.filter(project=shop.project).exists()


@pytest.mark.parametrize("query", ["variants=abc", "condition_rows=abc", "variants=a&template=bandit"])
def test_an_address_cannot_write_lists(shop, flag, query):
    client = sign_in(shop.project, role="analyst")
    page = client.get(f"{reverse('experiments-new', args=[shop.project.slug])}?{query}&key=mine")
    assert page.status_code == 200
    fields = read_form(page.content.decode(), "definition")
    first = "text-1" if "template" in query else "control"
    assert (fields["key"], fields["variants-0-key"]) == (["mine"], [first])


def test_u_0000_in_an_address_is_dropped(shop, flag):
    draft_with(shop, flag, "a", "b")
    client, base = sign_in(shop.project, role="analyst"), f"/p/{shop.project.slug}"
    for name in ("experiments", "metrics", "models", "runs", "search", "generations", "alerts"):
        for query in ("q=%00", "surface=%00&tag=%00&alias=%00&outcome=%00", "%00=%00"):
            assert client.get(f"{base}/{name}/?{query}").status_code in {200, 404}, name
    listed = client.get(f"{base}/experiments/?q=o%00dd").content.decode()
    assert 'data-experiment="odd"' in listed
    assert client.get(f"{base}/experiments/new/?copy=%00").status_code == 200
    copied = client.get(f"{base}/experiments/new/?copy=odd%00").content.decode()
    assert 'data-copy-of="odd"' in copied


def test_a_count_of_rows_of_thousands_of_digits_counts_as_none(shop, flag):
    client = sign_in(shop.project, role="analyst")
    address = reverse("experiments-new", args=[shop.project.slug])
    for count in ("9" * 5000, "-1", "²"):
        fields = {"variants-TOTAL_FORMS": count, "add-row": "variants", "name": "Typed"}
        page = client.post(address, fields)
        assert page.status_code == 200
        shown = read_form(page.content.decode(), "definition")
        assert (shown["variants-TOTAL_FORMS"], shown["name"]) == (["1"], ["Typed"])
        assert client.post(address, {"variants-TOTAL_FORMS": count}).status_code == 422


def test_rows_beyond_the_most_are_refused_unread_and_none_has_queries_of_its_own(shop):
    client = sign_in(shop.project, role="analyst")
    address = reverse("experiments-new", args=[shop.project.slug])

    def send(count):
        rows = [{"key": f"v{n}", "version": shop.champion.pk, "share": ""} for n in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            refused = client.post(address, row_fields("variants", *rows))
        assert refused.status_code == 422
        return refused.content.decode(), len(queries)

    few, many = send(2), send(20)
    assert few[1] == many[1]
    assert "At most 20 rows." not in many[0]
    page, queries = send(200)
    assert "At most 20 rows." in page
    assert queries == few[1]
    shown = read_form(page, "definition")
    assert shown["variants-20-key"] == ["v20"]
    assert "variants-21-key" not in shown
    assert shown["variants-0-version"] == [str(shop.champion.pk)]
