"""The embed in a real browser: a page of another origin asks, shows, and tells."""

from __future__ import annotations

import subprocess
import time

import pytest

from experiments.models import Event, Slate
from tests.support.browser import CHROMIUM

QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--virtual-time-budget=8000",
    "--dump-dom",
]

PAGE = """<!doctype html><body><ol></ol><script src="{url}/sdk/v1.js" data-key="{key}"></script><script>
  bakeoff.recommend("home-feed", {{ k: 3 }}).then(async (slate) => {{
    for (const item of slate.items) document.querySelector("ol").append(item.title, " | ");
    const first = {{ item_id: slate.items[0].item_id, recommendation_id: slate.recommendation_id }};
    const told = await bakeoff.track("click", first);
    document.body.append("accepted " + told.accepted);
    await bakeoff.identify("ann");
    const again = await bakeoff.recommend("home-feed", {{ k: 3, unit_id: "ann" }});
    document.body.append(" same " + (again.variant === slate.variant));
  }}, (error) => document.body.append("failed " + error.message));
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
def test_a_page_of_another_origin_embeds_recommendations(lane, shop, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(url=lane.url, key=shop.public))
    done = subprocess.run(
        [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert "Item i0 | Item i1 | Item i2" in done.stdout, done.stdout + done.stderr[-2000:]
    assert "accepted 1" in done.stdout
    assert "same true" in done.stdout
    event = Event.objects.get(project=shop.project)
    slate, again = Slate.objects.filter(project=shop.project).order_by("recommendation_id")
    assert event.unit_id == slate.unit_id == again.unit_id != "ann"
    assert (event.recommendation_id, event.item_id) == (slate.recommendation_id, "i0")


HOST = '<!doctype html><body><script src="/sdk/v1.js" data-key="{key}" data-wait="{wait}"></script>'


@pytest.fixture
def visit(chromium, lane, shop):
    """Open a host's page with the embed in a browser of its own."""
    context = chromium.new_context()

    def open_page(*, wait: int = 0):
        page = context.new_page()
        body = HOST.format(key=shop.public, wait=wait)
        page.route("**/host", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.goto(f"{lane.url}/host")
        return page

    yield open_page
    context.close()


def stored(shop, count: int) -> set[str]:
    """Wait until so many events are stored; return the names of what is."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        names = list(Event.objects.filter(project=shop.project).values_list("item_id", flat=True))
        if len(names) >= count:
            assert len(names) == len(set(names))
            return set(names)
        time.sleep(0.1)
    raise AssertionError(f"{len(names)} events of {count} after a minute")


def test_half_an_emoji_loses_nothing(visit, shop):
    page = visit()
    sent = page.evaluate(
        """() => { for (let n = 0; n < 4; n++)
            bakeoff.track("click", { item_id: "i" + n, properties: { text: n == 2 ? "cut \\ud83d" : "\\\\ud83d" } });
            return bakeoff.flush(); }"""
    )
    assert sent["accepted"] == 4
    assert stored(shop, 4) == {"i0", "i1", "i2", "i3"}
    texts = (
        Event.objects.filter(project=shop.project)
        .order_by("item_id")
        .values_list("properties", flat=True)
    )
    assert [one["text"] for one in texts] == [r"\ud83d", r"\ud83d", "cut \ufffd", r"\ud83d"]


def test_many_large_events_leave_in_parts(visit, shop):
    page = visit()
    sent = page.evaluate(
        """() => { for (let n = 0; n < 60; n++)
            bakeoff.track("click", { item_id: "i" + n, properties: { text: "界".repeat(1000) } });
            return bakeoff.flush(); }"""
    )
    assert sent == {"accepted": 60, "rejected": []}
    assert len(stored(shop, 60)) == 60


def test_what_no_beacon_takes_waits_for_the_next_page(visit, shop):
    page = visit(wait=1_000_000)
    page.evaluate(
        """() => { for (let n = 0; n < 30; n++)
            bakeoff.track("click", { item_id: "i" + n, properties: { text: "界".repeat(1000) } }); }"""
    )
    page.close(run_before_unload=True)
    visit(wait=1_000_000)
    assert len(stored(shop, 30)) == 30


def test_a_refused_event_goes_alone(visit, shop, lane):
    page = visit()
    sent = page.evaluate(
        """() => { for (let n = 0; n < 7; n++)
            bakeoff.track("click", { item_id: "i" + n, value: n == 3 ? 1e300 : n });
            return bakeoff.flush(); }"""
    )
    assert sent["accepted"] == 6
    assert [one["index"] for one in sent["rejected"]] == [3]
    # A platform of before, or a proxy, that refuses the whole: the batch is halved until it passes.
    page.route("**/v1/events", lambda route: route.fulfill(status=400, json={"error": {"message": "no"}})
               if "poison" in route.request.post_data else route.continue_())  # fmt: skip
    sent = page.evaluate(
        """() => { for (let n = 10; n < 30; n++)
            bakeoff.track("click", { item_id: n == 17 ? "poison" : "i" + n });
            return bakeoff.flush(); }"""
    )
    assert sent["accepted"] == 19
    assert [(one["index"], one["code"]) for one in sent["rejected"]] == [(7, "refused")]


def test_a_busy_platform_is_asked_again(visit, shop):
    page, answers = visit(), iter([429, 503, 502])

    def answer(route):
        status = next(answers, None)
        if status is None:
            route.continue_()
        else:
            route.fulfill(status=status, body="<html>busy</html>")

    page.route("**/v1/events", answer)
    assert page.evaluate("() => bakeoff.track('click', { item_id: 'i1' })")["accepted"] == 1
