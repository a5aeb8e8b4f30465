"""A new experiment has its surface's policy, but for what a person changed in the form."""

from __future__ import annotations

import pytest

from experiments.models import Experiment
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user, sign_in
from tests.support.form_reader import pair_fields, read_form

POLICY = {
    "planned_units": 800, "minimum_run_seconds": 0.0, "window_seconds": 20.0, "promote": False,
    "alpha": 0.1, "minimum_nonzero": 30,
}  # fmt: skip
SHOWN = {
    "planned_units": ["800"], "minimum_days": ["0"], "window_hours": ["0.00555556"],
    "rule": ["group_sequential"],
}  # fmt: skip


@pytest.fixture
def quick(shop):
    """A shop whose surface has a policy of its own."""
    shop.surface.policy = POLICY
    shop.surface.save()
    return shop


def new_page(shop, query=""):
    return f"/p/{shop.project.slug}/experiments/new/{query}"


def read(shop, query):
    page = sign_in(shop.project, role="analyst").get(new_page(shop, query)).content.decode()
    return read_form(page, "definition")


def save(shop, fields, query=""):
    """Send the form as it was shown, with a pair of versions; return the policy that is stored."""
    other = builders.make_version(shop.surface, list(range(1, 11)))
    usual = {"key": "mine", "surface": shop.surface.pk, "primary": shop.metric.pk}
    sent = fields | pair_fields(shop.champion.pk, other.pk) | usual
    done = sign_in(shop.project, role="analyst").post(new_page(shop, query), sent)
    assert done.status_code == 302, done.content.decode()
    return Experiment.objects.get(project=shop.project, key="mine").policy


def test_a_chosen_surface_fills_in_its_policy_and_the_draft_keeps_it(quick):
    fields = read(quick, f"?surface={quick.surface.pk}")
    assert {name: fields[name] for name in SHOWN} == SHOWN
    assert "promote" not in fields
    assert save(quick, fields) == POLICY


def test_only_what_was_changed_is_the_drafts_own(quick):
    fields = read(quick, f"?surface={quick.surface.pk}")
    assert save(quick, fields | {"planned_units": "10000", "promote": "on"}) == POLICY | {
        "planned_units": 10_000, "promote": True,
    }  # fmt: skip


def test_without_javascript_what_was_left_follows_the_surface_that_was_chosen(quick):
    fields = read(quick, "")
    assert (fields["planned_units"], fields["policy_of"]) == (["10000"], [""])
    assert save(quick, fields | {"minimum_days": "14"}) == POLICY | {
        "minimum_run_seconds": 14 * 86_400.0
    }


def test_a_refused_form_shows_the_policy_that_would_be_stored(quick):
    sent = read(quick, "") | {"surface": quick.surface.pk, "key": ""}
    refused = sign_in(quick.project, role="analyst").post(new_page(quick), sent)
    assert refused.status_code == 422
    fields = read_form(refused.content.decode(), "definition")
    assert {name: fields[name] for name in SHOWN} == SHOWN
    assert fields["policy_of"] == [str(quick.surface.pk)]


def test_a_template_changes_only_what_it_says(quick):
    fields = read(quick, "?template=gradual")
    assert (fields["rule"], fields["planned_units"]) == (["always_valid"], ["800"])
    assert save(quick, fields, "?template=gradual") == POLICY | {"rule": "always_valid"}


def test_a_copy_keeps_its_source_and_no_surface_overrides_it(quick):
    source = builders.define_experiment(
        builders.draft(quick, quick.surface, "first", policy={"planned_units": 5000})
    )
    fields = read(quick, f"?copy={source.key}")
    assert fields["planned_units"] == ["5000"]
    assert "policy_of" not in fields
    sent = fields | {"key": "second"}
    sign_in(quick.project, role="analyst").post(new_page(quick, f"?copy={source.key}"), sent)
    assert Experiment.objects.get(project=quick.project, key="second").policy == source.policy


def test_blocks_and_clusters_count_otherwise_than_users(quick):
    fields = read(quick, f"?surface={quick.surface.pk}")
    blocks = {
        "mode": "switchback", "block_minutes": "60", "carry_over_minutes": "10", "planned_blocks": "800",
    }  # fmt: skip
    stored = save(quick, fields | blocks)
    assert (stored["planned_units"], stored["minimum_nonzero"], stored["rule"]) == (800, 20, "fixed")
    assert stored["window_seconds"] == 20.0


def test_a_bandit_has_the_surfaces_share_and_rule(quick):
    quick.surface.policy = POLICY | {"floor": 0.2, "rule": "exact"}
    quick.surface.save()
    quick.metric.kind = "proportion"
    quick.metric.save()
    fields = read(quick, f"?surface={quick.surface.pk}")
    assert (fields["floor"], fields["bandit_rule"]) == (["20"], ["exact"])
    stored = save(quick, fields | {"mode": "bandit"})
    assert (stored["floor"], stored["rule"]) == (0.2, "exact")


def test_no_other_projects_surface_is_read(quick):
    stranger = builders.make_shop()
    fields = read(stranger, f"?surface={quick.surface.pk}")
    assert fields["planned_units"] == ["10000"]
    assert save(stranger, fields | {"policy_of": str(quick.surface.pk)}) == {}
    assert read(stranger, "?surface=" + "9" * 5000)["planned_units"] == ["10000"]


def test_a_person_chooses_a_surface_and_sees_its_policy(chromium, lane, quick):
    other = quick.project.surfaces.create(key="quiet", policy={"planned_units": 1200})
    seen = Visit(chromium, lane, make_user(quick.project, role="analyst"))
    page = seen.page
    page.goto(new_page(quick))
    page.get_by_label("Minimum duration (days)").fill("14")
    users = page.get_by_label("Planned users")
    for surface, expected in ((quick.surface, "800"), (other, "1200")):
        with page.expect_response(lambda answer: "experiments/plan" in answer.url):
            page.get_by_label("Surface", exact=True).select_option(str(surface.pk))
        page.wait_for_function(
            "expected => document.querySelector('#id_planned_units').value === expected", arg=expected
        )
    assert users.input_value() == "1200"
    assert page.get_by_label("Auto-ship the winner").is_checked()
    assert page.get_by_label("Minimum duration (days)").input_value() == "14"
    assert seen.errors == []
    seen.close()
