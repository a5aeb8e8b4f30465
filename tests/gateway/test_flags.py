"""Experiments as flags: OFREP, GrowthBook's payload, rules for our clients; layers, links, kept variants."""

from __future__ import annotations

import time
from datetime import timedelta

import orjson
import pytest
from django.conf import settings
from django.utils import timezone

from experiments.actions.change_shares import (
    Change,
    WouldReshuffleError,
    change_shares,
)
from experiments.actions.define_experiment import (
    CannotDefineError,
    define_experiment,
)
from experiments.actions.explain_assignment import assignments_of
from experiments.actions.start_experiment import CannotStartError
from experiments.actions.step_ramp import step_ramp
from experiments.actions.stop_experiment import ship_experiment, stop_experiment
from experiments.actions.switch_experiment import switch
from experiments.assignment.qa_links import QaLink, write_link
from experiments.models import Exposure, Holdout, Layer, SavedGroup, Slate, Unit
from inference.cache import cache_client
from inference.serving.changes import wait_until_read
from inference.serving.keys import SERVING, serving_key
from tests.support import builders

UNITS = [f"u{n}" for n in range(60)]


def ask(lane, shop, key="button", *, context=None, unit="u1"):
    body = {"context": {"targetingKey": unit, **(context or {})}}
    return lane.post(f"/ofrep/v1/evaluate/flags/{key}", body, shop.public)


def variants(lane, shop, key="button", units=UNITS, **context):
    return [ask(lane, shop, key, unit=u, context=context).json()["variant"] for u in units]


def test_a_flag_answers_the_values_of_its_variants(lane, shop, page):
    builders.experiment(shop, page, values=(1.5, {"size": 3}))
    lane.refresh()
    values = {}
    for unit in UNITS:
        body = ask(lane, shop, unit=unit).json()
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
        assert ask(lane, shop, f"flag-{n}").json()["value"] in {"off", "on"}
        lane.client.post(f"/v1/experiments/flag-{n}/switch", json={"enabled": False}, headers=key)
        assert ask(lane, shop, f"flag-{n}").json()["reason"] != "SPLIT"


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
    kinds = {ask(lane, shop, key, unit=unit).text.split('"value":')[1].split(",")[0].rstrip("}")
             for key in ("rate", "count", "fee") for unit in UNITS[:20]}  # fmt: skip
    assert kinds == {"0.0", "1.5", "0", "3", "2.0"}


def test_the_errors_are_ofreps(lane, shop, page):
    builders.experiment(shop, page)
    lane.refresh()
    missing = ask(lane, shop, "buton")
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
    stopped = ask(lane, shop, "headline").json()
    assert (stopped["reason"], stopped.get("value")) == ("DISABLED", None)


def test_targeting_reads_context_stored_attributes_and_groups(lane, shop, page):
    SavedGroup.objects.create(project=shop.project, key="staff", attribute="id", values=["u3"])
    condition = {"country": "DE", "unit.plan": "pro", "$not": {"$savedGroup": {"id": "staff"}}}
    builders.experiment(shop, page, condition=condition)
    for unit in ("u1", "u3"):
        Unit.objects.create(project=shop.project, unit_id=unit, attributes={"plan": "pro"})
    lane.refresh()
    assert ask(lane, shop, context={"country": "DE"}).json()["reason"] == "SPLIT"
    assert ask(lane, shop, context={"country": "FR"}).json()["reason"] == "UNKNOWN"
    assert ask(lane, shop, unit="u2", context={"country": "DE"}).json()["reason"] == "UNKNOWN"
    assert ask(lane, shop, unit="u3", context={"country": "DE"}).json()["reason"] == "UNKNOWN"


def test_layers_of_one_surface_and_their_refusals(lane, shop):
    layer = Layer.objects.create(project=shop.project, key="home")
    first = builders.experiment(shop, shop.surface, "first", layer=layer, slot=(0.0, 0.5))
    with pytest.raises(
        CannotStartError, match=r"slot == \[0.4, 1\) of layer 'home' overlaps \[0, 0.5\) of 'first'"
    ):
        builders.experiment(shop, shop.surface, "second", layer=layer, slot=(0.4, 1.0))
    with pytest.raises(CannotStartError, match="has a running experiment, 'first': one at a time"):
        builders.experiment(shop, shop.surface, "third")
    with pytest.raises(CannotDefineError, match="must be of a layer"):
        define_experiment(builders.draft(shop, shop.surface, "fourth", slot=(0.0, 0.5)))
    second = builders.experiment(shop, shop.surface, "fifth", layer=layer, slot=(0.5, 1.0))
    lane.refresh()
    entered = set()
    for unit in UNITS:
        answer = lane.post(
            "/v1/recommend", {"surface": "home-feed", "unit_id": unit}, shop.public
        ).json()
        entered.add(answer["experiment"])
    assert entered == {"first", "fifth"}
    both = [
        set(Exposure.objects.filter(experiment=e).values_list("unit_id", flat=True))
        for e in (first, second)
    ]
    assert not both[0] & both[1]
    assert both[0] | both[1] == set(UNITS)


def test_a_holdout_is_served_the_champion(lane, shop):
    Holdout.objects.create(project=shop.project, share=0.5)
    experiment = builders.experiment(shop, shop.surface, "trial")
    lane.refresh()
    for unit in UNITS:
        lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": unit}, shop.public)
    inside = Exposure.objects.filter(experiment=experiment).count()
    assert 15 < inside < 45
    assert Slate.objects.filter(surface=shop.surface, model_version=shop.champion).count() > 60 - inside


def test_prerequisites_and_their_cycles(lane, shop, page):
    builders.experiment(shop, page, "parent")
    builders.experiment(
        shop, page, "child", prerequisites=[{"experiment": "parent", "variants": ["treatment"]}]
    )
    lane.refresh()
    for unit in UNITS[:30]:
        parent, child = (
            ask(lane, shop, key, unit=unit).json()["variant"] for key in ("parent", "child")
        )
        assert bool(child) == (parent == "treatment")
    wrong = [
        ([{"experiment": "nobody", "variants": ["a"]}], "must be another experiment"),
        ([{"experiment": "parent", "variants": ["x"]}], "must be one or more of"),
        ([{"experiment": "self", "variants": ["control"]}], "must be another experiment"),
    ]
    for prerequisites, message in wrong:
        with pytest.raises(CannotDefineError, match=message):
            define_experiment(builders.draft(shop, page, "self", prerequisites=prerequisites))
    define_experiment(builders.draft(shop, page, "a"))
    b = define_experiment(
        builders.draft(shop, page, "b", prerequisites=[{"experiment": "a", "variants": ["control"]}])
    )
    b.project.experiments.filter(key="a").update(
        prerequisites=[{"experiment": "c", "variants": ["control"]}]
    )
    with pytest.raises(CannotDefineError, match="wait for each other: c → b → a → c"):
        define_experiment(
            builders.draft(
                shop, page, "c", prerequisites=[{"experiment": "b", "variants": ["control"]}]
            )
        )
    with pytest.raises(CannotDefineError, match="must be growthbook_v2 too"):
        define_experiment(
            builders.draft(
                shop,
                page,
                "d",
                hashing="growthbook_v2",
                prerequisites=[{"experiment": "parent", "variants": ["control"]}],
            )
        )


def test_forced_by_list_by_link_and_by_secret_key_never_counts(lane, shop):
    experiment = builders.experiment(
        shop, shop.surface, "trial", forced_units={"qa": "treatment"}, weights=(1.0, 0.0)
    )
    lane.refresh()
    token = write_link(
        settings.SECRET_KEY, QaLink(shop.project.pk, "trial", "treatment", int(time.time()) + 60)
    )
    asks = [
        ({"unit_id": "qa"}, shop.public),
        ({"unit_id": "u1", "force": token}, shop.public),
        ({"unit_id": "u2", "overrides": {"trial": "treatment"}}, shop.secret),
    ]
    for more, key in asks:
        answer = lane.post("/v1/recommend", {"surface": "home-feed", **more}, key).json()
        assert (answer["variant"], answer["reason"]) == ("treatment", "STATIC")
    assert not Exposure.objects.filter(experiment=experiment).exists()
    assert Slate.objects.filter(experiment=experiment, forced=True).count() == 3


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (
            lambda p: write_link("another secret", QaLink(p, "trial", "treatment", 2**40)),
            "was not made here",
        ),
        (
            lambda p: write_link(settings.SECRET_KEY, QaLink(p + 1, "trial", "treatment", 2**40)),
            "another project",
        ),
        (lambda p: write_link(settings.SECRET_KEY, QaLink(p, "trial", "treatment", 1)), "has expired"),
        (lambda _: "%%%", "was not made here"),
        (lambda _: "abc", "the link"),
    ],
)
def test_links_that_do_not_hold_are_refused(lane, shop, link, message):
    builders.experiment(shop, shop.surface, "trial")
    lane.refresh()
    body = {"surface": "home-feed", "unit_id": "u1", "force": link(shop.project.pk)}
    answer = lane.post("/v1/recommend", body, shop.public)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert not Slate.objects.filter(surface=shop.surface).exists()


def test_a_ramp_adds_units_and_a_cut_is_refused(lane, shop):
    experiment = builders.experiment(shop, shop.surface, "trial", allocation=0.3)
    with pytest.raises(WouldReshuffleError, match="units that are in would leave"):
        change_shares(experiment=experiment, change=Change(allocation=0.2), by="a test")
    with pytest.raises(WouldReshuffleError, match=r"would move 40\.0% of the units"):
        change_shares(
            experiment=experiment,
            change=Change(weights={"control": 0.9, "treatment": 0.1}),
            by="a test",
        )
    lane.refresh()
    ask_all = lambda: {  # noqa: E731
        unit: lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": unit}, shop.public).json()[
            "variant"
        ]
        for unit in UNITS
    }
    before = ask_all()
    epoch = change_shares(experiment=experiment, change=Change(allocation=1.0), by="a test")
    lane.refresh()
    after = ask_all()
    assert epoch.number == 2
    assert all(after[unit] == variant for unit, variant in before.items() if variant)
    assert None in before.values()
    assert None not in after.values()
    assert set(Exposure.objects.filter(experiment=experiment).values_list("epoch", flat=True)) == {1, 2}


def test_steps_of_a_ramp_come_in_time_and_harm_holds_them(shop):
    ramp = [{"after_seconds": 60, "allocation": 0.2}, {"after_seconds": 120, "allocation": 1.0}]
    experiment = builders.experiment(shop, shop.surface, "trial", allocation=0.05, ramp=ramp)
    assert step_ramp(experiment) is None
    experiment.started_at = timezone.now() - timedelta(seconds=70)
    assert step_ramp(experiment).allocation == 0.2
    experiment.refresh_from_db()
    experiment.started_at = timezone.now() - timedelta(seconds=130)
    look = experiment.looks.create(
        number=1,
        taken_at=timezone.now(),
        batch=1,
        information=0.1,
        inputs={},
        result={"comparisons": [], "variant": None, "sample_ratio": None},
        action="halt",
        reason="sick",
    )
    assert step_ramp(experiment) is None
    look.action = "keep_running"
    look.save()
    assert step_ramp(experiment).allocation == 1.0
    experiment.refresh_from_db()
    assert step_ramp(experiment) is None
    for wrong in (
        [{"after_seconds": 5, "allocation": 0.01}],
        [{"after_seconds": 0, "allocation": 0.5}],
    ):
        with pytest.raises(CannotDefineError, match="must be above"):
            define_experiment(builders.draft(shop, shop.surface, "other", allocation=0.05, ramp=wrong))


def test_a_sticky_experiment_keeps_what_units_met(lane, shop):
    experiment = builders.experiment(shop, shop.surface, "trial", sticky=True)
    lane.refresh()

    def ask_all(units=UNITS):
        answers = {}
        for unit in units:
            body = {"surface": "home-feed", "unit_id": unit}
            answers[unit] = lane.post("/v1/recommend", body, shop.public).json()["variant"]
        return answers

    before = ask_all()
    # A sticky experiment may be re-weighted: nobody who met it moves.
    change_shares(
        experiment=experiment, change=Change(weights={"control": 1.0, "treatment": 0.0}), by="a test"
    )
    lane.refresh()
    assert ask_all() == before
    assert set(ask_all([f"new{n}" for n in range(20)]).values()) == {"control"}
    change_shares(experiment=experiment, change=Change(forget_kept=True), by="a test")
    lane.refresh()
    assert set(ask_all().values()) == {"control"}
    change_shares(experiment=experiment, change=Change(block_earlier=True), by="a test")
    lane.refresh()
    assert set(ask_all().values()) == {None}
    assert set(ask_all(["late1", "late2"]).values()) == {"control"}


def test_what_was_forgotten_is_kept_anew_from_the_next_meeting_on(lane, shop):
    experiment = builders.experiment(shop, shop.surface, "trial", sticky=True)
    lane.refresh()

    def ask_all():
        bodies = [{"surface": "home-feed", "unit_id": unit} for unit in UNITS]
        return [lane.post("/v1/recommend", body, shop.public).json()["variant"] for body in bodies]

    def change(**fields):
        change_shares(experiment=experiment, change=Change(**fields), by="a test")
        lane.refresh()

    before = ask_all()
    assert set(before) == {"control", "treatment"}
    change(forget_kept=True)
    # The hash deals most of them the same variant again: they meet it anew, in the new epoch.
    assert ask_all() == before
    explained = assignments_of(shop.project.pk, UNITS[0])[0]
    assert [(s.name, s.passed) for s in explained.steps if s.name == "kept"] == [("kept", True)]
    change(weights={"control": 1.0, "treatment": 0.0})
    assert ask_all() == before
    rows = {u: assignments_of(shop.project.pk, u)[0].variant for u in UNITS[:5]}
    assert list(rows.values()) == before[:5]
    change(block_earlier=True)
    assert set(ask_all()) == {None}
    explained = assignments_of(shop.project.pk, UNITS[0])[0]
    assert explained.variant is None
    assert next(s.name for s in explained.steps if not s.passed) == "blocked"


def test_a_unit_is_told_what_it_is_in_and_why(lane, shop, page):
    layer = Layer.objects.create(project=shop.project, key="home")
    builders.experiment(shop, page, condition={"country": "DE"})
    builders.experiment(shop, shop.surface, "trial", layer=layer, slot=(0.0, 0.001))
    Holdout.objects.create(project=shop.project, share=0.0)
    rows = {row.experiment: row for row in assignments_of(shop.project.pk, "u1", {"country": "FR"})}
    assert rows["button"].variant is None
    assert [step.name for step in rows["button"].steps if not step.passed] == ["targeting"]
    assert [step.name for step in rows["trial"].steps if not step.passed] == ["layer home"]
    lane.refresh()
    answer = lane.post(
        "/v1/units/assignments", {"unit_id": "u1", "context": {"country": "DE"}}, shop.secret
    ).json()
    assert {row["experiment"]: row["variant"] for row in answer}["button"] in {"control", "treatment"}


def test_conditions_are_refused_when_saved(lane, shop, page):
    with pytest.raises(CannotDefineError, match="operator '\\$gr' is unknown"):
        define_experiment(builders.draft(shop, page, condition={"age": {"$gr": 3}}))
    answer = lane.client.put(
        "/v1/groups",
        json={"key": "loop", "condition": {"$savedGroup": {"id": "loop"}}},
        headers={"Authorization": f"Bearer {shop.secret}"},
    )
    assert answer.status_code == 422
    assert "contains itself" in answer.json()["error"]["message"]


def test_streams_say_when_flags_change(lane, shop, page):
    headers = {"Authorization": f"Bearer {shop.public}"}
    with (
        lane.client.stream("GET", "/ofrep/v1/stream", headers=headers) as refetches,
        lane.client.stream("GET", f"/sub/{shop.public}") as payloads,
    ):
        lines, sent = refetches.iter_lines(), payloads.iter_lines()
        assert next(lines) == ": hello"
        builders.experiment(shop, page, hashing="growthbook_v2")
        lane.refresh()
        assert any("refetchEvaluation" in next(lines) for _ in range(6))
        # As many reloads as it takes until the experiment runs: each sends a payload, or a heartbeat.
        data = [""]
        while '"button"' not in data[-1]:
            data.append(next(line for line in sent if line.startswith("data: ")))
    assert len(data) == 3  # nothing, the payload without the flag, and the one with it


def test_the_payload_holds_what_growthbooks_clients_can_follow(lane, shop, page):
    builders.experiment(shop, page)
    builders.experiment(shop, page, "theirs", hashing="growthbook_v2")
    ship_experiment(
        experiment=builders.experiment(shop, page, "done"), variant="treatment", by="a test"
    )
    lane.refresh()
    answer = lane.client.get(f"/api/features/{shop.public}")
    assert answer.headers["x-sse-support"] == "enabled"
    features = answer.json()["features"]
    assert set(features) == {"theirs", "done"}
    assert features["done"]["rules"] == [{"force": "green"}]
    assert lane.client.get("/api/features/pk_nobody").status_code == 401
    assert lane.client.get(f"/api/features/{shop.secret}").status_code == 401


def test_no_public_payload_names_people(lane, shop, page):
    values = ["ann-0042", "ben-0043"]
    SavedGroup.objects.create(project=shop.project, key="staff", attribute="id", values=values)
    theirs = {"hashing": "growthbook_v2"}
    salts = [
        builders.experiment(shop, page, "forced", forced_units={"qa-0041": "treatment"}, **theirs).salt,
        builders.experiment(
            shop, page, "grouped", condition={"$savedGroup": {"id": "staff"}}, **theirs
        ).salt,
        builders.experiment(
            shop, page, "listed", condition={"email": {"$in": ["eve@example.com"]}}
        ).salt,
    ]
    builders.experiment(
        shop, page, "child", prerequisites=[{"experiment": "forced", "variants": ["treatment"]}]
    )
    builders.experiment(shop, page, "plain", **theirs)
    targeted = builders.experiment(
        shop, page, "targeted", condition={"country": "DE"}
    )  # beside a group, not with it
    lane.refresh()

    def read(path, key=shop.public):
        headers = {"Authorization": f"Bearer {key}"}
        return lane.client.get(path, headers=headers)

    secrets = [*values, "qa-0041", "eve@example.com", "staff", *salts]
    for answer in (read("/v1/flags"), read(f"/api/features/{shop.public}")):
        assert answer.status_code == 200
        assert not [secret for secret in secrets if secret in answer.text]
    rules = {rule["key"]: rule for rule in read("/v1/flags").json()["running"]}
    assert [key for key, rule in rules.items() if rule == {"key": key, "remote": True}] == [
        "forced", "grouped", "listed", "child",
    ]  # fmt: skip
    assert rules["targeted"]["salt"] == targeted.salt
    features = read(f"/api/features/{shop.public}").json()["features"]
    assert features["forced"] == {"defaultValue": None}
    assert features["plain"]["rules"]
    whole = read("/v1/flags", shop.secret)
    assert all(secret in whole.text for secret in secrets)
    assert whole.headers["etag"] != read("/v1/flags").headers["etag"]
