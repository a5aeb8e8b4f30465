"""Experiments as flags by OFREP: values, errors, ETags, flags that are off or shipped."""

from __future__ import annotations

import orjson

from experiments.actions.define_experiment import (
    define_experiment,
)
from experiments.actions.stop_experiment import ship_experiment, stop_experiment
from experiments.actions.switch_experiment import switch
from inference.cache import cache_client
from inference.serving.changes import wait_until_read
from inference.serving.keys import SERVING, serving_key
from tests.support import builders
from tests.support.fast_lane import evaluate_flag

UNITS = [f"u{n}" for n in range(60)]


def variants(lane, shop, key="button", units=UNITS, **context):
    return [evaluate_flag(lane, shop, key, unit=u, context=context).json()["variant"] for u in units]


def test_a_flag_answers_the_values_of_its_variants(lane, shop, page):
    builders.experiment(shop, page, values=(1.5, {"size": 3}))
    lane.refresh()
    values = {}
    for unit in UNITS:
        body = evaluate_flag(lane, shop, unit=unit).json()
        assert body["reason"] == "SPLIT"
        values[body["variant"]] = body["value"]
    assert values == {"control": 1.5, "treatment": {"size": 3}}


def test_who_starts_a_flag_and_asks_meets_it(lane, shop, page):
    """Each change by the management API is served when its answer arrives, without a pause."""
    key = {"X-API-Key": shop.secret}
    for n in range(5):
        define_experiment(builders.draft(shop, page, f"flag-{n}", values=("off", "on")))
        answer = lane.client.post(f"/v1/experiments/flag-{n}/start", headers=key)
        assert answer.json()["confirmed"] is True, answer.text
        assert evaluate_flag(lane, shop, f"flag-{n}").json()["value"] in {"off", "on"}
        lane.client.post(f"/v1/experiments/flag-{n}/switch", json={"enabled": False}, headers=key)
        assert evaluate_flag(lane, shop, f"flag-{n}").json()["reason"] != "SPLIT"


def test_a_process_that_reads_nothing_is_said(tables):
    cache = cache_client()
    cache.sadd(SERVING, "frozen:1")
    cache.set(serving_key("frozen:1"), orjson.dumps({"changes": -1}), ex=60)
    try:
        assert "frozen:1" in wait_until_read(cache, seconds=0.2)
    finally:
        cache.delete(serving_key("frozen:1"))


def test_numbers_of_a_flag_are_of_one_kind(lane, shop, page):
    """OpenFeature's providers take 0 for an integer, and refuse it to who asks for a float."""
    builders.experiment(shop, page, "rate", values=(0, 1.5))
    builders.experiment(shop, page, "count", values=(0, 3))
    shipped = ship_experiment(
        experiment=builders.experiment(shop, page, "fee", values=(0.5, 2)),
        variant="treatment",
        by="a test",
    )
    assert shipped
    lane.refresh()
    kinds = {evaluate_flag(lane, shop, key, unit=unit).text.split('"value":')[1].split(",")[0].rstrip("}")
             for key in ("rate", "count", "fee") for unit in UNITS[:20]}  # fmt: skip
    assert kinds == {"0.0", "1.5", "0", "3", "2.0"}


def test_the_errors_are_ofreps(lane, shop, page):
    builders.experiment(shop, page)
    lane.refresh()
    missing = evaluate_flag(lane, shop, "buton")
    assert (missing.status_code, missing.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")
    nobody = lane.post("/ofrep/v1/evaluate/flags/button", {"context": {}}, shop.public)
    assert (nobody.status_code, nobody.json()["errorCode"]) == (400, "TARGETING_KEY_MISSING")
    assert nobody.json()["key"] == "button"
    for body, code in (
        (b"{", "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b'{"context": 3}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 3}}', "INVALID_CONTEXT"),
    ):
        answer = lane.client.post(
            "/ofrep/v1/evaluate/flags/button",
            content=body,
            headers={"Authorization": f"Bearer {shop.public}", "Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert lane.post("/ofrep/v1/evaluate/flags/button", {"context": {}}).status_code == 401


def test_a_killed_flag_needs_no_unit_and_gives_no_value(lane, shop, page):
    experiment = builders.experiment(shop, page)
    lane.refresh()
    before = dict(zip(UNITS, variants(lane, shop), strict=True))
    switch(experiment=experiment, enabled=False, by="a test")
    lane.refresh()
    body = lane.post("/ofrep/v1/evaluate/flags/button", {"context": {}}, shop.public).json()
    assert body["reason"] == "DISABLED"
    assert "value" not in body
    switch(experiment=experiment, enabled=True, by="a test")
    lane.refresh()
    assert dict(zip(UNITS, variants(lane, shop), strict=True)) == before


def test_all_flags_at_once_with_an_etag_of_rules_and_context(lane, shop, page):
    builders.experiment(shop, page)
    builders.experiment(shop, page, "headline", values=(True, False))
    define_experiment(builders.draft(shop, page, "later"))
    lane.refresh()

    def bulk(etag="", **context):
        headers = {"Authorization": f"Bearer {shop.public}", "If-None-Match": etag}
        body = {"context": {"targetingKey": "u1", **context}}
        return lane.client.post("/ofrep/v1/evaluate/flags", json=body, headers=headers)

    first = bulk()
    flags = {flag["key"]: flag for flag in first.json()["flags"]}
    assert set(flags) == {"button", "headline", "later"}
    assert flags["later"]["reason"] == "DISABLED"
    assert first.json()["eventStreams"][0]["endpoint"]["requestUri"].startswith(
        "/ofrep/v1/stream?key=pk_"
    )
    etag = first.headers["etag"]
    assert bulk(etag).status_code == 304
    assert bulk(etag).content == b""
    assert bulk(etag, country="DE").status_code == 200
    builders.experiment(shop, page, "third")
    lane.refresh()
    assert bulk(etag).status_code == 200
    nobody = lane.post("/ofrep/v1/evaluate/flags", {"context": {}}, shop.public).json()
    assert {flag.get("errorCode") for flag in nobody["flags"]} == {"TARGETING_KEY_MISSING", None}


def test_a_shipped_variant_stays_and_a_stopped_one_gives_the_codes_default(lane, shop, page):
    ship_experiment(experiment=builders.experiment(shop, page), variant="treatment", by="a test")
    stop_experiment(experiment=builders.experiment(shop, page, "headline"), by="a test")
    lane.refresh()
    shipped = lane.post("/ofrep/v1/evaluate/flags/button", {"context": {}}, shop.public).json()
    assert (shipped["reason"], shipped["value"]) == ("STATIC", "green")
    stopped = evaluate_flag(lane, shop, "headline").json()
    assert (stopped["reason"], stopped.get("value")) == ("DISABLED", None)
