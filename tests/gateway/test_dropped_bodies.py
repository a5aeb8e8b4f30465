"""A body that is too large is read and dropped, so that its sender gets the answer."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import suppress

import pytest

from bakeoff.gateway.http import bodies


def put_image(lane, shop, size, key=None):
    """Send as Python's own client does, which reads the answer after it has sent everything."""
    request = urllib.request.Request(
        f"{lane.url}/v1/item-images/i0",
        data=b"\x89PNG" + b"x" * (size - 4),
        headers={"Authorization": f"Bearer {key or shop.secret}", "Content-Type": "image/png"},
        method="PUT",
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    with refused.value as answer:
        return answer.code, json.loads(answer.read())["error"]


def test_who_sends_an_image_that_is_too_large_is_told_its_limit(lane, shop):
    status, error = put_image(lane, shop, 50 * 2**20)
    assert (status, error["code"]) == (413, "body_too_large")
    assert error["message"].endswith("must be at most 10485760.")
    # Without a key for large bodies, too, where it is not much.
    status, error = put_image(lane, shop, 4 * 2**20, key=shop.public)
    assert (status, error["message"].split()[-1]) == (413, "1048576.")


@pytest.mark.parametrize("is_stranger", [False, True])
def test_what_is_dropped_is_bounded(lane, shop, monkeypatch, is_stranger):
    if not is_stranger:
        monkeypatch.setattr(bodies, "MAX_DROPPED_BYTES", 2**20)
    headers = {} if is_stranger else {"Authorization": f"Bearer {shop.secret}"}
    headers["Content-Type"] = "image/png"
    sent = 0

    def parts():
        nonlocal sent
        for _ in range(200):
            sent += 2**20
            yield b"x" * 2**20

    with suppress(OSError):  # a connection that is reset, or the answer
        _stream(lane, headers, parts())
    # Beyond what is dropped, what the sockets hold.
    assert sent < (40 if is_stranger else 100) * 2**20


def _stream(lane, headers, parts):
    request = urllib.request.Request(
        f"{lane.url}/v1/item-images/i0", data=parts, headers=headers, method="PUT"
    )
    urllib.request.urlopen(request, timeout=60)
