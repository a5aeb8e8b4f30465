"""The form of an experiment shows, reads and plans only what its method has."""

from __future__ import annotations

import re
from dataclasses import asdict
from html import unescape

import pytest

from experiments.models import Experiment, Metric
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user, report_path, sign_in
from tests.support.dashboard_pages import PHONE
from tests.support.form_reader import pair_fields, read_form

ALL = {"Method", "Primary metric", "Minimum duration (days)", "Conversion window (hours)"}
USERS = {"Planned users", "Traffic (%)"}
BESIDE = {"Guardrail margin (%)", "Auto-ship the winner"}
SHOWN = {
    "split": USERS | BESIDE | {"Decision rule", "False trips of the breaker (%)"},
    "interleave": USERS,
    "bandit": USERS
    | BESIDE
    | {
        "Lowest share of a variant (%)", "Hours between updates of the shares",
        "Users before the first update", "Decision rule of the bandit", "False trips of the breaker (%)",
    },
    "cluster": USERS | BESIDE | {"Attribute of the context"},
    "switchback": BESIDE | {"Minutes of a block", "Minutes of carry-over", "Planned blocks of time"},
}  # fmt: skip
WRONG = re.compile(
    r'<div class="field wrong">\s*<label for="id_([\w-]+)">.*?role="alert">(.*?)</p>', re.DOTALL
)


@pytest.fixture
def analyst(shop):
    return sign_in(shop.project, role="analyst")


@pytest.fixture
def filled(shop):
    """What a browser sends of the form with the fields of every method filled in."""
    other = builders.make_version(shop.surface, list(range(1, 11)))
    return {
        "key": "mine", "surface": shop.surface.pk, "primary": shop.metric.pk, "allocation": "100",
        **pair_fields(shop.champion.pk, other.pk), "margin": "5", "rule": "group_sequential",
        "planned_units": "5000", "minimum_days": "7", "window_hours": "24", "breaker_alpha": "0.1",
        "floor": "20", "update_hours": "12", "burn_in_units": "300", "bandit_rule": "always_valid",
        "cluster_by": "store", "block_minutes": "60", "carry_over_minutes": "10", "planned_blocks": "168",
    }  # fmt: skip


def new_page(shop) -> str:
    return f"/p/{shop.project.slug}/experiments/new/"


@pytest.mark.parametrize("script", [True, False])
def test_a_person_sees_the_fields_of_the_method_alone(chromium, lane, shop, script):
    person = make_user(shop.project, role="analyst")
    seen = Visit(chromium, lane, person, viewport=PHONE, java_script_enabled=script)
    page = seen.page
    page.goto(new_page(shop))
    every = ALL.union(*SHOWN.values())
    notes = page.locator("p[data-modes]")
    for mode, expected in SHOWN.items():
        page.get_by_label("Method").select_option(mode)
        shown = {one for one in every if page.get_by_label(one, exact=True).is_visible()}
        assert shown == expected | ALL, mode
        assert [one.get_attribute("data-modes") for one in notes.all() if one.is_visible()] == [mode]
        guardrails = page.get_by_role("group", name="Guardrails")
        assert guardrails.is_visible() == (mode != "interleave")
    assert seen.errors == []
    seen.close()


def test_a_refused_form_keeps_what_was_typed_into_every_method(chromium, lane, shop):
    seen = Visit(chromium, lane, make_user(shop.project, role="analyst"))
    page = seen.page
    page.goto(new_page(shop))
    page.get_by_label("Method").select_option("switchback")
    page.get_by_label("Minutes of a block").fill("2")  # would be refused, of a switchback
    page.get_by_label("Method").select_option("bandit")
    page.get_by_label("Lowest share of a variant (%)").fill("3")
    with page.expect_navigation():  # the platform is asked first whether it answers
        page.get_by_role("button", name="Save draft").click()
    refused = page.locator(".field.wrong label").all_inner_texts()
    assert "Lowest share of a variant (%)" in refused
    assert "Minutes of a block" not in refused
    assert page.get_by_label("Method").input_value() == "bandit"
    assert page.get_by_label("Lowest share of a variant (%)").input_value() == "3"
    page.get_by_label("Method").select_option("switchback")
    assert page.get_by_label("Minutes of a block").input_value() == "2"
    assert [error for error in seen.errors if "422" not in error] == []
    seen.close()


@pytest.mark.parametrize(
    ("mode", "policy"),
    [
        ("split", {"rule": "group_sequential", "planned_units": 5000}),
        ("interleave", {"rule": "always_valid", "planned_units": 5000, "promote": False}),
        ("bandit", {"rule": "always_valid", "planned_units": 5000, "floor": 0.2, "burn_in_units": 300}),
        ("cluster", {"rule": "fixed", "planned_units": 5000, "cluster_by": "store"}),
        ("switchback", {"rule": "fixed", "planned_units": 168, "block_seconds": 3600}),
    ],
)
def test_each_method_stores_what_it_has(shop, analyst, filled, mode, policy):
    guard = Metric.objects.create(project=shop.project, key="guard", kind="mean", event="hide")
    left_over = {"guardrails": guard.pk, "segments": "country", "sticky": "on", "promote": "on"}
    if mode == "switchback":
        left_over["allocation"] = "50"
    done = analyst.post(new_page(shop), filled | left_over | {"mode": mode})
    assert done.status_code == 302
    stored = Experiment.objects.get(project=shop.project)
    assert (stored.mode, stored.allocation) == (mode, 1)
    # What was left as it was shown is not stored, and holds.
    assert policy.items() <= asdict(stored.parsed_policy).items()
    others = {"floor", "update_every_seconds", "cluster_by", "block_seconds"} - policy.keys()
    if mode != "bandit":
        assert not others & stored.policy.keys()
    assert stored.metrics.filter(role="guardrail").exists() == (mode != "interleave")
    assert stored.segments == (["country"] if mode == "split" else [])
    assert stored.sticky == (mode in {"split", "bandit"})


def test_what_is_wrong_in_another_method_is_not_in_the_way(shop, analyst, filled):
    wrong = {"floor": "1", "update_hours": "often", "block_minutes": "2", "planned_blocks": "1"}
    assert analyst.post(new_page(shop), filled | wrong | {"mode": "split"}).status_code == 302
    wrong = {"planned_units": "few", "rule": "guess", "allocation": "0", "key": "blocks"}
    assert analyst.post(new_page(shop), filled | wrong | {"mode": "switchback"}).status_code == 302


@pytest.mark.parametrize(
    ("mode", "fields", "place", "sentence"),
    [
        ("bandit", {"burn_in_units": "5000"}, "burn_in_units", "must be less than"),
        ("bandit", {"floor": "60"}, "floor", "less than or equal to 50"),
        ("bandit", {"bandit_rule": "exact"}, "bandit_rule", "must be a proportion"),
        ("bandit", {"bandit_rule": "fixed"}, "bandit_rule", "Select a valid choice"),
        ("cluster", {"cluster_by": ""}, "cluster_by", "Name the attribute of the context"),
        ("switchback", {"block_minutes": ""}, "block_minutes", "at least 5 minutes"),
        ("switchback", {"carry_over_minutes": "50"}, "carry_over_minutes", "at most half of the block"),
        ("switchback", {"planned_blocks": "30"}, "planned_blocks", "at least 40 blocks"),
        ("split", {"planned_units": "1"}, "planned_units", "greater than or equal to 2"),
    ],
)  # fmt: skip
def test_a_refusal_stands_at_a_field_that_the_method_shows(
    shop, analyst, filled, mode, fields, place, sentence
):
    answer = analyst.post(new_page(shop), filled | {"mode": mode} | fields)
    assert answer.status_code == 422
    ((name, problem),) = WRONG.findall(unescape(answer.content.decode()))
    assert name == place
    assert sentence in problem
    assert not Experiment.objects.filter(project=shop.project).exists()


def test_another_method_takes_from_a_draft_what_it_does_not_have(shop, analyst, filled):
    guard = Metric.objects.create(project=shop.project, key="guard", kind="mean", event="hide")
    more = {"guardrails": guard.pk, "segments": "country", "sticky": "on", "allocation": "50"}
    assert analyst.post(new_page(shop), filled | more).status_code == 302
    draft = Experiment.objects.get(project=shop.project)
    address = report_path(draft, "edit/")

    def change(**fields):
        sent = read_form(analyst.get(address).content.decode(), "definition")
        answer = analyst.post(address, sent | fields)
        assert answer.status_code == 302, WRONG.findall(answer.content.decode())
        draft.refresh_from_db()
        return draft

    lists = change(mode="interleave")
    assert (lists.segments, lists.sticky, lists.allocation) == ([], False, 0.5)
    assert list(lists.metrics.values_list("role", flat=True)) == ["primary"]
    blocks = change(mode="switchback", block_minutes="60", carry_over_minutes="10")
    assert (blocks.allocation, blocks.policy["planned_units"]) == (1, 200)
    shown = read_form(analyst.get(address).content.decode(), "definition")
    assert shown["planned_blocks"] == ["200"]
    assert change(planned_blocks="300").policy["planned_units"] == 300
    split = change(mode="split", planned_units="7000")
    assert split.policy["planned_units"] == 7000
    assert "block_seconds" not in split.policy


def test_a_bandit_that_becomes_a_split_has_the_rule_that_was_shown(shop, analyst, filled):
    assert analyst.post(new_page(shop), filled | {"mode": "bandit"}).status_code == 302
    draft = Experiment.objects.get(project=shop.project)
    assert draft.policy["rule"] == "always_valid"
    address = report_path(draft, "edit/")
    for mode, rule in (("split", "group_sequential"), ("bandit", "always_valid")):
        sent = read_form(analyst.get(address).content.decode(), "definition")
        assert analyst.post(address, sent | {"mode": mode}).status_code == 302
        draft.refresh_from_db()
        assert (draft.mode, draft.policy["rule"]) == (mode, rule)
