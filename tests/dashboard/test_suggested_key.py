"""A key is suggested from a name, in the browser; a wrong or missing one is told its rule."""

from __future__ import annotations

import pytest

from tests.support.browser import Visit
from tests.support.dashboard import make_user, sign_in


@pytest.fixture
def page(chromium, lane, shop):
    seen = Visit(chromium, lane, make_user(shop.project, role="admin"))
    yield seen.page
    assert seen.errors == []
    seen.close()


@pytest.mark.parametrize("where", ["experiments/new", "metrics"])
def test_a_name_suggests_a_key_until_somebody_writes_one(page, shop, where):
    page.goto(f"/p/{shop.project.slug}/{where}/")
    for folded in page.locator("details:has([name='key'])").all():
        folded.evaluate("one => one.open = true")
    form = page.locator("form:has([name='key']):has([name='name'])").first
    name, key = form.locator("[name='name']"), form.locator("[name='key']")
    name.press_sequentially("Größere Bilder, Übersicht 2!")
    assert key.input_value() == "grossere-bilder-ubersicht-2"
    key.fill("own")
    name.press_sequentially(" more")
    assert key.input_value() == "own"


def test_a_wrong_key_is_told_the_rule(shop):
    client = sign_in(shop.project, role="admin")
    fields = {"kind": "mean", "event": "x", "direction": "increase"}
    for key, rule in (
        ("two words", "Use only letters, digits, - and _ (no spaces)."),
        ("", "Fill this in; it must not be empty."),
    ):
        page = client.post(f"/p/{shop.project.slug}/metrics/", fields | {"key": key}).content.decode()
        assert rule in page
        assert "slug” consisting" not in page
    client.cookies["django_language"] = "zh-hans"
    page = client.post(f"/p/{shop.project.slug}/metrics/", fields | {"key": "two words"})
    assert "只能使用字母、数字、- 和 _" in page.content.decode()
