"""@bakeoff/react in a real browser: strict mode, a slate from the server, what is seen and said."""

from __future__ import annotations

import json
import time

import pytest

from experiments.models import Event, Exposure, Feedback, Slate
from tests.support import builders

APP = """
import { BakeoffProvider, useBakeoff, useFeedback, useFlag, useRecommendations, Viewed } from "@bakeoff/react";
import { useState } from "react";

function Feed({ initial }) {
  const [k, setK] = useState(3);
  const { slate, items, loading, error, refresh } = useRecommendations("home-feed", { k, initial });
  const colour = useFlag("button", "none");
  const send = useFeedback(slate);
  const bakeoff = useBakeoff();
  if (error) return <p id="error">{error.message}</p>;
  return (
    <main aria-busy={loading}>
      <ul>
        {slate && items.map((item) => (
          <Viewed as="li" key={item.item_id} slate={slate} item={item}>{item.title}</Viewed>
        ))}
      </ul>
      <b id="colour">{colour}</b>
      <button id="thumb" onClick={() => send("thumb", 1).then(() => document.body.dataset.sent = "yes")}>+1</button>
      <button id="more" onClick={() => setK(k + 1)}>more</button>
      <button id="again" onClick={refresh}>again</button>
      <button id="flush" onClick={() => bakeoff.flush().then(() => document.body.dataset.flushed = "yes")}>flush</button>
    </main>
  );
}
// A second component with the same question must not ask again.
const Count = ({ initial }) => <i id="count">{useRecommendations("home-feed", { k: 3, initial }).items.length}</i>;

export function App({ client, slate, flags }) {
  return (
    <BakeoffProvider client={client} initialFlags={flags}>
      <Feed initial={slate} />
      <Count initial={slate} />
    </BakeoffProvider>
  );
}
"""
PAGE = """
import { createClient } from "@bakeoff/js";
import { StrictMode } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { App } from "./app.jsx";

const { url, key, slate, flags } = window.settings;
const client = createClient({ url, key, storage: "cookie", wait: 0 });
const app = <StrictMode><App client={client} slate={slate} flags={flags} /></StrictMode>;
const root = document.getElementById("root");
if (slate) hydrateRoot(root, app);
else {
  const mounted = createRoot(root);
  window.hide = () => mounted.render(null);
  window.show = () => mounted.render(app);
  window.show();
}
"""
SERVER = """
import { cookieOf, createClient, idFromCookies } from "@bakeoff/js";
import { renderToString } from "react-dom/server";
import { App } from "./app.jsx";

const [url, key, cookies] = process.argv.slice(2);
const client = createClient({ url, key, anonymousId: idFromCookies(cookies) });
const [slate, flags] = await Promise.all([client.recommend("home-feed", { k: 3 }), client.flags()]);
const html = renderToString(<App client={client} slate={slate} flags={flags} />);
process.stdout.write(JSON.stringify({ html, slate, flags, cookie: cookieOf("a b", false) }));
"""
HOST = """<!doctype html><html lang="en"><title>Host</title><div id="root">{html}</div>
<script>window.settings = {settings}</script><script src="/host.js"></script>"""


@pytest.fixture(scope="module")
def bundled(packages):
    """The page's script, with React as it is while one develops: strict mode runs effects twice."""
    (packages.project / "app.jsx").write_text(APP)
    return packages.bundle(PAGE, name="page.jsx")


@pytest.fixture
def opened(chromium, lane, shop, bundled):
    """Open the page of somebody who was here before; `requested` has the paths that it requested."""
    context = chromium.new_context()
    context.add_cookies([{"name": "bakeoff_id", "value": "a1", "url": lane.url}])

    def open_page(*, key=shop.public, html="", **settings):
        page = context.new_page()
        page.requested, page.problems = [], []
        page.on("request", lambda request: page.requested.append(request.url.removeprefix(lane.url)))
        page.on(
            "console", lambda one: one.type in {"error", "warning"} and page.problems.append(one.text)
        )
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        body = HOST.format(html=html, settings=json.dumps({"url": lane.url, "key": key, **settings}))
        page.route("**/host", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.route(
            "**/host.js", lambda route: route.fulfill(body=bundled, content_type="text/javascript")
        )
        page.goto(f"{lane.url}/host")
        return page

    yield open_page
    context.close()


@pytest.fixture
def running(shop, page, lane):
    """An experiment on the feed, and a flag."""
    feed = shop.run_experiment()
    button = builders.experiment(shop, page, values=("old", "new"))
    lane.refresh()
    return feed, button


def wait_for(rows, count: int):
    """Wait until so many rows are stored, then return how many there are."""
    deadline = time.monotonic() + 20
    while rows.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return rows.count()


def test_strict_mode_makes_one_request_and_one_exposure(opened, shop, running):
    feed, button = running
    page = opened()
    page.locator("li").nth(2).wait_for()
    page.locator("#colour", has_text="old").or_(page.locator("#colour", has_text="new")).wait_for()
    assert page.locator("#count").text_content() == "3"
    assert wait_for(Exposure.objects.filter(experiment=button), 1) == 1
    views = Event.objects.filter(project=shop.project, name="view")
    assert wait_for(views, 3) == 3
    page.wait_for_timeout(300)  # what would come twice has come
    assert (
        page.requested.count("/v1/recommend") == page.requested.count("/ofrep/v1/evaluate/flags") == 1
    )
    assert page.requested.count("/v1/track") == 1
    assert (Slate.objects.filter(project=shop.project).count(), views.count()) == (1, 3)
    for experiment in (feed, button):
        assert Exposure.objects.get(experiment=experiment).unit_id == "a1"
    assert page.problems == []


def test_other_options_and_a_refresh_are_new_requests(opened, shop, running):
    page = opened()
    page.locator("li").nth(2).wait_for()
    page.locator("#more").click()
    page.locator("li").nth(3).wait_for()
    with page.expect_response("**/v1/recommend"):
        page.locator("#again").click()
    assert page.requested.count("/v1/recommend") == 3
    page.locator("#thumb").click()
    page.locator("body[data-sent=yes]").wait_for()
    slates = Slate.objects.filter(project=shop.project).order_by("-recommendation_id")
    assert Feedback.objects.get(project=shop.project).recommendation_id == slates[0].recommendation_id
    # Away and back: what is shown anew is requested anew.
    page.evaluate("() => hide()")
    page.locator("li").nth(0).wait_for(state="detached")
    with page.expect_response("**/v1/recommend"):
        page.evaluate("() => setTimeout(show, 20)")
    page.locator("li").nth(2).wait_for()
    assert page.requested.count("/v1/recommend") == 4
    assert page.problems == []


def test_the_servers_slate_is_no_second_exposure(packages, opened, bundled, lane, shop, running):
    feed, button = running
    (packages.project / "app.jsx").write_text(APP)
    script = packages.bundle(
        SERVER, "--platform=node", "--format=esm", "--packages=external", name="server.jsx"
    )
    rendered = packages.answer(script.decode(), lane.url, shop.public, "theme=dark; bakeoff_id=a1")
    assert rendered["cookie"] == "bakeoff_id=a%20b; path=/; max-age=31536000; SameSite=Lax"
    titles = [item["title"] for item in rendered["slate"]["items"]]
    assert all(f">{title}</li>" in rendered["html"] for title in titles)
    assert not Exposure.objects.filter(experiment=button).exists()  # nobody has seen the flag yet
    page = opened(html=rendered["html"], slate=rendered["slate"], flags=rendered["flags"])
    views = Event.objects.filter(project=shop.project, name="view")
    assert wait_for(views, 3) == 3
    assert wait_for(Exposure.objects.filter(experiment=button), 1) == 1
    assert [path for path in page.requested if "recommend" in path or "ofrep" in path] == []
    assert page.locator("li").all_text_contents() == titles
    slate = Slate.objects.get(project=shop.project)
    assert {view.recommendation_id for view in views} == {slate.recommendation_id}
    assert Exposure.objects.get(experiment=feed).unit_id == slate.unit_id == "a1"
    assert Exposure.objects.get(experiment=button).unit_id == "a1"
    assert page.problems == []  # also no word of React about a difference between server and page
    page.locator("#more").click()
    page.locator("li").nth(3).wait_for()
    assert page.requested.count("/v1/recommend") == 1


def test_a_refusal_is_shown_and_warned_of_once(opened, shop):
    page = opened(key="pk_nobody")
    sentence = page.locator("#error").text_content()
    assert "key" in sentence
    page.wait_for_timeout(200)
    assert [text for text in page.problems if text.startswith("Bakeoff: ")] == [f"Bakeoff: {sentence}"]


def test_a_hook_without_its_provider_says_so(packages):
    done = packages.node(
        'import { renderToString } from "react-dom/server";\n'
        'import { createElement } from "react";\n'
        'import { useBakeoff } from "@bakeoff/react";\n'
        "renderToString(createElement(() => useBakeoff()));"
    )
    assert done.returncode
    assert "<BakeoffProvider> is missing, must be around components that use Bakeoff." in done.stderr
