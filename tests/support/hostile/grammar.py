"""What a stranger may send: well-formed requests with one or more things wrong, at every level.

A case is bytes for a socket, in parts with pauses between them, and the ids of what it would have stored.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

ID = "hostile-{number}-{row}"
UNIT = "hostile-{number}"


class Raw:
    """JSON text that no writer would write."""

    def __init__(self, text: bytes, about: str) -> None:
        self.text, self.about = text, about

    def __repr__(self) -> str:
        return f"Raw({self.about})"


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        method: of HTTP, or no such.
        path: with its query, as bytes on the wire.
        key: public, secret, wrong or none.
        entries: rows of a batch, or the one body; None where the body is `blob`.
        rows_name: of the batch's list; empty for a single body.
        blob: bytes in place of JSON.
        headers: beside the usual.
        packing: plain, gzip, or a way to get gzip wrong.
        delivery: whole, chunked, dripping, half, or with a length that is wrong.
        cut: where parts are cut.
    """

    method: str
    path: str
    key: str
    entries: list[Any] | None
    rows_name: str
    blob: bytes
    headers: tuple[tuple[str, str], ...]
    packing: str
    delivery: str
    cut: int


def write(value: Any) -> bytes:
    """Write JSON, with whatever is raw in it."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        inside = (json.dumps(key).encode() + b":" + write(entry) for key, entry in value.items())
        return b"{" + b",".join(inside) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(write(entry) for entry in value) + b"]"
    return json.dumps(value).encode()


def _nested(opening: bytes, closing: bytes, depth: int) -> Raw:
    return Raw(opening * depth + b"1" + closing * depth, f"{opening!r} x {depth}")


RAW = [
    Raw(b"NaN", "NaN"), Raw(b"-Infinity", "-Infinity"), Raw(b"1e400", "1e400"), Raw(b"-1e400", "-1e400"),
    Raw(b"9" * 5000, "5,000 digits"), Raw(b"1." + b"0" * 5000 + b"e-400", "a long fraction"),
    Raw(b'"cut \\ud83d"', "half an emoji"), Raw(b'"\\ude00"', "the other half"),
    Raw(b'"a\\u0000b"', "NUL"), Raw(b'"\xff\xfe"', "no UTF-8"), Raw(b'"\xed\xa0\x80"', "an encoded surrogate"),
    Raw(b'{"a":1,"a":2}', "a key twice"), Raw(b'{"\\ud800":1}', "half a key"), Raw(b'{"\\u0000":1}', "NUL key"),
    Raw(b"tru", "half a word"), Raw(b"[1,]", "a comma too many"), Raw(b'"open', "an open text"),
    Raw(b'"\\x41"', "an escape that is none"),
    *(_nested(b"[", b"]", depth) for depth in (31, 33, 200, 253, 254, 255, 1023, 1025, 20_000)),
    *(_nested(b'{"a":', b"}", depth) for depth in (31, 33, 253, 1023, 1025, 5000)),
]  # fmt: skip
PLAIN = [
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**30, -0.0, 0.1, 1e15, 1.1e15, 1e308, 5e-324, "", " ",
    "a" * 201, "x" * 40_000, "界" * 5000, "\u202e", "\u0007", "'; DROP TABLE x; --", "{{7*7}}", "%00", "../../x",
    "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01", "20261101", "soon", "$19.99", "dark",
    [], {}, [[]], [1, 2, 3], ["a"] * 1500, [None], {"a": {"b": [1, {"c": None}]}}, {"": ""},
]  # fmt: skip
hostile = st.sampled_from(RAW) | st.sampled_from(PLAIN)
any_value = st.recursive(
    hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip

# Each route's fields with values that pass; ids are filled in when the case is sent.
EVENT = {"event_id": ID, "name": "click", "unit_id": UNIT, "item_id": "i1", "value": 1.5,
         "occurred_at": None, "properties": {"page": "home"}, "recommendation_id": None}  # fmt: skip
TRACK = {"messageId": ID, "type": "track", "event": "click", "userId": UNIT, "properties": {"value": 2},
         "originalTimestamp": None, "context": {}, "anonymousId": None}  # fmt: skip
ASK = {"surface": "feed", "unit_id": UNIT, "k": 3, "context": {"country": "DE"}, "candidates": None,
       "exclude": ["i2"], "consent": None, "overrides": None, "force": None, "anonymous_id": None}  # fmt: skip
FEEDBACK = {"feedback_id": ID, "recommendation_id": "0199a1b2-0000-7000-8000-000000000000", "unit_id": UNIT,
        "kind": "thumb", "value": 1, "item_id": None, "withdrawn": None}  # fmt: skip
FLAG = {"context": {"targetingKey": UNIT, "country": "DE"}}
GROUP = {"key": "hostile", "attribute": "country", "values": ["DE"], "condition": {}}
METRIC = {"key": "hostile", "kind": "mean", "event": "click", "value": "sum", "window_seconds": 3600,
          "delay_seconds": 0, "cap": None, "filters": [], "steps": [], "lookback_seconds": None}  # fmt: skip
ITEMS = {"items": [{"item_id": "hostile", "title": "t", "text": "x", "properties": {}, "vector": None}]}
EXPERIMENT = {"key": "hostile", "surface": "feed", "variants": [], "metrics": [], "policy": {}, "condition": {},
              "segments": [], "forced_units": {}, "ramp": [], "slot": [0, 1]}  # fmt: skip
SURFACE = {
    "key": "hostile",
    "static_list": ["i1"],
    "policy": {},
    "exploration": 0.1,
    "liked_events": [],
}
UNITS = {"unit_ids": ["hostile"]}

# Method, path, fields, name of the batch's list.
ROUTES = [
    *[("POST", "/v1/events", EVENT, "events")] * 6,
    *[("POST", "/v1/events", EVENT, "")] * 4,
    *[("POST", "/v1/batch", TRACK, "batch")] * 4,
    ("POST", "/v1/track", TRACK, ""), ("POST", "/v1/identify", TRACK, ""), ("POST", "/v1/alias", TRACK, ""),
    *[("POST", "/v1/recommend", ASK, "")] * 3,
    ("POST", "/v1/compare", ASK, ""), ("POST", "/v1/classify", {**ASK, "text": "hello"}, ""),
    *[("POST", "/v1/feedback", FEEDBACK, "")] * 2,
    ("POST", "/ofrep/v1/evaluate/flags", FLAG, ""), ("POST", "/ofrep/v1/evaluate/flags/f", FLAG, ""),
    ("PUT", "/v1/groups", GROUP, ""), ("POST", "/v1/metrics", METRIC, ""), ("PUT", "/v1/items", ITEMS, ""),
    ("POST", "/v1/experiments", EXPERIMENT, ""), ("PUT", "/v1/surfaces", SURFACE, ""),
    ("POST", "/v1/units/exclude", UNITS, ""), ("POST", "/v1/units/assignments", {"unit_id": "x", "context": {}}, ""),
    ("PATCH", "/v1/project", {"timezone": "UTC", "retention_days": 100}, ""),
    ("GET", "/v1/feedback?before=1&limit=2", {}, ""), ("GET", "/v1/flags", {}, ""), ("GET", "/v1/surfaces", {}, ""),
    ("POST", "/sign-in/", {"username": "a", "password": "b"}, ""),
]  # fmt: skip
METHODS = ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "PROPFIND", "CONNECT"]
SUFFIXES = ["/", "//", "%00", "%ff", "/%2e%2e/", "?key=%ff&key=a", "?limit=9999999999999999999", "?before=-1", ";x",
            "/" + "x" * 3000]  # fmt: skip
HEADERS = [
    ("Content-Type", "text/html"), ("Content-Type", "application/json; charset=utf-16"), ("Content-Type", ""),
    ("X-Long", "x" * 40_000), ("X-Many", "1"), ("If-None-Match", 'W/"x", "' + "y" * 500 + '"'),
    ("Origin", "https://elsewhere.example"), ("User-Agent", "Googlebot/2.1"), ("Expect", "100-continue"),
    ("Content-Encoding", "br"), ("Content-Encoding", "gzip, gzip"), ("Cookie", "sessionid=\xff\xfe; csrftoken=x"),
    ("Host", "elsewhere.example"), ("X-Forwarded-For", "1.2.3.4, \x7f"), ("Authorization", "Basic !!!"),
    ("Range", "bytes=0-1"), ("Upgrade", "websocket"),
]  # fmt: skip
PACKINGS = ["plain"] * 6 + ["gzip", "gzip", "cut gzip", "no gzip", "bomb"]
DELIVERIES = ["whole"] * 5 + ["chunked", "chunked", "dripping", "half", "longer", "bad chunks"]


@st.composite
def cases(draw) -> Case:
    """One request, with something wrong somewhere."""
    method, path, fields, rows_name = draw(st.sampled_from(ROUTES))
    if draw(st.integers(0, 9)) == 0:
        method = draw(st.sampled_from(METHODS))
    if draw(st.integers(0, 9)) == 0:
        path += draw(st.sampled_from(SUFFIXES))
    count = draw(st.integers(1, 6)) if rows_name else 1
    blob = b""
    entries = [draw(_mutated(fields)) for _ in range(count)]
    if draw(st.integers(0, 14)) == 0:
        entries, blob = None, draw(st.binary(max_size=200) | st.sampled_from([r.text for r in RAW]))
    return Case(
        method=method,
        path=path,
        key=draw(st.sampled_from(["secret"] * 5 + ["public"] * 4 + ["wrong", "none"])),
        entries=entries,
        rows_name=rows_name,
        blob=blob,
        headers=tuple(draw(st.lists(st.sampled_from(HEADERS), max_size=2)))
        if draw(st.booleans())
        else (),
        packing=draw(st.sampled_from(PACKINGS)),
        delivery=draw(st.sampled_from(DELIVERIES)),
        cut=draw(st.integers(1, 40)),
    )


@st.composite
def _mutated(draw, fields: dict[str, Any]) -> Any:
    """A body of a route of which at most three fields are something else, or missing."""
    if draw(st.integers(0, 19)) == 0:
        return draw(any_value)
    body = {name: value for name, value in fields.items() if value is not None}
    for name in draw(st.lists(st.sampled_from([*fields, "extra"]), max_size=3)):
        if name in body and draw(st.integers(0, 4)) == 0:
            del body[name]
        else:
            body[name] = draw(any_value)
    return body


def plain_case(
    method: str,
    path: str,
    fields: dict[str, Any],
    rows_name: str = "",
    *,
    key: str = "secret",
    blob: bytes = b"",
) -> Case:
    """One request with nothing wrong but what is named here; `blob` replaces the body."""
    entries = None if blob else [{name: value for name, value in fields.items() if value is not None}]
    return Case(method, path, key, entries, rows_name, blob, (), "plain", "whole", 1)


# One of each answer, whatever the random cases draw.
ANSWERED = [
    (200, plain_case("POST", "/v1/recommend", ASK)),
    (202, plain_case("POST", "/v1/events", EVENT, "events")),
    (400, plain_case("POST", "/v1/events", {}, blob=b"{")),
    (401, plain_case("POST", "/v1/events", EVENT, "events", key="wrong")),
    (404, plain_case("GET", "/v1/nothing", {})),
    (405, plain_case("DELETE", "/v1/recommend", {})),
]


def body_of(case: Case, number: int) -> bytes:
    """The body's bytes, before packing, with the case's own ids in it."""
    if case.entries is None:
        return case.blob
    rows = [_named(entry, number, row) for row, entry in enumerate(case.entries)]
    return write({case.rows_name: rows} if case.rows_name else rows[0])


def _named(value: Any, number: int, row: int) -> Any:
    if isinstance(value, str) and value in {ID, UNIT}:
        return value.format(number=number, row=row)
    if isinstance(value, dict):
        return {key: _named(entry, number, row) for key, entry in value.items()}
    return value


def packed(case: Case, raw: bytes) -> bytes:
    """The body as it travels."""
    if case.packing == "gzip":
        return gzip.compress(raw)
    if case.packing == "cut gzip":
        return gzip.compress(raw)[: -case.cut]
    if case.packing == "bomb":
        return gzip.compress(b" " * 20_000_000 + raw)
    return raw


def wire_of(case: Case, number: int, keys: dict[str, str]) -> list[bytes]:
    """The request as parts for a socket; the connection is closed after the last if it is `half`."""
    body = packed(case, body_of(case, number))
    present = {name.lower() for name, _ in case.headers}
    headers = [f"{name}: {value}" for name, value in case.headers]
    if "host" not in present:
        headers.append("Host: localhost")
    if case.key in keys and "authorization" not in present:
        headers.append(f"Authorization: Bearer {keys[case.key]}")
    if case.packing != "plain":
        headers.append("Content-Encoding: gzip")
    if case.delivery in {"chunked", "bad chunks"}:
        headers.append("Transfer-Encoding: chunked")
    else:
        headers.append(f"Content-Length: {len(body) + (100 if case.delivery == 'longer' else 0)}")
    head = "\r\n".join([f"{case.method} {case.path} HTTP/1.1", *headers, "Connection: close", "", ""])
    return [head.encode("latin-1"), *_parts(case, body)]


def _parts(case: Case, body: bytes) -> list[bytes]:
    step = max(len(body) // case.cut, 1)
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    if case.delivery == "chunked":
        return [*(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]
    if case.delivery == "bad chunks":
        return [b"%x\r\n%s" % (len(pieces[0]) + 3 if pieces else 5, b"".join(pieces)), b"zz\r\n\r\n"]
    if case.delivery == "half":
        return [body[: len(body) // 2]]
    return pieces if case.delivery == "dripping" else [body]
