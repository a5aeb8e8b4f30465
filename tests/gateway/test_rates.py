"""What a key, an address, a unit and a project may send."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio
from uuid_utils import uuid7

from bakeoff.environment import DEFAULT_RATES, SettingError, read_environment
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.rate_limits import ADDRESS, KEY, PROJECT, UNIT, Rates
from tests.support import builders


@pytest.fixture
def limited(lane):
    """Set rates of the running gateway for one test."""
    rates = lane.gateway._rates

    def limit(**per_minute):
        rates._per_minute = per_minute
        rates._buckets.clear()

    yield limit
    limit(**DEFAULT_RATES)


def event(unit):
    return {"name": "click", "unit_id": unit}


def post(lane, key, *units):
    return lane.post("/v1/events", {"events": [event(unit) for unit in units]}, key)


def test_a_flood_of_one_unit_is_refused_whole_with_when_to_come_back(lane, shop, limited, rows):
    limited(unit=5)
    assert post(lane, shop.public, *["u1"] * 4).status_code == 202
    answer = post(lane, shop.public, "u1", "u1", "u2")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert rows("event", shop.project) == 4
    assert post(lane, shop.public, "u2").status_code == 202  # others go on
    assert post(lane, shop.secret, *["u1"] * 9).status_code == 202  # a server speaks for many


def test_each_way_to_name_a_unit_counts(lane, shop, limited):
    limited(unit=3)
    ask = {"surface": "home-feed", "unit_id": "u1"}
    statuses = [lane.post("/v1/recommend", ask, shop.public).status_code for _ in range(5)]
    assert statuses == [200] * 3 + [429] * 2
    track = {"userId": "u1", "event": "click"}
    assert lane.post("/v1/track", track, shop.public).status_code == 429


def test_an_address_is_counted_for_public_keys_and_a_key_for_all(lane, shop, limited):
    limited(address=10)
    assert post(lane, shop.public, *[f"u{n}" for n in range(10)]).status_code == 202
    assert post(lane, shop.public, "u").status_code == 429
    assert post(lane, shop.secret, *[f"u{n}" for n in range(20)]).status_code == 202
    limited(key=10)
    assert post(lane, shop.secret, *[f"u{n}" for n in range(10)]).status_code == 202
    assert post(lane, shop.secret, "u").status_code == 429
    assert post(lane, shop.public, "u").status_code == 202


def test_all_keys_of_a_project_share_its_rate_and_other_projects_go_on(lane, shop, limited, rows):
    other = builders.make_shop()
    lane.refresh()
    limited(project=10)
    assert post(lane, shop.public, *[f"u{n}" for n in range(6)]).status_code == 202
    answer = post(lane, shop.secret, *[f"u{n}" for n in range(6)])
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert "this project sends more than 10 a minute, must wait." in answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert rows("event", shop.project) == 6
    assert post(lane, other.secret, *[f"u{n}" for n in range(9)]).status_code == 202
    limited(project=0)
    assert post(lane, shop.secret, *[f"u{n}" for n in range(20)]).status_code == 202


def test_what_one_address_floods_with_leaves_the_secret_key_its_rate(lane, shop, limited):
    limited(address=10, project=30, key=30)
    statuses = [post(lane, shop.public, f"u{n}").status_code for n in range(60)]
    assert set(statuses[:10]) == {202}
    assert statuses.count(429) >= 45  # the bucket refills meanwhile
    many = [f"u{n}" for n in range(11)]
    assert {post(lane, shop.public, *many).status_code for _ in range(30)} == {429}
    assert post(lane, shop.secret, "u1").status_code == 202
    assert post(lane, shop.secret, *[f"u{n}" for n in range(10)]).status_code == 202


def test_what_is_refused_of_one_unit_leaves_the_rates_of_others(lane, shop, limited):
    limited(unit=5, project=40, key=40, address=40)
    assert post(lane, shop.public, *["u1"] * 5).status_code == 202
    assert {post(lane, shop.public, *["u1"] * 5).status_code for _ in range(12)} == {429}
    ask = {"surface": "home-feed", "unit_id": "u1"}
    assert {lane.post("/v1/recommend", ask, shop.public).status_code for _ in range(40)} <= {200, 429}
    assert post(lane, shop.public, *[f"v{n}" for n in range(20)]).status_code == 202
    assert post(lane, shop.secret, "u").status_code == 202


def test_what_was_given_back_is_there_for_other_processes():
    async def run() -> None:
        cache = redis.asyncio.Redis.from_url(read_environment().redis_url)
        one, other = Rates({PROJECT: 100}, cache), Rates({PROJECT: 100}, cache)
        bucket = {(PROJECT, str(uuid7())): 80}
        one.take(bucket)
        await one.exchange()
        one.give_back(bucket)
        one.give_back(bucket)  # what is above a full bucket is lost
        await one.exchange()
        other.take(dict.fromkeys(bucket, 10))
        await other.exchange()
        other.take(dict.fromkeys(bucket, 85))
        with pytest.raises(ApiError):
            other.take(dict.fromkeys(bucket, 10))
        await cache.aclose()

    asyncio.run(run())


def test_a_request_that_is_larger_than_a_bucket_passes_when_it_is_full():
    rates = Rates({UNIT: 10}, redis.asyncio.Redis())
    rates.take({(UNIT, "u"): 500})
    with pytest.raises(ApiError) as refused:
        rates.take({(UNIT, "u"): 1})
    assert refused.value.retry_after > 60
    Rates({UNIT: 0}, redis.asyncio.Redis()).take({(UNIT, "u"): 10**9})  # 0 is no limit


def test_processes_share_what_they_admit():
    async def run() -> None:
        cache = redis.asyncio.Redis.from_url(read_environment().redis_url)
        one, other = Rates({KEY: 100}, cache), Rates({KEY: 100}, cache)
        name = str(uuid7())
        one.take({(KEY, name): 80})
        other.take({(KEY, name): 15})
        for rates in (one, other, one):
            await rates.exchange()
        other.take({(KEY, name): 4})
        with pytest.raises(ApiError):
            other.take({(KEY, name): 10})
        await cache.aclose()

    asyncio.run(run())


def test_without_redis_each_process_counts_by_itself():
    async def run() -> None:
        rates = Rates({ADDRESS: 100}, redis.asyncio.Redis(port=1))
        rates.take({(ADDRESS, "a"): 60})
        await rates.exchange()
        rates.take({(ADDRESS, "a"): 30})
        with pytest.raises(ApiError):
            rates.take({(ADDRESS, "a"): 30})

    asyncio.run(run())


def test_rates_are_settings(monkeypatch):
    monkeypatch.setenv("BAKEOFF_UNIT_RATE", "60")
    monkeypatch.setenv("BAKEOFF_PROJECT_RATE", "9000")
    assert read_environment().rates == {**DEFAULT_RATES, "unit": 60, "project": 9000}
    monkeypatch.setenv("BAKEOFF_UNIT_RATE", "many")
    with pytest.raises(SettingError, match="BAKEOFF_UNIT_RATE == 'many'"):
        read_environment()
