"""The page of a form whose token is old leads back to its own site only."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.support.dashboard import sign_in
from tests.support.html import elements


@pytest.mark.parametrize(
    ("before", "back"),
    [
        ("http://testserver//evil.example/p?a=1", "/evil.example/p?a=1"),
        ("http://testserver/account/?a=1", "/account/?a=1"),
        ("http://testserver", "/"),
        ("http://elsewhere.example/account/", "/"),
    ],
)
def test_the_way_back_is_an_address_of_this_site(shop, before, back):
    signed_in = sign_in(shop.project)
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in.cookies
    answer = client.post("/account/", {"name": "Ann"}, headers={"Referer": before})
    assert answer.status_code == 403
    (link,) = [one for one in elements(answer.content.decode(), tag="a") if one.get("id") == "unsent"]
    assert link["href"] == back
