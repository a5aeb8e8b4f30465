"""The variants in the form of an experiment: a row each, with every refusal at its field."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from experiments.actions.experiment_draft import VariantDraft
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.rows import Rows
from experiments.models import Experiment
from experiments.models.experiment import WrongStateError
from experiments.reports.experiment_report import report_on
from tests.support import builders
from tests.support.browser import Visit
from tests.support.builders import QUICK_POLICY
from tests.support.dashboard import make_user, report_path, sign_in
from tests.support.form_reader import read_form, row_fields
from tests.support.html import has

PHONE = {"width": 390, "height": 844}


def variant(key: str, value: str = "", share: object = "", **parts: object) -> dict[str, object]:
    return {"key": key, "value": value, "share": share, **parts}


@pytest.fixture
def flag(shop):
    """A surface of flags: its variants need no model."""
    return shop.project.surfaces.create(key="button", kind="flag")


@pytest.fixture
def send(shop, flag):
    """Send the form of an experiment on the flag, with these variants."""
    client = sign_in(shop.project, role="analyst")
    address = reverse("experiments-new", args=[shop.project.slug])
    filled = {
        "surface": flag.pk, "key": "colours", "allocation": "100", "primary": shop.metric.pk,
        "margin": "5", "rule": "group_sequential", "planned_units": "9000", "minimum_days": "7",
        "window_hours": "24", "breaker_alpha": "0.1",
    }  # fmt: skip

    def post(*rows, language="en", **fields):
        body = filled | row_fields("variants", *rows) | fields
        return client.post(address, body, headers={"accept-language": language})

    return post


def wrong_fields(page: str) -> list[str]:
    parts = page.split('<div class="field wrong">')[1:]
    return [part.partition("</label>")[0].rpartition(">")[2] for part in parts]


def test_three_variants_are_saved_and_shown_again(shop, send):
    done = send(
        variant("blue", "blue"), variant("green", '"true"'), variant("own", '{"size": 2}'), variant("")
    )
    assert done.status_code == 302, done.content.decode()
    draft = Experiment.objects.get(project=shop.project, key="colours")
    stored = list(draft.variants.values_list("key", "value", "is_control"))
    assert stored == [("blue", "blue", True), ("green", "true", False), ("own", {"size": 2}, False)]
    assert [one.weight for one in draft.variants.all()] == pytest.approx([1 / 3] * 3)
    analyst = sign_in(shop.project, role="analyst")
    address = report_path(draft, "edit/")
    fields = read_form(analyst.get(address).content.decode(), "definition")
    assert [fields[f"variants-{n}-value"] for n in range(3)] == [["blue"], ['"true"'], ['{"size":2}']]
    before = list(draft.variants.values())
    assert analyst.post(address, fields).status_code == 302
    assert list(draft.variants.values()) == before  # a third is still one
    fewer = {name: one for name, one in fields.items() if not name.startswith("variants-2")}
    assert analyst.post(address, fewer | {"variants-TOTAL_FORMS": "2"}).status_code == 422
    halves = {"variants-TOTAL_FORMS": "2", "variants-0-share": "", "variants-1-share": ""}
    assert analyst.post(address, fewer | halves).status_code == 302
    assert list(draft.variants.values_list("key", "weight")) == [("blue", 0.5), ("green", 0.5)]


@pytest.mark.parametrize(
    ("rows", "fields", "words"),
    [
        ([variant("a", share=50), variant("b", share=30), variant("c", share=30)], ["Share (%)"],
         "The shares sum to 110%; they must sum to 100%."),
        ([variant("a", share=60), variant("b", share=40), variant("c")], ["Share (%)"],
         "The other shares sum to 100% and leave nothing"),
        ([variant("a", share=120), variant("b")], ["Share (%)"], "less than or equal to 100"),
        ([variant("a"), variant("b"), variant("a")], ["Variant"], "“a” stands there twice."),
        ([variant("a"), variant("", value="x")], ["Variant"], "Fill this in; it must not be empty."),
        ([variant("a"), variant("b c")], ["Variant"], "Use only letters, digits, - and _"),
        ([variant("a"), variant("b", value="[1]")], ["Value of the flag"],
         "“[1]” must be true, false, a number, a text or a JSON object."),
        ([variant("a"), variant("b", value=str(10**20 + 1))], ["Value of the flag"],
         "value == 1e+20, must be from -9223372036854775808 to 18446744073709551615;"),
        ([variant("a"), variant("b", version=10**9)], ["Model"], "Select a valid choice"),
        ([variant("a")], [], "1 variants: an experiment compares at least 2."),
        ([variant(f"v{n}") for n in range(21)], [], "At most 20 rows."),
    ],
)  # fmt: skip
def test_a_refusal_stands_at_its_field_and_what_was_typed_stays(shop, send, rows, fields, words):
    refused = send(*rows, name="Typed")
    page = refused.content.decode()
    assert refused.status_code == 422
    assert wrong_fields(page) == fields
    assert words in page
    again = read_form(page, "definition")
    assert again["name"] == ["Typed"]
    for number, row in enumerate(rows):
        shown = {name: again[f"variants-{number}-{name}"] for name in ("key", "value", "share")}
        assert shown == {name: [str(row[name])] for name in shown}
    assert not Experiment.objects.filter(project=shop.project).exists()


def test_what_the_action_refuses_stands_over_the_list(shop, send):
    page = send(variant("a"), variant("b"), surface=shop.surface.pk).content.decode()
    assert 'class="rows wrong" id="rows-variants"' in page
    assert "has no model" in page
    low = send(variant("a", share=90), variant("b", share=10), mode="bandit", floor="20")
    assert 'class="rows wrong" id="rows-variants"' in low.content.decode()
    assert "must be at least the floor of 0.2" in low.content.decode()


def test_an_old_draft_with_a_longer_number_than_64_bits_is_put_right_by_its_form(shop, send):
    """Such a draft could be saved once; then its form was an error, and so was its start."""
    assert send(variant("a", "1"), variant("b", "2"), hypothesis="More.").status_code == 302
    draft = Experiment.objects.get(project=shop.project, key="colours")
    draft.variants.filter(key="b").update(value={"limit": 1e20})
    assert draft.variants.get(key="b").value == {"limit": 10**20}
    analyst, address = sign_in(shop.project, role="operator"), report_path(draft, "edit/")
    sentence = (
        "value of variant 'b'.limit == 100000000000000000000, must be from -9223372036854775808 to"
    )
    with pytest.raises(WrongStateError, match=re.escape(sentence)):
        start_experiment(experiment=draft, by="a test")
    fields = read_form(analyst.get(address).content.decode(), "definition")
    assert fields["variants-1-value"] == ['{"limit":100000000000000000000}']
    refused = analyst.post(address, fields)
    assert refused.status_code == 422
    assert sentence[1:].replace("'", "&#x27;") in refused.content.decode()
    assert analyst.post(address, fields | {"variants-1-value": "2"}).status_code == 302
    assert draft.variants.get(key="b").value == 2


def test_a_chinese_reader_reads_why(send):
    page = send(variant("a", share=50), variant("b", share=60), language="zh-hans").content.decode()
    assert "各份额之和为110%，必须为100%。" in page
    assert "变体" in page


@pytest.fixture
def busy(shop):
    """A shop whose surface served 40 users, half of whom clicked."""
    rows, at = Rows(), builders.now().isoformat()
    rows.slates += [builders.slate(shop, f"u{n}", served_at=at) for n in range(40)]
    rows.events += [builders.event(shop.project, unit=f"u{n}", event_id=str(n)) for n in range(20)]
    builders.write(rows)
    return shop


def test_the_calculator_plans_for_all_variants(busy):
    client = sign_in(busy.project, role="analyst")
    address = reverse("experiments-plan", args=[busy.project.slug])
    shared = {"surface": busy.surface.pk, "primary": busy.metric.pk, "planned_units": "9000"}

    def detectable_effect(count: int) -> float:
        rows = row_fields("variants", *[variant(f"v{n}") for n in range(count)])
        page = client.post(address, shared | rows).content.decode()
        return float(re.search(r"<dt>Smallest detectable effect</dt><dd>([\d.]+)%", page)[1])

    # Half the users in each, and alpha shared by three.
    assert detectable_effect(4) > 1.3 * detectable_effect(2)


def test_the_calculator_plans_what_a_page_is_filled_in_with(busy):
    """A draft, its copy, a template, and a page with one row more: as the calculator says of them."""
    draft = builders.draft(
        busy, busy.surface, key="first", weights=(0.3, 0.7), allocation=0.5,
        policy={"planned_units": 5000, "rule": "fixed"},
    )  # fmt: skip
    experiment = builders.define_experiment(draft)
    client = sign_in(busy.project, role="analyst")
    new, plan = (
        reverse(name, args=[busy.project.slug]) for name in ("experiments-new", "experiments-plan")
    )
    template = f"{new}?template=gradual&surface={busy.surface.pk}&primary={busy.metric.pk}"
    pages = [
        client.get(address).content.decode()
        for address in (report_path(experiment, "edit/"), f"{new}?copy=first", template)
    ]
    fields = read_form(pages[0], "definition")
    pages.append(
        client.post(report_path(experiment, "edit/"), fields | {"add-row": "variants"}).content.decode()
    )
    effects = []
    for page in pages:
        shown = client.post(plan, read_form(page, "definition")).content.decode()
        effects.append(re.search(r"<dt>Smallest detectable effect</dt><dd>([\d.]+)%", shown)[1])
        assert shown.strip() in page
    assert effects[0] == effects[1] == effects[3] != effects[2]
    assert "Choose a surface and a primary metric" in client.get(f"{new}?surface=x").content.decode()


@pytest.mark.parametrize("script", [True, False])
def test_a_person_adds_a_third(chromium, lane, shop, flag, script):
    """With and without JavaScript, on a phone: a row is added, another removed, and Enter saves."""
    seen = Visit(
        chromium,
        lane,
        make_user(shop.project, role="analyst"),
        viewport=PHONE,
        java_script_enabled=script,
    )
    page = seen.page
    page.goto(f"/p/{shop.project.slug}/experiments/new/?surface={flag.pk}")
    page.get_by_label("Key", exact=True).fill("three")
    page.get_by_label("Primary metric").select_option(label="clicks")
    variants = page.get_by_role("group", name="Variants", exact=True)
    for number in (2, 3):
        variants.get_by_role("button", name="Add row").click()
        variants.get_by_role("group", name=f"Treatment {number}").wait_for()
    variants.get_by_role("button", name="Remove row 2 of Variants").click()
    page.wait_for_function("document.querySelectorAll('#rows-variants .row').length === 3")
    assert page.get_by_label("Key", exact=True).input_value() == "three"
    for number, name in enumerate(("Treatment", "Treatment 2")):
        row = variants.get_by_role("group", name=name, exact=True)
        row.get_by_label("Variant", exact=True).fill(f"new{number}")
        row.get_by_label("Share (%)").fill("30")
    page.get_by_role("button", name="Save draft").click()
    problem = variants.get_by_role("alert")
    assert problem.inner_text() == "The shares sum to 110%; they must sum to 100%."
    control = variants.get_by_role("group", name="Control", exact=True).get_by_label("Share (%)")
    control.fill("40")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    control.press("Enter")
    page.locator('[data-experiment="three"]').wait_for()
    draft = Experiment.objects.get(project=shop.project, key="three")
    shares = dict(draft.variants.values_list("key", "weight"))
    assert shares == {"control": 0.4, "new0": 0.3, "new1": 0.3}
    seen.close()


def test_a_report_compares_each_treatment_and_says_that_they_share_the_error_rate(shop, flag):
    variants = [
        VariantDraft(key, None, 1 / 3, is_control=key == "control", value=key)
        for key in ("control", "green", "red")
    ]
    started = builders.experiment(shop, flag, variants=variants, policy=QUICK_POLICY)
    builders.visits(started, {"control": 1, "green": 3, "red": 1})
    look_at_experiment(experiment_id=started.pk)
    client = sign_in(shop.project)
    page = client.get(report_path(started)).content.decode()
    assert has(page, data_several_treatments="")
    assert "3 variants: each treatment is compared with the control" in page
    level, rows = started.parsed_policy.interval_level(2), report_on(started).metrics
    treatments = [(row.variant, row.judgement, row.interval_level) for row in rows]
    assert treatments == [("green", "better", level), ("red", "inconclusive", level)]
    assert level > started.parsed_policy.interval_level(1)
