"""Scripts, style sheets and pages travel compressed to who takes it, and unpack to the same bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib

import httpx
import pytest
from django.test import Client

from bakeoff.dashboard.sdk_files import integrity_of, versions
from tests.support.dashboard import make_user

NEWEST = versions()[0]
SCRIPT = f"/sdk/{NEWEST}/bakeoff.js"
GZIP = {"Accept-Encoding": "gzip, br"}
PLAIN = {"Accept-Encoding": "gzip;q=0, identity"}


def raw(lane, path, method="GET", **headers):
    """Return an answer and its bytes as they travel."""
    with httpx.stream(method, lane.url + path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    "path", ["/sdk/v1.js", SCRIPT, "/static/dashboard/page.css", "/static/django_htmx/htmx-2.min.js"]
)
def test_a_file_is_packed_for_who_takes_it(lane, path):
    packed, small = raw(lane, path, **GZIP)
    plain, whole = raw(lane, path, **PLAIN)
    assert (packed.headers["Content-Encoding"], plain.headers.get("Content-Encoding")) == ("gzip", None)
    assert gzip.decompress(small) == whole
    assert len(small) < len(whole) / 2
    for answer, body in ((packed, small), (plain, whole)):
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert int(answer.headers["Content-Length"]) == len(body)
    for name in ("Content-Type", "Cache-Control"):
        assert packed.headers[name] == plain.headers[name]
    head, nothing = raw(lane, path, "HEAD", **GZIP)
    assert (head.headers["Content-Length"], nothing) == (str(len(small)), b"")


def test_the_embed_has_the_size_and_the_hash_that_are_promised(lane):
    answer, small = raw(lane, SCRIPT, **GZIP)
    assert len(small) <= 4096
    digest = hashlib.sha384(gzip.decompress(small)).digest()
    assert integrity_of(NEWEST, "bakeoff.js") == f"sha384-{base64.b64encode(digest).decode()}"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_copy_in_the_browser_is_still_good(lane):
    path = "/static/dashboard/page.css"
    packed, _ = raw(lane, path, **GZIP)
    for etag in (packed.headers["ETag"], packed.headers["ETag"].removeprefix("W/")):
        again, nothing = raw(lane, path, **GZIP, **{"If-None-Match": etag})
        assert (again.status_code, nothing) == (304, b"")
        assert again.headers["Vary"] == "Accept-Encoding"


def test_a_part_of_a_file_and_a_picture_stay_as_they_are(lane):
    part, ten = raw(lane, "/static/dashboard/page.css", **GZIP, Range="bytes=0-9")
    assert (part.status_code, len(ten), part.headers.get("Content-Encoding")) == (206, 10, None)
    missing, _ = raw(lane, "/sdk/0.0.1/bakeoff.js", **GZIP)
    assert (missing.status_code, missing.headers.get("Content-Encoding")) == (404, None)


def test_a_page_is_packed_with_another_length_each_time_and_a_download_is_not(lane, decided):
    page = f"/experiments/{decided.project.slug}/{decided.key}/"
    client = Client()
    client.force_login(make_user(decided.project, role="viewer"))
    answers = [client.get(page, HTTP_ACCEPT_ENCODING="gzip") for _ in range(8)]
    assert {answer.headers["Content-Encoding"] for answer in answers} == {"gzip"}
    assert all("Accept-Encoding" in answer.headers["Vary"] for answer in answers)
    assert len({len(answer.content) for answer in answers}) > 1  # BREACH counts bytes
    assert b"</html>" in gzip.decompress(answers[0].content)
    assert "Content-Encoding" not in client.get(page).headers
    download = client.get(f"{page}report.csv", HTTP_ACCEPT_ENCODING="gzip")
    assert download.status_code == 200
    assert "Content-Encoding" not in download.headers
