"""A page that stays open while its session ends or the platform goes away; and shipping without evidence."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from django.urls import reverse

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.look_at_experiment import look_at_experiment
from inference.actions.write_run_log import LogLine, write_run_log
from inference.models import TrainingRun
from tests.support import builders
from tests.support.browser import Visit
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import make_user, sign_in

ASK_ANEW = "htmx.trigger(document.body, 'live-looks')"


@pytest.fixture
def reader(chromium, lane, shop):
    """Somebody who has a running experiment's report open."""
    experiment = shop.run_experiment(**QUICK_POLICY, promote=False)
    lane.refresh()
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    seen.page.goto(f"/experiments/{shop.project.slug}/{experiment.key}/")
    yield seen
    seen.close()


def test_a_live_update_keeps_what_was_typed_and_how_far_a_reader_scrolled(reader, shop):
    """A comment half written on a report; a run's log, and a table that is wider than the window."""
    page = reader.page
    comment = page.get_by_label("Your comment")
    comment.type("Half a thou")
    page.evaluate("document.querySelector('#report').dataset.before = 'true'")
    page.evaluate(ASK_ANEW)
    page.locator("#report:not([data-before])").wait_for(timeout=60_000)
    page.keyboard.type("ght")
    assert comment.input_value() == "Half a thought"

    run = TrainingRun.objects.create(
        surface=shop.surface, algorithm="ease", trigger="a test", state="running"
    )
    write_run_log(run.pk, [LogLine("info", f"line {n} " + "x" * 400) for n in range(200)], attempt=1)
    page.set_viewport_size({"width": 800, "height": 700})
    page.goto(reverse("run", args=[run.pk]))
    log = page.locator(".log")
    log.evaluate("(log) => { log.scrollTop = 500; log.querySelector('table').scrollLeft = 90; }")
    where = "(log) => [log.scrollTop, log.querySelector('table').scrollLeft, log.scrollLeft]"
    before = log.evaluate(where)
    assert before[0] == 500
    write_run_log(run.pk, [LogLine("info", "the newest line")], attempt=1)
    page.evaluate("htmx.trigger(document.body, 'live-runs')")
    page.get_by_text("the newest line").wait_for(timeout=60_000, state="attached")
    page.wait_for_function(
        f"before => String(({where})(document.querySelector('.log'))) === before",
        arg=",".join(map(str, before)),
        timeout=5000,
    )


def note(page, words):
    return page.locator("#lost .lost:visible").filter(has_text=words)


def test_a_report_stays_when_its_reader_is_signed_out(reader):
    page = reader.page
    cookies = reader.context.cookies()
    reader.context.clear_cookies()
    page.evaluate(ASK_ANEW)
    note(page, "You are signed out").wait_for(timeout=60_000)
    assert "No analysis" in page.inner_text("#report")
    address = page.locator("#lost a:visible").get_attribute("href")
    assert unquote(address).endswith(f"?next={urlsplit(page.url).path}")
    reader.context.add_cookies(cookies)
    page.evaluate(ASK_ANEW)
    page.locator("#lost .lost:visible").wait_for(state="detached", timeout=60_000)


def test_a_report_stays_while_the_platform_is_away(reader):
    page = reader.page
    for answer in ("abort", 503):
        page.route("**/experiments/**", lambda route, _request, answer=answer: (
            route.abort() if answer == "abort" else route.fulfill(status=answer)
        ))  # fmt: skip
        page.evaluate(ASK_ANEW)
        note(page, "Bakeoff does not answer").wait_for(timeout=60_000)
        assert "No analysis" in page.inner_text("#report")
        page.unroute("**/experiments/**")
        page.evaluate(ASK_ANEW)
        page.locator("#lost .lost:visible").wait_for(state="detached", timeout=60_000)
    page.route("**/experiments/**", lambda route: route.fulfill(status=404))
    page.evaluate(ASK_ANEW)
    note(page, "no longer there for you").wait_for(timeout=60_000)


def ship_button(client, address):
    page = client.get(address).content.decode()
    return re.search(r'<a class="([^"]*)" href="[^"]*act/ship/">', page).group(1).split()


def test_shipping_is_offered_first_only_after_a_verdict_and_wants_a_reason_before(shop):
    experiment = shop.run_experiment(**QUICK_POLICY, promote=False)
    client = sign_in(shop.project, role="admin")
    address = f"/experiments/{shop.project.slug}/{experiment.key}/"
    assert ship_button(client, address) == ["button"]
    assert "No variant is shown to be better yet" in client.get(f"{address}act/ship/").content.decode()
    refused = client.post(f"{address}act/ship/", {"variant": "treatment", "reason": "  "})
    assert refused.status_code == 409
    shown = refused.content.decode()
    assert "&#x27;treatment&#x27; is not shown to be better: shipping it needs a reason." in shown
    experiment.refresh_from_db()
    assert experiment.state == "running"


def test_what_a_verdict_proposes_ships_without_a_reason(shop):
    shop.surface.policy = QUICK_POLICY
    shop.surface.save()
    builders.set_programme(shop, approval="propose", holdback_share=0)
    builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    experiment = advance_challenger(surface=shop.surface)
    visits(experiment, {"control": 1, "treatment": 2})
    assert look_at_experiment(experiment_id=experiment.pk).action == "ship"
    client = sign_in(shop.project, role="admin")
    address = f"/experiments/{shop.project.slug}/{experiment.key}/"
    assert ship_button(client, address) == ["button", "main"]
    assert "No variant is shown" not in client.get(f"{address}act/ship/").content.decode()
    assert client.post(f"{address}act/ship/", {"variant": "treatment"}).status_code == 302
    experiment.refresh_from_db()
    assert experiment.state == "ended"


def selected(response) -> list[str]:
    """Return what the field of variants sends unless a person chooses another."""
    return re.findall(r'<option value="([^"]*)" selected', response.content.decode())


def test_only_the_variant_that_a_person_or_a_verdict_named_is_preselected(shop):
    experiment = shop.run_experiment(**QUICK_POLICY | {"promote": False}, treatments=2)
    client = sign_in(shop.project, role="admin")
    address = f"/experiments/{shop.project.slug}/{experiment.key}/act/ship/"
    first = client.get(address)
    assert selected(first) == []
    assert '<option value="">Choose a variant.</option>' in first.content.decode()
    typed = client.post(address, {"variant": "treatment", "reason": ""})
    assert (typed.status_code, selected(typed)) == (409, ["treatment"])
    visits(experiment, {"control": 1, "treatment": 2, "treatment-2": 3})
    assert look_at_experiment(experiment_id=experiment.pk).action == "ship"
    assert selected(client.get(address)) == ["treatment-2"]
    assert client.post(address, {"variant": "control"}).status_code == 302
    report = client.get(address.removesuffix("act/ship/")).content.decode()
    assert "Shipped popularity@1. popularity@3 raised clicks per user by 133%" in report


def test_learnings_that_are_too_long_stay_in_their_field(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    client = sign_in(shop.project, role="admin")
    address = f"/experiments/{shop.project.slug}/{experiment.key}/act/"
    client.post(f"{address}stop/", {"reason": "enough"})
    allowed = "one\r\n" + "x" * 4996
    refused = client.post(f"{address}learn/", {"learnings": allowed + "yz"})
    assert refused.status_code == 409
    assert "xyz</textarea>" in refused.content.decode()
    assert client.post(f"{address}learn/", {"learnings": allowed}).status_code == 302
    page = client.get(f"{address}learn/").content.decode()
    assert 'maxlength="5000"' in page
    assert "xxx</textarea>" in page
