"""Two platforms with a PostgreSQL each behind one HAProxy: the key of a request says which one answers."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from uuid_utils import uuid7

from tests.support.debian_servers import Server, binary, free_port
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
GROUPS = ("one", "two")
ACCEPTED = {200, 202}  # 202: it waits for its turn in the cache


class Site:
    """Both groups and what stands before them."""

    def __init__(self, folder) -> None:
        self.groups = {
            name: PlatformUnderTest(
                folder / name, own_disk=False, interpreter=WARM, variables={"BAKEOFF_KEY_GROUP": name}
            )
            for name in GROUPS
        }
        self.port = free_port()
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        text = (ROOT / "deploy" / "haproxy" / "groups.cfg").read_text()
        text = text.replace("bind :8080", f"bind 127.0.0.1:{self.port}")
        text = text.replace("/usr/local/etc/haproxy", str(folder))
        for name, platform in self.groups.items():
            text = text.replace(f"    server {name}-2 {name}-2:8000\n", "")
            text = text.replace(f"{name}-1:8000", f"127.0.0.1:{platform.port}")
        (folder / "groups.cfg").write_text(text)
        self.map = folder / "groups.map"
        self.map.write_text((ROOT / "deploy" / "haproxy" / "groups.map").read_text())
        command = [binary("haproxy", "haproxy"), "-db", "-f", str(folder / "groups.cfg")]
        self.haproxy = Server("haproxy", command, folder, self.port)

    def start(self) -> None:
        for platform in self.groups.values():
            platform.start()
        self.haproxy.start()
        for name in GROUPS:
            self.wait_for(name, status=200)
            items = [{"item_id": f"{name}-{n}", "title": f"Item {n}"} for n in range(3)]
            self.put(name, "/v1/items", {"items": items})
            self.put(
                name, "/v1/surfaces", {"key": "feed", "static_list": [one["item_id"] for one in items]}
            )
            wait_until(lambda name=name: self.recommend(name).status_code == 200, f"{name} serves")

    def close(self) -> None:
        self.client.close()
        self.haproxy.stop()
        for platform in self.groups.values():
            platform.close()

    def put(self, name: str, path: str, body: dict) -> None:
        answer = self.client.put(path, json=body, headers={"X-API-Key": self.groups[name].secret})
        assert answer.status_code == 200, answer.text

    def recommend(self, name: str) -> httpx2.Response:
        body = {"surface": "feed", "unit_id": "u", "k": 1}
        headers = {"Authorization": f"Bearer {self.groups[name].public}"}
        return self.client.post("/v1/recommend", json=body, headers=headers)

    def wait_for(self, name: str, *, status: int) -> None:
        """Wait until the management API of a group answers so, by the common address."""
        headers = {"X-API-Key": self.groups[name].secret}
        wait_until(
            lambda: self.client.get("/v1/project", headers=headers).status_code == status,
            f"{name} answers {status}", seconds=180,
        )  # fmt: skip

    def events_of(self, name: str) -> set[str]:
        with self.groups[name].database() as connection:
            return {one for (one,) in connection.execute("SELECT event_id FROM experiments_event")}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("g"))
    try:
        site.start()
        yield site
    finally:
        site.close()


def send_event(site, key: str, way: str) -> httpx2.Response:
    """Send an event whose id is the way, with the key in that way."""
    basic = base64.b64encode(f"{key}:".encode()).decode()
    headers = {
        "bearer": {"Authorization": f"Bearer {key}"},
        "basic": {"authorization": f"Basic {basic}"},
        "header": {"x-api-key": key},
    }
    event = {"event_id": f"{way}-{key}", "unit_id": "u", "name": "click"}
    return site.client.post(
        "/v1/events", json=event, headers=headers.get(way, {}),
        params={"key": key} if way == "query" else {},
    )  # fmt: skip


def test_each_way_of_a_key_leads_to_its_group_and_to_no_other(site):
    sent = {}
    for name, platform in site.groups.items():
        assert platform.public.startswith(f"pk_{name}.")
        assert platform.secret.startswith(f"sk_{name}.")
        (item,) = site.recommend(name).json()["items"]
        assert item["item_id"] == f"{name}-0"
        ways = ("bearer", "basic", "header", "query")
        for way in ways:
            assert send_event(site, platform.public, way).status_code in ACCEPTED, way
        sent[name] = {f"{way}-{platform.public}" for way in ways}
        payload = site.client.get(f"/api/features/{platform.public}")
        assert payload.status_code == 200, payload.text
    for name in GROUPS:
        wait_until(lambda name=name: len(site.events_of(name)) >= len(sent[name]), "all are stored")
        assert site.events_of(name) == sent[name]


def test_a_key_that_is_none_is_refused_by_its_group_and_one_of_no_group_here(site):
    for key, message in (
        ("pk_one.wrong", "The key is not known."),
        ("pk_three.wrong", "The key is missing, or of no group."),
        (f"pk_two.{site.groups['one'].public.partition('.')[2]}", "The key is not known."),
        ("", "The key is missing, or of no group."),
    ):
        answer = site.client.post("/v1/recommend", headers={"X-API-Key": key}, json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no_valid_key"), key
        assert answer.json()["error"]["message"].startswith(message), key


def test_pages_go_by_their_host_and_the_script_and_preflights_to_anybody(site):
    assert site.client.get("/sign-in/").status_code == 401
    for name in GROUPS:
        page = site.client.get("/sign-in/", headers={"Host": f"{name}.bakeoff.example"})
        # Which hosts a platform has is its own setting: this one says that it has not this one.
        assert page.status_code in {200, 400}
    assert site.client.get("/sdk/v1.js").status_code == 200
    asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    assert site.client.options("/v1/recommend", headers=asks).status_code == 204


def test_a_key_from_before_the_groups_has_a_line_of_its_own(site):
    """A platform that got a name later: its first keys have none."""
    variables = {
        "BAKEOFF_HOME": str(site.groups["one"].home),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "keys", "make", "--name", "old"],
        env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    key = next(word for word in done.stdout.split() if word.startswith("pk_"))
    assert "." not in key
    assert send_event(site, key, "header").status_code == 401
    with site.map.open("a") as file:
        file.write(f"{key[:8]} one\n")
    site.haproxy.restart()
    wait_until(lambda: send_event(site, key, "header").status_code in ACCEPTED, "the key is routed")
    wait_until(lambda: f"header-{key}" in site.events_of("one"), "it is stored")


def test_a_group_that_is_down_takes_nothing_from_the_other(site):
    site.groups["two"].stop()
    site.wait_for("two", status=503)
    refused = site.recommend("two")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == "no_process"
    keys = [str(uuid7()) for _ in range(100)]
    for key in keys:
        assert site.recommend("one").status_code == 200
        event = {"event_id": key, "unit_id": "u", "name": "click"}
        headers = {"X-API-Key": site.groups["one"].public}
        assert site.client.post("/v1/events", json=event, headers=headers).status_code in ACCEPTED
    wait_until(lambda: set(keys) <= site.events_of("one"), "all are stored")
    site.groups["two"].start()
    site.wait_for("two", status=200)
    wait_until(lambda: site.recommend("two").status_code == 200, "two serves again")
    assert not set(keys) & site.events_of("two")
