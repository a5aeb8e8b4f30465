"""/metrics: what is counted, who may read it, and what a count costs."""

from __future__ import annotations

import asyncio
import threading
import timeit

import pytest
from uuid_utils import uuid7

from bakeoff.environment import SettingError, read_environment
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.request import Request
from bakeoff.gateway.metrics import count_request
from bakeoff.gateway.scrape import Scrape
from tests.support.metrics import read_samples

TOKEN = "a token of 24 characters"


class Changes:
    """How much samples grew since the block began."""

    def __init__(self, lane) -> None:
        self.lane, self.before = lane, read_samples(lane.client.get("/metrics").text)

    def __call__(self) -> dict[str, float]:
        now = read_samples(self.lane.client.get("/metrics").text)
        return {
            name: value - self.before.get(name, 0.0)
            for name, value in now.items()
            if value != self.before.get(name, 0.0) and '/metrics"' not in name
        }


def test_requests_slates_events_and_commits_are_counted(lane, shop):
    changes = Changes(lane)
    ask = {"surface": "home-feed", "unit_id": "u1"}
    for _ in range(3):
        assert lane.post("/v1/recommend", ask, shop.public).status_code == 200
    events = [{"event_id": f"e{n}", "name": "click", "unit_id": "u1"} for n in range(5)]
    assert lane.post("/v1/events", {"events": events}, shop.public).status_code == 202
    assert lane.post("/v1/recommend", ask, "pk_unknown").status_code == 401
    assert lane.post("/v1/recommend", {"surface": "home-feed"}, shop.public).status_code == 400
    grown = changes()
    slug = shop.project.slug
    assert grown['bakeoff_requests_total{route="/v1/recommend",status="200"}'] == 3
    assert grown['bakeoff_requests_total{route="/v1/recommend",status="401"}'] == 1
    assert grown['bakeoff_requests_total{route="/v1/recommend",status="400"}'] == 1
    assert grown['bakeoff_requests_total{route="/v1/events",status="202"}'] == 1
    assert grown['bakeoff_request_seconds_count{route="/v1/recommend"}'] == 5
    assert 0 < grown['bakeoff_request_seconds_sum{route="/v1/recommend"}'] < 5
    assert grown[f'bakeoff_events_total{{project="{slug}"}}'] == 5
    slates = {name: n for name, n in grown.items() if name.startswith("bakeoff_slates_total")}
    assert sum(slates.values()) == 3
    assert all(f'project="{slug}"' in name for name in slates)
    assert grown['bakeoff_durability_total{outcome="committed"}'] == 4
    assert grown["bakeoff_commit_requests_sum"] == 4
    assert grown["bakeoff_commit_seconds_count"] == grown["bakeoff_commit_bytes_count"] >= 2


def test_a_fallback_is_counted_as_what_it_is(lane, shop):
    shop.surface.versions.update(alias="retired")
    lane.refresh()
    changes = Changes(lane)
    lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u1"}, shop.public)
    series = f'bakeoff_slates_total{{fallback="no_champion",project="{shop.project.slug}"}}'
    assert changes()[series] == 1


def test_pages_and_the_api_are_counted_by_their_route_and_not_by_what_is_typed(lane, shop):
    changes = Changes(lane)
    headers = {"Authorization": f"Bearer {shop.secret}"}
    assert lane.client.get("/v1/surfaces", headers=headers).status_code == 200
    assert lane.client.get(f"/p/{shop.project.slug}/surfaces/").status_code == 302
    for n in range(3):
        assert lane.client.get(f"/v1/surely/not/{n}").status_code == 404
    grown = changes()
    assert grown['bakeoff_requests_total{route="v1/surfaces",status="200"}'] == 1
    assert grown['bakeoff_requests_total{route="p/<slug:slug>/surfaces/",status="302"}'] == 1
    assert grown['bakeoff_requests_total{route="other",status="404"}'] == 3
    assert not [name for name in grown if "surely" in name or shop.project.slug in name]


def test_rows_that_are_spilled_or_kept_nowhere_are_counted(lane, shop, outage):
    changes = Changes(lane)
    body = {"event_id": "e1", "name": "click", "unit_id": "u1"}
    outage.redis.cut()  # feedback whose slate may be spilled must wait behind it
    about = {"recommendation_id": str(uuid7()), "kind": "thumb", "value": 1, "unit_id": "u1"}
    assert outage.lane.post("/v1/feedback", about, shop.public).status_code == 503
    assert changes()['bakeoff_durability_total{outcome="unavailable"}'] == 1
    outage.redis.mend()
    outage.postgres.cut()
    assert outage.lane.post("/v1/events", body, shop.public).json()["durability"] == "spilled"
    assert changes()['bakeoff_durability_total{outcome="spilled"}'] == 1


def test_the_gauges_of_the_process_are_kept(lane, shop):
    samples = read_samples(lane.client.get("/metrics").text)
    assert samples["bakeoff_writer_waiting_requests"] == 0
    assert samples["bakeoff_writer_waiting_bytes"] == 0
    assert 0 <= samples["bakeoff_config_age_seconds"] < 60
    # This lane has no servers to ask: what they would say is not there, and that is said.
    assert samples["bakeoff_platform_metrics_up"] == 0


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"])
def test_who_comes_through_a_proxy_is_refused_without_a_token(lane, header):
    answer = lane.client.get("/metrics", headers={header: "203.0.113.7"})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "token_needed"


def test_another_method_is_refused(lane):
    assert lane.client.post("/metrics").status_code == 405


class Config:
    age_seconds = 1.0


class Writer:
    waiting = waiting_bytes = 0


def scraped(*, token="", platform=None, address="127.0.0.1", **headers):
    scrape = Scrape(Config(), Writer(), token=token, platform=platform)
    scope = {
        "client": (address, 4711) if address else None,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    try:
        return asyncio.run(scrape.answer(Request.of(scope, None, None, None)))
    finally:
        asyncio.run(scrape.stop())


@pytest.mark.parametrize("address", ["203.0.113.7", "10.0.0.5", "", "nonsense"])
def test_another_machine_is_refused_without_a_token(address):
    with pytest.raises(ApiError) as refusal:
        scraped(address=address)
    assert refusal.value.status == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_answered(address):
    assert scraped(address=address).status == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong", f"Basic {TOKEN}", "Bearer", "Bearer schlüssel"]
)
def test_with_a_token_nobody_is_answered_without_it(authorization):
    with pytest.raises(ApiError) as refusal:
        scraped(token=TOKEN, authorization=authorization)
    assert refusal.value.status == 401
    assert TOKEN not in refusal.value.message


def test_with_its_token_any_machine_is_answered():
    answer = scraped(token=TOKEN, address="203.0.113.7", authorization=f"bearer {TOKEN}")
    assert answer.status == 200
    assert answer.media_type.startswith(b"text/plain; version=0.0.4")


def test_servers_that_hang_or_fail_are_left_out(monkeypatch):
    monkeypatch.setattr("bakeoff.gateway.scrape.PLATFORM_SECONDS", 0.05)
    ends = threading.Event()
    try:
        hangs = scraped(platform=lambda: ends.wait(30) and b"late_metric 1\n")
    finally:
        ends.set()
    assert read_samples(hangs.body.decode())["bakeoff_platform_metrics_up"] == 0

    def fail() -> bytes:
        raise ValueError("no such column")

    assert read_samples(scraped(platform=fail).body.decode())["bakeoff_platform_metrics_up"] == 0
    well = read_samples(scraped(platform=lambda: b"own_metric 1\n").body.decode())
    assert (well["bakeoff_platform_metrics_up"], well["own_metric"]) == (1, 1)


def test_a_short_token_is_refused_and_not_shown(monkeypatch):
    monkeypatch.setenv("BAKEOFF_METRICS_TOKEN", "secret")
    with pytest.raises(SettingError, match="has 6 characters, must have at least 16") as refusal:
        read_environment()
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("BAKEOFF_LOG_FORMAT", "xml", r"must be one of \['text', 'json'\]"),
        ("BAKEOFF_LOG_LEVEL", "debug", "must be one of"),
        ("BAKEOFF_LOG_MEGABYTES", "-1", "must be a whole number of at least 0"),
    ],
)
def test_a_wrong_setting_of_logs_is_named(monkeypatch, name, value, rule):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=f"{name} == '{value}', {rule}"):
        read_environment()


COUNTS = """
import os, sys, timeit
from bakeoff.gateway.metrics import WRITER_WAITING, count_request
for _ in range(3):
    count_request("/v1/events", 202, 0.004)
WRITER_WAITING.set(int(sys.argv[1]))
def count(): count_request("/v1/events", 202, 0.004)
print(os.getpid(), min(timeit.repeat(count, number=100, repeat=20)) / 100)
"""
READS = "from bakeoff.gateway.scrape import read_registry; print(read_registry().decode())"
COUNTED = 'bakeoff_requests_total{route="/v1/events",status="202"}'


def test_one_process_answers_for_all_and_those_that_ended_lose_their_gauges(tmp_path, run_python):
    """What a count costs in a folder, too: a request takes 300 µs and more of a core."""
    folder = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    costs = []
    for waiting in ("7", "9"):
        _, cost = run_python(COUNTS.replace("sys.argv[1]", waiting), **folder).split()
        costs.append(float(cost))
    assert len(list(tmp_path.glob("gauge_livemax_*.db"))) == 2
    samples = read_samples(run_python(READS, **folder))
    assert samples[COUNTED] == 2 * (3 + 2000)
    assert samples['bakeoff_request_seconds_count{route="/v1/events"}'] == samples[COUNTED]
    # Both have ended, and their gauges are gone; there is that of who reads alone.
    assert samples["bakeoff_writer_waiting_requests"] == 0
    assert len(list(tmp_path.glob("gauge_livemax_*.db"))) == 1
    assert min(costs) < 60e-6


def test_a_count_in_memory_costs_microseconds():
    """The bound leaves room for a busy machine."""
    count_request("/v1/events", 202, 0.004)
    runs = timeit.repeat(lambda: count_request("/v1/events", 202, 0.004), number=100, repeat=50)
    assert min(runs) / 100 < 30e-6
