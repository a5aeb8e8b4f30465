"""A switchback by the form in a real Chromium: refused with value and rule, saved, and started."""

from __future__ import annotations

import pytest

from experiments.models import Experiment
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user


@pytest.fixture
def form(chromium, lane, shop):
    """The form of a new experiment, filled in but for the blocks of time."""
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    lane.refresh()
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    page = seen.page
    page.goto(f"/p/{shop.project.slug}/experiments/new/?surface={shop.surface.pk}")
    page.get_by_label("Key", exact=True).fill("by-block")
    for name, version in (("Control", shop.champion), ("Treatment", challenger)):
        row = page.get_by_role("group", name=name, exact=True)
        row.get_by_label("Model").select_option(value=str(version.pk))
    page.get_by_label("Primary metric").select_option(label="clicks")
    page.get_by_label("Method").select_option(value="switchback")
    yield page
    assert [error for error in seen.errors if "422" not in error] == []  # forms that were refused
    seen.close()


def save(page):
    with page.expect_navigation():  # the page that is shown may be the one before, otherwise
        page.get_by_role("button", name="Save draft").click()


def problems(page):
    return page.locator(".problem").all_inner_texts()


def test_a_switchback_is_refused_saved_and_started(form, lane, shop):
    page = form
    minutes = page.get_by_label("Minutes of a block")
    carry_over = page.get_by_label("Minutes of carry-over")
    planned = page.get_by_label("Planned blocks of time")
    with page.expect_response("**/experiments/plan/"):
        planned.fill("30")
        planned.blur()
    page.locator("#plan").filter(
        has_text="Enter the minutes of a block and of its carry-over."
    ).wait_for()

    save(page)  # without lengths
    assert problems(page) == ["Enter at least 5 minutes."]
    minutes.fill("60")
    carry_over.fill("90")
    save(page)
    (refused,) = problems(page)
    assert refused == "Enter at most half of the block: more of it must count than is left out."
    # Nothing of what was typed is lost.
    assert (minutes.input_value(), page.get_by_label("Method").input_value()) == ("60", "switchback")
    carry_over.fill("10")
    save(page)
    (refused,) = problems(page)
    assert "planned_units is 30; it must be at least 40 blocks, 20 a variant" in refused
    assert not Experiment.objects.filter(project=shop.project).exists()

    planned.fill("168")
    save(page)
    draft = Experiment.objects.get(project=shop.project, key="by-block")
    assert (draft.state, draft.mode) == ("draft", "switchback")
    page.get_by_role("link", name="Start").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Start").click()
    draft.refresh_from_db()
    policy = draft.parsed_policy
    assert (draft.state, policy.rule, policy.planned_units) == ("running", "fixed", 168)
    assert (policy.block_seconds, policy.carry_over_seconds) == (3600, 600)
    lane.refresh()
    answer = lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u1"}, shop.public).json()
    assert (answer["experiment"], answer["variant"] in {"control", "treatment"}) == ("by-block", True)
    page.reload()
    assert "blocks of time" in page.inner_text(".verdict")
