"""Whatever is sent: an answer that names the rule, good rows kept, bad ones not, and others unharmed."""

from __future__ import annotations

import gzip
import json
import socket
import time

import pytest
from django.contrib.auth.models import User

from experiments.models import Event

FAULTS = {
    "surrogate": b'"cut \\ud83d"',
    "nul": b'"a\\u0000b"',
    "nan": b"NaN",
    "infinity": b"1e400",
    "huge": b"9" * 5000,
    "no utf-8": b'"\xff"',
    "deep": b"[" * 40 + b"]" * 40,
    "very deep": b"[" * 253 + b"]" * 253,
    "deeper than parsers go": b"[" * 3000 + b"]" * 3000,
}


def send(lane, path, key, content, **headers):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    return lane.client.post(path, content=content, headers=headers)


def row(name: str, value: bytes, *, kind="") -> bytes:
    if kind == "batch":
        return (
            b'{"type":"track","event":"click","userId":"u1","messageId":"%s","properties":{"v":%s}}'
            % (
                name.encode(),
                value,
            )
        )
    return b'{"event_id":"%s","name":"click","unit_id":"u1","properties":{"v":%s}}' % (
        name.encode(),
        value,
    )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("path", "rows_name"), [("/v1/events", "events"), ("/v1/batch", "batch")])
def test_one_bad_row_does_not_take_the_others_along(lane, shop, path, rows_name, fault):
    entries = [row("a", b"1", kind=rows_name), row("b", FAULTS[fault], kind=rows_name),
               row("c", b'"fine"', kind=rows_name)]  # fmt: skip
    answer = send(lane, path, shop.public, b'{"%s": [%s]}' % (rows_name.encode(), b",".join(entries)))
    assert answer.status_code in {200, 202}, answer.text
    assert [(r["index"]) for r in answer.json()["rejected"]] == [1]
    assert set(Event.objects.filter(project=shop.project).values_list("event_id", flat=True)) == {
        "a",
        "c",
    }


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("path", ["events", "track", "recommend", "classify", "feedback", "compare"])
def test_a_bad_value_alone_is_refused_and_the_next_request_is_served(lane, shop, rows, path, fault):
    body = row("b", FAULTS[fault])[:-1] + b',"surface":"home-feed","event":"click","context":{"v":%s}}'
    answer = send(lane, f"/v1/{path}", shop.public, body % FAULTS[fault])
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]
    assert rows("event", shop.project) == rows("slate", shop.project) == 0
    good = lane.post("/v1/events", {"name": "click", "unit_id": "u1"}, shop.public)
    assert good.json()["accepted"] == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_the_management_api_has_the_same_door(lane, shop, fault):
    body = b'{"key": "vips", "condition": {"country": %s}}' % FAULTS[fault]
    answer = lane.client.put(
        "/v1/groups", content=body, headers={"Authorization": f"Bearer {shop.secret}"}
    )
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("fault", FAULTS)
def test_flags_have_the_same_door_in_their_own_words(lane, shop, fault):
    body = b'{"context": {"targetingKey": "u1", "v": %s}}' % FAULTS[fault]
    for path in ("/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/f"):
        answer = send(lane, path, shop.public, body)
        assert answer.status_code == 400
        assert answer.json()["errorCode"] == "INVALID_CONTEXT"


def test_properties_have_a_size(lane, shop):
    event = {"name": "click", "unit_id": "u1", "properties": {"text": "x" * 33_000}}
    answer = lane.post("/v1/events", event, shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")


@pytest.mark.parametrize("value", [1e15, -1e15])
def test_values_up_to_their_bound_are_kept(lane, shop, value):
    answer = lane.post("/v1/events", {"name": "click", "unit_id": "u", "value": value}, shop.public)
    assert answer.json()["accepted"] == 1


@pytest.mark.parametrize("value", [1.001e15, -1e308, 10**30])
def test_values_beyond_their_bound_are_refused(lane, shop, value):
    answer = lane.post("/v1/events", {"name": "click", "unit_id": "u", "value": value}, shop.public)
    assert answer.status_code == 400
    assert "must be a number in [-1e+15, 1e+15]" in answer.json()["error"]["message"]


def chunks(body: bytes):
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


GROUP = {"key": "vips", "attribute": "country", "values": ["DE"]}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_chunked_and_packed_bodies_reach_every_lane(lane, shop, packed, chunked):
    headers = {"Authorization": f"Bearer {shop.secret}"} | (
        {"Content-Encoding": "gzip"} if packed else {}
    )

    def content(body):
        raw = json.dumps(body).encode()
        raw = gzip.compress(raw) if packed else raw
        return chunks(raw) if chunked else raw

    group = lane.client.put("/v1/groups", content=content(GROUP), headers=headers)
    assert group.status_code == 200, group.text
    event = {"name": "click", "unit_id": "u1"}
    assert lane.client.post("/v1/events", content=content(event), headers=headers).status_code == 202
    context = {"context": {"targetingKey": "u1"}}
    flags = lane.client.post("/ofrep/v1/evaluate/flags", content=content(context), headers=headers)
    assert flags.status_code == 200, flags.text


def test_a_chunked_form_signs_in(lane):
    User.objects.create_user("chunky", password="a long password")
    page = lane.client.get("/sign-in/")
    token = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    form = f"csrfmiddlewaretoken={token}&username=chunky&password=a+long+password".encode()
    answer = lane.client.post(
        "/sign-in/",
        content=chunks(form),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    lane.client.cookies.clear()
    assert answer.status_code == 302


@pytest.mark.parametrize("path", ["/v1/groups", "/v1/events", "/ofrep/v1/evaluate/flags", "/sign-in/"])
def test_a_bomb_is_not_unpacked_to_its_end(lane, shop, path):
    bomb = gzip.compress(b"0" * 50_000_000)
    answer = lane.client.request(
        "PUT" if path == "/v1/groups" else "POST",
        path,
        content=bomb,
        headers={"Authorization": f"Bearer {shop.secret}", "Content-Encoding": "gzip"},
    )
    assert answer.status_code == 413


def test_gzip_may_have_members_but_not_without_end(lane, shop):
    """Behind each member the rest is copied: 2.5 MB of empty ones took half a minute at sign-in."""
    headers = {"Authorization": f"Bearer {shop.secret}", "Content-Encoding": "gzip"}
    parts = [b'{"name": "click", ', b'"unit_id": "u1"', b"}"]
    several = b"".join(map(gzip.compress, parts))
    assert lane.client.post("/v1/events", content=several, headers=headers).status_code == 202
    empty = gzip.compress(b"") * 40_000
    for path in ("/v1/events", "/sign-in/"):
        answer = lane.client.post(path, content=empty, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_gzip")


def test_a_large_body_needs_a_key(lane, shop):
    items = {"items": [{"item_id": f"i{n}", "text": "x" * 3000} for n in range(500)]}
    assert lane.client.put("/v1/items", json=items).status_code == 413
    good = lane.client.put("/v1/items", json=items, headers={"X-API-Key": shop.secret})
    assert good.status_code == 200, good.text


def slow_request(lane, path: str, key: str) -> socket.socket:
    """Open a connection that promises a body and sends one byte of it."""
    host, port = lane.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 1000\r\n\r\n{{"
    connection.sendall(head.encode())
    return connection


def test_slow_bodies_hold_no_thread(lane, shop):
    slow = [slow_request(lane, "/v1/metrics", shop.secret) for _ in range(12)]
    try:
        assert lane.client.get("/sign-in/").status_code == 200
        answer = lane.client.get("/v1/surfaces", headers={"X-API-Key": shop.secret})
        assert answer.status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_readers_who_do_not_read_hold_no_thread(lane, shop):
    host, port = lane.url.removeprefix("http://").split(":")
    open_ones = []
    for _ in range(8):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host, int(port)))
        # Many pipelined requests whose answers nobody takes.
        connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        open_ones.append(connection)
    try:
        assert lane.client.get("/sign-in/").status_code == 200
    finally:
        for connection in open_ones:
            connection.close()


def test_a_body_that_does_not_end_is_given_up(lane, shop, monkeypatch):
    from bakeoff.gateway.http import bodies

    monkeypatch.setattr(bodies, "PROMPT_SECONDS", 0.1)
    monkeypatch.setattr(bodies.FAST_LANE.__class__, "deadline_seconds", 0.3, raising=False)
    connection = slow_request(lane, "/v1/events", shop.public)
    started = time.monotonic()
    with connection:
        head = connection.recv(4096).decode()
    assert time.monotonic() - started < 60
    assert head.startswith("HTTP/1.1 408")
    assert "connection: close" in head.lower()


def test_one_address_has_a_limit_of_slow_bodies(lane, shop, monkeypatch):
    from bakeoff.gateway.http import bodies

    monkeypatch.setattr(bodies, "PROMPT_SECONDS", 0.1)
    monkeypatch.setattr(bodies, "MAX_SLOW_PER_ADDRESS", 0)
    with slow_request(lane, "/v1/events", shop.public) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 429")


def test_a_body_that_came_with_its_header_is_read_without_a_deadline(lane, shop, monkeypatch):
    from bakeoff.gateway.http import bodies

    monkeypatch.setattr(bodies, "PROMPT_SECONDS", -1.0)  # over before it begins
    monkeypatch.setattr(bodies, "MAX_SLOW_PER_ADDRESS", 0)
    body = json.dumps({"name": "view", "unit_id": "u1"}).encode()
    host, port = lane.url.removeprefix("http://").split(":")
    head = (
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
        b"Content-Type: application/json\r\nX-API-Key: %s\r\n\r\n"
    ) % (len(body), shop.public.encode())
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        for _ in range(2):  # the next request of a connection is marked by its own body
            connection.sendall(head + body)
            received = b""
            while not received.endswith(b"}"):  # head and body may come apart
                received += connection.recv(4096)
            assert received.startswith(b"HTTP/1.1 202")
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 429")


def test_long_headers_are_refused(lane, shop):
    answer = lane.client.get("/v1/flags", headers={"X-API-Key": shop.public, "X-Long": "x" * 40_000})
    assert answer.status_code == 431


# Paths and methods.


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/", "/v1", "/ofrep/v1/x", "/api/x", "/v1/a/b/c/d"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_paths_of_programs_answer_json(lane, shop, path, method):
    answer = lane.client.request(method, path, headers={"X-API-Key": shop.secret})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/surfaces/"),
        ("GET", "/v1/flags/"),
        ("GET", "/v1/experiments//"),
        ("POST", "/v1/events/"),
    ],
)
def test_a_trailing_slash_is_taken_for_the_path(lane, shop, method, path):
    answer = lane.client.request(
        method, path, json={"name": "click", "unit_id": "u"} if method == "POST" else None,
        headers={"X-API-Key": shop.secret},
    )  # fmt: skip
    assert answer.status_code in {200, 202}, answer.text


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/events", "POST"),
        ("PUT", "/v1/feedback", "GET, HEAD, POST"),
        ("POST", "/v1/flags", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("POST", "/v1/surfaces", "GET, PUT"),
    ],
)
def test_another_method_is_told_which_there_are(lane, shop, method, path, allow):
    answer = lane.client.request(method, path, headers={"X-API-Key": shop.secret})
    assert answer.status_code == 405
    assert set(allow.split(", ")) <= set(answer.headers["allow"].split(", "))
    assert answer.json()["error"]["code"] == "wrong_method"


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/v1/flags",
        "/v1/surfaces",
        "/v1/openapi.json",
        "/ofrep/v1/stream",
        "/v1/feedback",
    ],
)
def test_head_is_answered_wherever_get_is(lane, shop, path):
    answer = lane.client.head(path, headers={"X-API-Key": shop.secret})
    assert answer.status_code == 200
    assert answer.content == b""


def test_streams_are_not_held_back_by_proxies(lane, shop):
    with lane.client.stream("GET", f"/ofrep/v1/stream?key={shop.public}") as answer:
        assert answer.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', 'W/"other",W/{}', "*"])
def test_an_etag_is_known_in_every_form(lane, shop, form):
    headers = {"X-API-Key": shop.public}
    body = {"context": {"targetingKey": "u1"}}
    for method, path, sent in (("GET", "/v1/flags", None), ("POST", "/ofrep/v1/evaluate/flags", body)):
        first = lane.client.request(method, path, json=sent, headers=headers)
        known = {**headers, "If-None-Match": form.format(first.headers["etag"])}
        assert lane.client.request(method, path, json=sent, headers=known).status_code == 304
        other = {**headers, "If-None-Match": '"other"'}
        assert lane.client.request(method, path, json=sent, headers=other).status_code == 200


def test_a_query_in_raw_bytes_breaks_nothing(lane):
    host, port = lane.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(
            b"GET /v1/nothing?\xff\xfe=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(200).split()[1] in {b"404", b"400"}
