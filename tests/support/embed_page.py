"""A page of a shop with the embed, under a strict content security policy, in a real browser."""

from __future__ import annotations

import time

import pytest

from experiments.models import Event

# Nothing but scripts of the platform, requests to it, and no string that becomes markup.
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "require-trusted-types-for 'script'"
)
HOST = """<!doctype html><html lang="en"><title>Shop</title>
<script src="/sdk/v1.js" data-key="{key}" data-wait="0"></script>
<script src="/sdk/v1/slate.js"></script><h1>Shop</h1>{body}"""


@pytest.fixture
def opened(chromium, lane, shop):
    """Open a page of a shop with some markup."""
    context = chromium.new_context()

    def open_page(body: str, *, key=shop.public, whole: str = "", policy=POLICY):
        page = context.new_page()
        page.requested, page.problems, page.warnings = [], [], []
        page.on("request", lambda request: page.requested.append(request.url.removeprefix(lane.url)))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "console",
            lambda one: {"error": page.problems, "warning": page.warnings}.get(one.type, []).append(
                one.text
            ),
        )
        html = whole or HOST.format(key=key, body=body)
        headers = {"Content-Security-Policy": policy} if policy else {}
        page.route(
            "**/host", lambda route: route.fulfill(body=html, content_type="text/html", headers=headers)
        )
        page.goto(f"{lane.url}/host")
        return page

    yield open_page
    context.close()


def stored(shop, name: str, count: int) -> list[Event]:
    """Wait until so many events are stored; return them."""
    rows = Event.objects.filter(project=shop.project, name=name)
    deadline = time.monotonic() + 20
    while rows.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return list(rows)
