"""The pages in a real Chromium: the newcomer's way, the keyboard, both languages, and axe on every page."""

from __future__ import annotations

import pytest
from django.conf import settings
from uuid_utils import uuid7

from bakeoff.accounts.models import SavedView
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import (
    Event,
    Experiment,
    ExperimentMetric,
    Exposure,
    Metric,
    Review,
    programme_of,
)
from tests.support import builders
from tests.support.axe import WIDE, faults_of
from tests.support.browser import Visit
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import make_user
from tests.support.dashboard_pages import PAGES, PHONE
from tests.support.ended_run import ended_run


@pytest.fixture
def story(lane, shop):
    """A project in which something has happened."""
    done = shop.run_experiment(**QUICK_POLICY)
    visits(done, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=done.pk)
    running = shop.run_experiment(planned_units=5000, minimum_run_seconds=0)
    lane.refresh()
    for n in range(12):
        slate = lane.post(
            "/v1/recommend", {"surface": "home-feed", "unit_id": f"u{n}"}, shop.public
        ).json()
        body = {"recommendation_id": slate["recommendation_id"], "unit_id": f"u{n}"}
        lane.post(
            "/v1/feedback",
            {"feedback_id": str(uuid7()), "kind": "text", "value": "good", **body},
            shop.public,
        )
    look_at_experiment(experiment_id=running.pk)
    SavedView.objects.create(
        project=shop.project, owner=make_user(shop.project), list_name="experiments", name="Ours",
        query="state=running", shared=True,
    )  # fmt: skip
    runs = [ended_run(shop, value, factors=factors) for value, factors in ((0.1, 16), (0.15, 32))]
    return {
        "run": runs[0].pk,
        "other": runs[1].pk,
        "p": shop.project.slug,
        "done": done.key,
        "running": running.key,
        "version": shop.champion.pk,
    }


def test_every_page_is_sound(chromium, axe, lane, shop, story):
    """No serious fault by axe, no request elsewhere, no error, nothing wider than the screen."""
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"), bypass_csp=True, is_mobile=True)
    stranger = Visit(chromium, lane, bypass_csp=True, is_mobile=True)
    faults = []
    for name, address in PAGES:
        page = stranger.page if name == "sign-in" else seen.page
        page.set_viewport_size(WIDE)
        page.goto(address.format(**story))
        page.evaluate(axe)
        faults += faults_of(page, name)
    stranger.close()
    assert faults == []
    assert seen.elsewhere == []
    assert seen.errors == []
    seen.close()


def test_the_newcomers_way_from_a_draft_to_a_verdict(chromium, lane, shop):  # noqa: PLR0915
    """Define, start, click through the film site, and read the verdict: all by the pages."""
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    lane.refresh()
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    page = seen.page
    page.goto(f"/p/{shop.project.slug}/experiments/")
    page.get_by_role("link", name="New experiment").click()
    page.get_by_label("Surface", exact=True).select_option(label="home-feed")
    page.get_by_label("Key", exact=True).fill("first try")
    page.get_by_label("Hypothesis").fill("The other taste brings more clicks.")
    for name, version in (("Control", shop.champion), ("Treatment", challenger)):
        row = page.get_by_role("group", name=name, exact=True)
        row.get_by_label("Model").select_option(value=str(version.pk))
    page.get_by_label("Primary metric").select_option(label="clicks")
    with page.expect_response("**/experiments/plan/"):
        page.get_by_label("Planned users").fill("200")
        page.get_by_label("Planned users").blur()
    page.locator("#plan").filter(has_text="Not enough traffic").wait_for()
    page.get_by_label("Minimum duration (days)").fill("0")
    page.get_by_label("Conversion window (hours)").fill("0.01")
    with page.expect_navigation():
        page.get_by_role("button", name="Save draft").click()
    # The rule stands at the field, and what was typed is still there.
    assert page.locator(".field.wrong").count() == 1
    assert "Use only letters, digits, - and _ (no spaces)." in page.locator(".field.wrong").inner_text()
    assert page.get_by_label("Hypothesis").input_value() == "The other taste brings more clicks."
    page.get_by_label("Key", exact=True).fill("first-try")
    with page.expect_navigation():
        page.get_by_role("button", name="Save draft").click()
    page.get_by_role("link", name="Start").click()
    assert "can no longer be changed" in page.inner_text("main")
    with page.expect_navigation():  # the platform is asked first whether it answers
        page.get_by_role("button", name="Start").click()
    experiment = Experiment.objects.get(project=shop.project, key="first-try")
    assert experiment.state == "running"
    lane.refresh()

    page.goto(f"/demo/?surface={shop.project.slug}/home-feed&key={shop.public}")
    films = page.locator("#slate > li")
    films.nth(2).wait_for()
    assert "first-try" in page.inner_text("#about")
    with page.expect_response("**/v1/recommend"):  # the next slate takes the rows of this one away
        films.first.get_by_role("button").first.click()
    page.locator("#about").filter(has_text="first-try").wait_for()
    page.get_by_role("button", name="+ Item", exact=False).first.click()
    page.get_by_text("✓ +1").wait_for()
    page.wait_for_timeout(1800)  # what is in view for a second is told
    page.goto("/")  # leaving the page sends what still waits
    page.wait_for_timeout(500)
    names = set(Event.objects.filter(project=shop.project).values_list("name", flat=True))
    assert {"click", "view"} <= names
    assert Exposure.objects.filter(experiment=experiment).count() == 1

    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    page.goto(f"/experiments/{shop.project.slug}/first-try/")
    assert "clicks per user" in page.inner_text(".verdict")
    assert [error for error in seen.errors if "422" not in error] == []  # the form that was refused
    assert seen.elsewhere == []
    seen.close()


def test_metrics_are_ticked_by_the_keyboard_and_narrowed(chromium, lane, shop):
    metrics = [
        Metric.objects.create(project=shop.project, key=f"guard-{n}", kind="mean", event="click")
        for n in range(10)
    ]
    experiment = shop.run_experiment()
    ExperimentMetric.objects.create(experiment=experiment, metric=metrics[3], role="guardrail")
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    page = seen.page
    page.goto(f"/p/{shop.project.slug}/experiments/new/?surface={shop.surface.pk}")
    group = page.get_by_role("group", name="Guardrails")
    filter_field = group.get_by_role("searchbox")
    filter_field.focus()
    page.keyboard.type("guard-7")
    page.keyboard.press("Enter")  # narrows, and sends nothing
    assert group.get_by_role("checkbox").count() == 1
    page.keyboard.press("Tab")
    with page.expect_response("**/experiments/plan/"):
        page.keyboard.press("Space")
    filter_field.fill("")
    assert group.get_by_role("checkbox", checked=True).count() == 1
    page.locator('[data-suggested="guard-3"]').get_by_role("button").click()
    assert group.get_by_label("guard-3").is_checked()
    assert "/experiments/new/" in page.url
    fields = page.evaluate("new FormData(document.getElementById('definition')).getAll('guardrails')")
    assert fields == [str(metrics[3].pk), str(metrics[7].pk)]
    assert seen.errors == []
    seen.close()


def test_consent_pending_denied_and_given(chromium, lane, shop):
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    page = seen.page
    page.goto(f"/demo/?surface={shop.project.slug}/home-feed&key={shop.public}")
    page.locator("#slate > li").nth(2).wait_for()
    page.get_by_label("Consent").select_option("pending")
    page.locator("#about").filter(has_text="not recorded").wait_for()
    page.locator("#slate > li").first.get_by_role("button").first.click()
    page.wait_for_timeout(800)
    assert not Event.objects.filter(project=shop.project, name="click").exists()
    page.get_by_label("Consent").select_option("granted")
    page.wait_for_timeout(1500)
    assert Event.objects.filter(project=shop.project, name="click").count() == 1
    page.get_by_label("Consent").select_option("denied")
    page.locator("#about").filter(has_text="not recorded").wait_for()
    page.locator("#slate > li").first.get_by_role("button").first.click()
    page.wait_for_timeout(800)
    assert Event.objects.filter(project=shop.project, name="click").count() == 1
    assert seen.errors == []
    seen.close()


def test_the_host_shows_its_own_when_the_answer_is_late(chromium, lane, shop):
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    seen.page.route("**/v1/recommend", lambda _route: None)
    seen.page.goto(f"/demo/?surface={shop.project.slug}/home-feed&key={shop.public}")
    seen.page.get_by_text("Editors' picks").wait_for(timeout=8000)
    assert seen.page.locator("#slate > li").count() == 1
    seen.close()


def test_the_keyboard_is_enough(chromium, lane, shop, story):
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    page = seen.page
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == story["running"]:
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{story['running']}/")
    for _ in range(60):
        page.keyboard.press("Tab")
        if "Stop without a verdict" in page.evaluate("document.activeElement.textContent"):
            break
    page.keyboard.press("Enter")
    page.get_by_label("Reason").focus()
    page.keyboard.type("no more need")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{story['running']}/")
    assert Experiment.objects.get(key=story["running"], project=shop.project).state == "ended"
    page.goto(f"/p/{shop.project.slug}/feedback/")
    with page.expect_navigation():
        page.keyboard.press("o")
    assert Review.objects.filter(feedback__project=shop.project, state="ok").count() == 1
    seen.close()


def test_the_settings_of_an_autopilot_are_edited_on_a_phone(chromium, lane, shop):
    """A refusal stands at its field with what was typed; then the settings are stored."""
    seen = Visit(chromium, lane, make_user(shop.project, role="operator"), viewport=PHONE)
    page = seen.page
    page.goto(f"/p/{shop.project.slug}/surfaces/home-feed/autopilot/")
    page.get_by_role("main").get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Primary metric").select_option(shop.metric.key)
    page.get_by_label("Holdback (%)").fill("5")
    guardrails = page.get_by_role("group", name="Guardrails")
    guardrails.get_by_label("Metric").first.select_option(shop.metric.key)
    guardrails.get_by_label("Margin (%)").first.fill("7")
    page.get_by_role("button", name="Save").click()
    assert "choose another guardrail" in guardrails.get_by_role("alert").inner_text()
    assert page.get_by_label("Holdback (%)").input_value() == "5"
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 1
    guardrails.get_by_label("Metric").first.select_option("")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").filter(has_text="Saved.").wait_for()
    programme = programme_of(shop.surface)
    assert (programme.primary_metric, programme.holdback_share) == (shop.metric, 0.05)
    assert [error for error in seen.errors if "422" not in error] == []  # the form that was refused
    assert seen.elsewhere == []
    seen.close()


def test_what_is_searched_is_reached_by_the_keyboard_and_the_theme_stays(chromium, lane, shop, story):
    seen = Visit(chromium, lane, make_user(shop.project, role="viewer"), color_scheme="light")
    page = seen.page
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type(story["done"])
    hits = f"{story['done']} Experiment"  # a busy machine shows those of fewer letters before
    page.wait_for_function(
        "hits => document.querySelector('#hits').innerText.trim().split(/\\s+/).join(' ') === hits",
        arg=hits,
        timeout=20_000,
    )
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/experiments/{shop.project.slug}/{story['done']}/")
    trail = page.locator(".crumbs li").all_inner_texts()
    assert trail == [shop.project.slug, "Experiments", story["done"]]
    assert page.locator("nav [aria-current]").all_inner_texts() == ["Experiments"]
    page.locator("svg.plot").first.focus()
    page.locator(".tip").filter(has_text="to +").wait_for()  # the effect and its interval
    page.keyboard.press("Escape")
    assert not page.locator(".tip").is_visible()
    page.get_by_role("button", name="Light or dark").click()
    page.goto(f"/p/{shop.project.slug}/search/?q=home&page=")  # the same without script
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert "home-feed" in page.inner_text("main")
    page.set_viewport_size({"width": 390, "height": 844})
    assert not page.get_by_role("link", name="Surfaces").is_visible()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Surfaces").click()
    page.wait_for_url("**/surfaces/")
    assert seen.errors == []
    seen.close()


def test_the_pages_speak_two_languages(chromium, lane, shop, story):
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    page = seen.page
    page.goto(f"/experiments/{shop.project.slug}/{story['done']}/")
    assert "Decisions" in page.inner_text("main")
    page.get_by_label("Language").select_option("zh-hans")
    page.locator("html[lang=zh-hans]").wait_for()
    assert "决策" in page.inner_text("main")
    assert seen.errors == []
    seen.close()


def test_a_shared_copy_opens_for_a_stranger_until_it_is_revoked(chromium, lane, shop, story):
    seen = Visit(chromium, lane, make_user(shop.project, role="analyst"))
    page = seen.page
    page.goto(f"/experiments/{shop.project.slug}/{story['done']}/")
    page.get_by_text("Share", exact=True).click()
    page.get_by_role("button", name="Create link").click()
    address = page.locator(".note").inner_text().rpartition(" ")[2]
    stranger = Visit(chromium, lane)
    stranger.page.goto(address)
    assert "clicks per user" in stranger.page.inner_text("main")
    assert "u1" not in stranger.page.inner_text("main").split()
    assert stranger.elsewhere == []
    page.get_by_text("Share", exact=True).click()
    page.once("dialog", lambda dialog: dialog.accept())  # what happens to the link, and whether to
    page.get_by_role("button", name="Revoke").click()
    assert stranger.page.goto(address).status == 410
    assert "This link was revoked" in stranger.page.inner_text("main")
    assert shop.project.slug not in stranger.page.content()
    seen.close()
    stranger.close()


def test_an_open_report_moves_when_a_look_is_taken(chromium, lane, shop):
    """By the stream, long before it would ask by itself; and what arrives is shown as it arrives."""
    experiment = shop.run_experiment(**QUICK_POLICY, promote=False)
    lane.refresh()
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    page = seen.page
    page.goto(f"/experiments/{shop.project.slug}/{experiment.key}/")
    assert "No analysis" in page.inner_text("main")
    page.wait_for_timeout(500)  # until the stream is open
    opened = page.locator("#report details > summary").last
    title = opened.inner_text().partition(" (")[0]  # it counts analyses
    opened.click()
    visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    page.locator(".verdict").filter(has_text="clicks per user").wait_for(timeout=5000)
    # The first analysis brings folds before the one that is open: no other opens for it.
    still = page.locator("#report details[open] > summary")
    still.filter(has_text=title).wait_for(timeout=20_000)
    assert still.count() == 1
    still.click()
    # What is opened in it stays open, and the keyboard stays where it is, when it is fetched anew.
    summary = page.locator("#report details summary").last
    summary.click()
    summary.focus()
    page.evaluate("document.getElementById('report').dataset.old = 1")
    page.evaluate("htmx.trigger(document.body, 'live-looks')")
    page.locator("#report:not([data-old])").wait_for(state="attached", timeout=20_000)
    page.locator("#report details[open] summary:focus").wait_for(timeout=20_000)
    page.goto(f"/p/{shop.project.slug}/events/")
    lane.refresh()  # the process learns that somebody watches
    page.wait_for_timeout(500)
    lane.post("/v1/events", {"event_id": "e1", "name": "click", "unit_id": "u1"}, shop.public)
    lane.post("/v1/events", {"event_id": "e2", "name": "", "unit_id": "u2"}, shop.public)
    page.get_by_text("✓ stored").wait_for(timeout=4000)
    page.get_by_text("name == ''", exact=False).wait_for(timeout=4000)
    assert seen.errors == []
    seen.close()


def test_a_stream_wants_a_ticket_of_its_own(lane, shop):
    from experiments.assignment.qa_links import QaLink, write_link

    assert lane.client.get("/v1/live").status_code == 401
    link = write_link(settings.SECRET_KEY, QaLink(shop.project.pk, "trial", "treatment", 2**40))
    refused = lane.client.get(f"/v1/live?ticket={link}")
    assert refused.status_code == 401
    assert "it is a link" in refused.json()["error"]["message"]
