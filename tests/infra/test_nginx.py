"""Behind nginx as people configure it: TLS, a sub-path, its default buffering, gzip."""

from __future__ import annotations

import re
import ssl
import subprocess
import threading
from datetime import UTC, datetime
from urllib.parse import urljoin

import httpx2
import pytest

from tests.support.debian_servers import free_port, nginx
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM

ADDRESS = "203.0.113.7"  # what the proxy says of every visitor


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-made certificate of localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "tls.crt", folder / "tls.key"


class Behind:
    """A platform, seen through nginx."""

    def __init__(self, platform, url, context) -> None:
        self.platform, self.url = platform, url
        self.client = httpx2.Client(verify=context, timeout=30)

    def get(self, path, **options):
        return self.client.get(self.url + path, **options)

    def post(self, path, **options):
        headers = {"Origin": re.match("https?://[^/]+", self.url)[0]} | options.pop("headers", {})
        return self.client.post(self.url + path, headers=headers, **options)


@pytest.fixture(scope="module")
def behind(tmp_path_factory, certificate):
    """Two doors to one platform: nginx that passes the sub-path on, and nginx that cuts it off.

    Its configuration is what stands in docs/settings.md, with gzip on and the rest as it is by default:
    the upstream's name as host, answers buffered.
    """
    folder = tmp_path_factory.mktemp("n")
    port = free_port()
    public = f"https://localhost:{port}/bakeoff"
    platform = PlatformUnderTest(
        folder / "home", own_disk=False, variables={"BAKEOFF_PUBLIC_URL": public}, interpreter=WARM
    )
    crt, key = certificate
    upstream = f"http://127.0.0.1:{platform.port}"
    headers_of_the_proxy = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;"
    server = nginx(
        folder,
        f"""
    gzip on;
    gzip_types text/javascript application/json;
    gzip_min_length 20;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {crt};
        ssl_certificate_key {key};
        location /bakeoff/ {{ proxy_pass {upstream}; {headers_of_the_proxy} }}
        location /cut/bakeoff/ {{ proxy_pass {upstream}/; {headers_of_the_proxy} }}
    }}""",
        port,
    )
    try:
        platform.start()
        yield Behind(platform, public, ssl.create_default_context(cafile=str(crt)))
    finally:
        platform.close()
        server.stop()


def sign_in(behind, name="admin", password="") -> httpx2.Response:
    behind.client.cookies.clear()
    page = behind.get("/sign-in/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    password = password or re.search(r"admin / (\S+)", behind.platform.output.read_text())[1]
    fields = {"csrfmiddlewaretoken": token, "username": name, "password": password}
    return behind.post("/sign-in/", data=fields)


def test_somebody_signs_in_and_every_link_stays_below_the_sub_path(behind):
    home = behind.get("/")
    assert (home.status_code, home.headers["location"]) == (302, "/bakeoff/sign-in/?next=/bakeoff/")
    answer = sign_in(behind)
    assert (answer.status_code, answer.headers["location"]) == (302, "/bakeoff/")
    cookies = [cookie.lower() for cookie in answer.headers.get_list("set-cookie")]
    assert len(cookies) == 2
    for cookie in cookies:
        assert "secure" in cookie
        assert "path=/bakeoff/" in cookie
    page = behind.get("/")
    assert page.status_code == 200
    assert int(re.match(r"max-age=(\d+)", page.headers["strict-transport-security"])[1]) > 10_000_000
    links = set(re.findall(r'(?:href|src|action|data-url)="(/[^"]*)"', page.text))
    assert links
    assert not [link for link in links if not link.startswith("/bakeoff/")]

    def visit(link: str) -> int:
        answer = behind.client.get(urljoin(behind.url, link), follow_redirects=True)
        return answer.status_code

    for link in links:
        if "sign-out" not in link and "language" not in link and "/v1/live" not in link:
            if "/help/" in link:  # it is built at the first visit
                behind.platform.until(lambda link=link: visit(link) == 200, link)
            assert visit(link) == 200, link


def test_pages_post_with_the_hosts_origin_and_with_no_other(behind):
    sign_in(behind)
    token = behind.client.cookies["csrftoken"]
    fields = {"csrfmiddlewaretoken": token, "language": "zh-hans", "next": "/bakeoff/health/"}
    answer = behind.post("/language/setlang/", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (302, "/bakeoff/health/")
    foreign = behind.post("/language/setlang/", data=fields, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    behind.client.cookies.clear()


def test_the_embed_and_the_fast_lane_answer_below_the_sub_path(behind):
    script = behind.get("/sdk/v1.js")
    assert script.status_code == 200
    assert "javascript" in script.headers["content-type"]
    event = {"name": "click", "unit_id": "u1"}
    headers = {"Authorization": f"Bearer {behind.platform.public}"}
    accepted = behind.post("/v1/events", json=event, headers=headers)
    assert (accepted.status_code, accepted.json()["accepted"]) == (202, 1)
    bulk = behind.post(
        "/ofrep/v1/evaluate/flags", json={"context": {"targetingKey": "u1"}}, headers=headers
    )
    stream = bulk.json()["eventStreams"][0]["endpoint"]["requestUri"]
    assert stream == f"/bakeoff/ofrep/v1/stream?key={behind.platform.public}"


def test_a_proxy_that_cuts_the_sub_path_off_is_as_good(behind):
    cut = Behind(behind.platform, behind.url.replace("/bakeoff", "/cut/bakeoff"), True)
    cut.client = behind.client
    assert cut.get("/healthz").status_code == 200
    assert cut.get("/").headers["location"] == "/bakeoff/sign-in/?next=/bakeoff/"


def test_rules_are_packed_and_still_not_sent_twice(behind):
    headers = {"Authorization": f"Bearer {behind.platform.public}"}
    first = behind.get("/v1/flags", headers=headers)
    assert first.headers["content-encoding"] == "gzip"
    etag = first.headers["etag"]
    assert etag.startswith("W/")  # nginx weakens what it packs
    again = behind.get("/v1/flags", headers=headers | {"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_an_event_stream_arrives_as_it_happens(behind):
    """Nginx buffers by default: an event that was held back would never arrive here."""
    platform, seen, opened = behind.platform, threading.Event(), threading.Event()

    def listen() -> None:
        path = f"/ofrep/v1/stream?key={platform.public}"
        with behind.client.stream("GET", behind.url + path, timeout=120) as stream:
            for line in stream.iter_lines():
                opened.set()
                if line.startswith("data:"):
                    seen.set()
                    return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert opened.wait(60)
    _make_flag(behind)
    assert seen.wait(60)
    thread.join(20)


def _make_flag(behind) -> None:
    """Define an experiment: its flag is new, so the project's flags have changed."""
    headers = {"Authorization": f"Bearer {behind.platform.secret}"}
    name = f"s{datetime.now(UTC):%H%M%S%f}"
    for path, method, body in (
        ("/v1/surfaces", "PUT", {"key": name, "kind": "flag"}),
        ("/v1/metrics", "POST", {"key": name, "kind": "mean", "event": "click"}),
        ("/v1/experiments", "POST", {
            "key": name, "surface": name,
            "variants": [
                {"key": "control", "weight": 0.5, "is_control": True, "value": 1},
                {"key": "treatment", "weight": 0.5, "value": 2},
            ],
            "metrics": [{"metric": name, "role": "primary"}],
        }),
    ):  # fmt: skip
        answer = behind.client.request(method, behind.url + path, json=body, headers=headers)
        assert answer.status_code in {200, 201}, answer.text


def test_the_visitors_address_is_the_one_that_the_proxy_saw(behind):
    """Ten wrong tries of one address slow down nobody behind another."""
    attacker = {"X-Forwarded-For": ADDRESS}
    behind.client.cookies.clear()
    page = behind.get("/sign-in/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    fields = {"csrfmiddlewaretoken": token, "username": "admin", "password": "wrong"}
    for _ in range(12):
        answer = behind.post("/sign-in/", data=fields, headers=attacker)
    assert "Too many" in answer.text
    assert sign_in(behind).status_code == 302
