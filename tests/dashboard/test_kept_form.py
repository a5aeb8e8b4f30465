"""A form that is sent after the session ended: its author signs in and gets back what was typed."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string

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


def fill_in_flag(page, shop):
    """A form that is complete: a flag needs no versions."""
    shop.project.surfaces.create(key="button", kind="flag")
    page.reload()
    fill_in(page)
    page.get_by_label("Surface").select_option(label="button")


def note(page):
    return page.locator("#kept:visible").filter(has_text="This was not stored yet")


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


def test_a_form_from_before_signing_in_anew_in_another_tab_comes_back(visit, person, shop):
    page, address = visit.page, f"/p/{shop.project.slug}/experiments/new/"
    visit.context.clear_cookies()
    page.goto(f"/sign-in/?next={address}")
    sign_in_again(page, person)
    fill_in_flag(page, shop)
    page.get_by_label("Hypothesis").fill("Mine.")
    other = visit.context.new_page()
    other.goto("/account/")
    other.get_by_role("button", name="Sign out").first.click()
    other.get_by_label("Username").wait_for()
    sign_in_again(other, person)
    other.locator("#content[data-person]").wait_for()
    page.get_by_role("button", name="Save draft").click()
    page.get_by_role("heading", name="This page was out of date").wait_for()
    assert not Experiment.objects.filter(project=shop.project).exists()
    page.get_by_role("link", name="Back to the form").click()
    note(page).wait_for()
    assert page.url.endswith(address)
    assert page.get_by_label("Hypothesis").input_value() == "Mine."
    page.get_by_role("button", name="Save draft").click()
    page.locator('[data-experiment="typed"]').wait_for()
    assert Experiment.objects.get(project=shop.project, key="typed").hypothesis == "Mine."


def test_who_signed_out_in_another_tab_goes_through_sign_in_to_the_form(visit, person, shop):
    page, address = visit.page, f"/p/{shop.project.slug}/experiments/new/"
    page.goto(address)
    fill_in(page)
    visit.context.clear_cookies()  # the token, too
    visit.context.add_cookies([{"name": "csrftoken", "value": "b" * 32, "url": visit.page.url}])
    page.get_by_role("button", name="Save draft").click()
    page.locator("#content").get_by_role("link", name="Sign in").click()
    sign_in_again(page, person)
    note(page).wait_for()
    assert page.url.endswith(address)
    assert page.get_by_label("Key", exact=True).input_value() == "typed"


def test_a_second_page_to_sign_in_leads_on(visit, person, shop):
    page, address = visit.page, f"/p/{shop.project.slug}/metrics/"
    visit.context.clear_cookies()
    page.goto(f"/sign-in/?next={address}")
    other = visit.context.new_page()
    other.goto("/sign-in/")
    sign_in_again(other, person)
    other.locator("#content[data-person]").wait_for()
    sign_in_again(page, person)
    page.wait_for_url(f"**{address}")
    assert page.locator("#content[data-person]").count() == 1


def test_a_form_is_kept_while_the_platform_is_away(visit, shop):
    page, address = visit.page, f"/p/{shop.project.slug}/experiments/new/"
    page.goto(address)
    fill_in_flag(page, shop)
    visit.context.set_offline(True)
    page.get_by_role("button", name="Save draft").click()
    page.locator(".lost:visible").filter(has_text="Nothing was sent").wait_for()
    assert page.get_by_label("Key", exact=True).input_value() == "typed"
    visit.context.set_offline(False)
    page.reload()
    note(page).wait_for()
    assert page.get_by_label("Key", exact=True).input_value() == "typed"
    page.get_by_role("button", name="Save draft").click()
    page.locator('[data-experiment="typed"]').wait_for()


def test_a_proxy_without_a_platform_keeps_the_form_and_a_question_is_asked_once(visit, shop):
    experiment = shop.run_experiment(promote=False)
    page, questions = visit.page, []
    page.goto(f"/experiments/{shop.project.slug}/{experiment.key}/act/stop/")
    page.get_by_label("Reason").fill("The campaign ended.")
    page.locator("form[data-keep]").first.evaluate("form => form.dataset.confirm = 'Sure?'")
    page.on("dialog", lambda dialog: (questions.append(dialog.message), dialog.accept()))
    page.route(
        "**/healthz",
        lambda route: route.fulfill(status=502, body="Bad gateway", content_type="text/html"),
    )
    page.locator("form[data-keep] button").first.click()
    page.locator(".lost:visible").filter(has_text="Nothing was sent").wait_for()
    assert (page.get_by_label("Reason").input_value(), questions) == ("The campaign ended.", [])
    page.unroute("**/healthz")
    page.locator("form[data-keep] button").first.click()
    page.locator(".note.success").wait_for()
    experiment.refresh_from_db()
    assert (experiment.state, questions) == ("ended", ["Sure?"])


def test_the_page_of_an_outage_leads_back_to_the_form(visit, shop):
    def answer(route):
        if route.request.method == "GET":
            return route.continue_()
        page = render_to_string("dashboard/failure.html", {"is_outage": True})
        return route.fulfill(status=503, body=page, content_type="text/html; charset=utf-8")

    page = visit.page
    page.goto(f"/p/{shop.project.slug}/experiments/new/")
    fill_in(page)
    page.route("**/experiments/new/", answer)
    page.get_by_role("button", name="Save draft").click()
    page.get_by_role("heading", name="The database is unavailable").wait_for()
    page.get_by_role("link", name="Go back").click()
    note(page).wait_for()
    assert page.get_by_label("Key", exact=True).input_value() == "typed"
