"""A form that is sent after the session ended: its author signs in and gets back what was typed."""

from __future__ import annotations

import pytest

from experiments.models import Comment, Experiment
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user

PASSWORD = "right and long"
STORED = "sessionStorage.getItem('bakeoff-kept-form')"


@pytest.fixture
def person(shop):
    return make_user(shop.project, role="admin", password=PASSWORD)


@pytest.fixture
def visit(chromium, lane, person):
    seen = Visit(chromium, lane, person)
    yield seen
    seen.close()


def end_session(visit):
    visit.context.clear_cookies(name="sessionid")


def sign_in_again(page, person):
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def fill_in(page):
    """What the browser itself demands of a new experiment."""
    page.get_by_label("Key", exact=True).fill("typed")
    page.get_by_label("Surface").select_option(label="home-feed")
    page.get_by_label("Primary metric").select_option(label="clicks")


def note(page):
    return page.locator("#kept:visible").filter(has_text="You were signed out before this was stored")


def test_a_new_experiment_comes_back_with_its_rows(visit, person, shop):
    page, address = visit.page, f"/p/{shop.project.slug}/experiments/new/?planned_units=77"
    shop.project.surfaces.create(key="button", kind="flag")
    page.goto(address)
    fill_in(page)
    page.get_by_label("Surface").select_option(label="button")
    page.get_by_label("Auto-ship the winner").uncheck()
    variants = page.get_by_role("group", name="Variants", exact=True)
    variants.get_by_role("button", name="Add row").click()
    row = variants.get_by_role("group", name="Treatment 2", exact=True)
    row.get_by_label("Variant", exact=True).fill("third")
    for name in ("Control", "Treatment"):
        variants.get_by_role("group", name=name, exact=True).get_by_label("Share (%)").fill("")
    end_session(visit)
    page.get_by_role("button", name="Save draft").click()
    page.get_by_label("Username").wait_for()
    assert not Experiment.objects.filter(project=shop.project).exists()
    sign_in_again(page, person)
    note(page).wait_for()
    page.wait_for_load_state()
    assert page.url.partition("#")[0].endswith(address)
    assert row.get_by_label("Variant", exact=True).input_value() == "third"
    assert page.get_by_label("Key", exact=True).input_value() == "typed"
    assert not page.get_by_label("Auto-ship the winner").is_checked()
    assert not Experiment.objects.filter(project=shop.project).exists()  # nothing was sent by itself
    assert page.evaluate(STORED) is None
    page.get_by_role("button", name="Save draft").click()
    page.locator('[data-experiment="typed"]').wait_for()
    draft = Experiment.objects.get(project=shop.project, key="typed")
    assert (draft.variants.count(), draft.policy["planned_units"]) == (3, 77)
    assert note(page).count() == 0
    page.goto(address)
    assert (note(page).count(), page.get_by_label("Key", exact=True).input_value()) == (0, "")


def test_a_comment_comes_back_though_it_is_sent_to_another_address(visit, person, shop):
    experiment = builders.define_experiment(builders.draft(shop, shop.surface))
    page, address = visit.page, f"/experiments/{shop.project.slug}/{experiment.key}/"
    page.goto(address)
    page.locator("form[data-keep] textarea").last.fill("Look at the latency.")
    end_session(visit)
    page.locator("form[data-keep]").last.get_by_role("button").click()
    sign_in_again(page, person)
    note(page).wait_for()
    assert page.url.endswith(address)
    assert page.locator("form[data-keep] textarea").last.input_value() == "Look at the latency."
    assert not Comment.objects.filter(experiment=experiment).exists()


def test_an_act_is_not_done_by_itself(visit, person, shop):
    experiment = shop.run_experiment(promote=False)
    page, address = visit.page, f"/experiments/{shop.project.slug}/{experiment.key}/act/stop/"
    page.goto(address)
    page.get_by_label("Reason").fill("The campaign ended.")
    end_session(visit)
    page.locator("form[data-keep] button").first.click()
    sign_in_again(page, person)
    note(page).wait_for()
    assert page.get_by_label("Reason").input_value() == "The campaign ended."
    experiment.refresh_from_db()
    assert experiment.state == "running"


def test_another_person_in_the_same_tab_reads_nothing_of_it(visit, shop):
    page, address = visit.page, f"/p/{shop.project.slug}/experiments/new/"
    page.goto(address)
    fill_in(page)
    page.get_by_label("Hypothesis").fill("Mine.")
    end_session(visit)
    page.get_by_role("button", name="Save draft").click()
    other = make_user(shop.project, role="admin", password=PASSWORD)
    sign_in_again(page, other)
    page.get_by_label("Hypothesis").wait_for()
    assert (page.get_by_label("Hypothesis").input_value(), note(page).count()) == ("", 0)
    assert page.evaluate(STORED) is None


def test_who_is_told_of_it_first_keeps_the_form_by_the_link(visit, person, shop):
    page = visit.page
    page.goto(f"/p/{shop.project.slug}/experiments/new/")
    page.get_by_label("Hypothesis").fill("Mine.")
    end_session(visit)
    page.get_by_label("Hypothesis").blur()  # asks the calculator, which learns of it
    page.locator("#lost a:visible").click()
    sign_in_again(page, person)
    note(page).wait_for()
    assert page.get_by_label("Hypothesis").input_value() == "Mine."


def test_secrets_are_never_stored(visit, person, shop):
    page = visit.page
    page.goto(f"/p/{shop.project.slug}/experiments/new/")
    fill_in(page)
    page.evaluate(
        """() => {
            const form = document.getElementById("definition");
            form.insertAdjacentHTML("beforeend", '<input type="password" name="word" value="hush">');
        }"""
    )
    end_session(visit)
    page.get_by_role("button", name="Save draft").click()
    page.get_by_label("Username").wait_for()
    stored = page.evaluate(STORED)
    assert '"hypothesis"' in stored
    for secret in ("hush", "csrfmiddlewaretoken"):
        assert secret not in stored
    # Forms of keys, passwords, second factors and subscriptions are not marked at all.
    sign_in_again(page, person)
    for where in ("/account/", f"/p/{shop.project.slug}/team/", f"/p/{shop.project.slug}/alerts/"):
        page.goto(where)
        assert page.locator("form[method=post]").count() > 0
        assert page.locator("form[data-keep]").count() == 0
