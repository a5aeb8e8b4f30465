"""The autopilot's page: what runs, what the next step needs, who waits, and in both languages."""

from __future__ import annotations

from django.urls import reverse

from bakeoff.dashboard.templatetags.numbers import coded, stored
from experiments.actions.step_ramp import hold_ramp
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.html import has


def read(shop, language="en"):
    address = reverse("autopilot", args=[shop.project.slug, shop.surface.key])
    answer = sign_in(shop.project).get(address, headers={"accept-language": language})
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_ramp_shows_its_steps_its_needs_and_the_breaker(shop, lane):
    experiment = builders.start_ramp(shop)
    waiting = builders.make_version(shop.surface, [2] * 10, algorithm="bert4rec")
    page = read(shop)
    assert has(page, data_autopilot="ramping")
    assert has(page, data_step="1", data_state="current")
    assert has(page, data_step="2", data_state="ahead")
    assert has(page, data_need="users", data_holds="false")
    assert has(page, data_breaker=shop.metric.key)
    assert has(page, data_challenger=experiment.title, data_state="ramping")
    assert has(page, data_queued=waiting.label, data_held="false")
    assert "5.0%" in page


def test_a_held_ramp_says_who_holds_it_in_both_languages(shop, lane):
    experiment = builders.start_ramp(shop)
    hold_ramp(experiment=experiment, by="ann", reason="the campaign")
    page = read(shop)
    assert has(page, data_autopilot="held")
    assert has(page, data_step="1", data_state="held")
    assert "Held by ann: the campaign" in page
    chinese = read(shop, "zh-hans")
    assert "Held" not in chinese
    assert "ann" in chinese


def test_a_surface_links_its_autopilot_which_says_what_is_missing(shop, lane):
    surface = reverse("surface", args=[shop.project.slug, shop.surface.key])
    address = reverse("autopilot", args=[shop.project.slug, shop.surface.key])
    assert f'href="{address}"' in sign_in(shop.project).get(surface).content.decode()
    assert has(read(shop), data_autopilot="no_primary_metric")


def test_acts_on_what_is_over_are_refused_on_the_page_and_unknown_ones_are_no_pages(shop, lane):
    page = reverse("autopilot", args=[shop.project.slug, shop.surface.key])
    client = sign_in(shop.project, role="operator")
    refused = client.post(f"{page}ramp/continue/", follow=True)
    assert "No experiments running." in refused.content.decode()
    champion = client.post(f"{page}queue/{shop.champion.pk}/hold/", follow=True).content.decode()
    assert "must wait for its experiment" in champion
    for verb in ("ramp/leap", f"queue/{shop.champion.pk}/leap", "proposals/1/leap"):
        assert client.post(f"{page}{verb}/").status_code == 404


def test_only_who_may_act_sees_buttons(shop, lane):
    builders.start_ramp(shop)
    page = reverse("autopilot", args=[shop.project.slug, shop.surface.key])
    operator = sign_in(shop.project, role="operator").get(page).content.decode()
    assert f"{page}ramp/continue/" in operator
    assert f"{page}ramp/continue/" not in read(shop)


def test_what_a_sentence_has_between_backticks_is_code_and_nothing_of_it_is_html():
    assert coded("put it up with `bakeoff up`.") == "put it up with <code>bakeoff up</code>."
    assert coded("`<b>` & `x") == "<code>&lt;b&gt;</code> &amp; `x"
    assert coded("plain") == "plain"
    refused = "ease@1 cannot be served: shape (2, 3) < (3, 3)"
    assert stored(refused) == "ease@1 cannot be served: <code>shape (2, 3) &lt; (3, 3)</code>"
