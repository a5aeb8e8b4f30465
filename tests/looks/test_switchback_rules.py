"""What a switchback refuses, where it is defined: by a program, the API and a form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.actions.change_shares import Change, change_shares
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment, Metric
from inference.models import Surface
from tests.support import builders
from tests.support.blocks import POLICY
from tests.support.dashboard import report_path, sign_in


@pytest.fixture
def draft(shop):
    return builders.draft(shop, shop.surface, "by-block", mode="switchback", policy=POLICY)


@pytest.fixture
def experiment(draft, lane):
    started = start_experiment(experiment=define_experiment(draft), by="a test")
    lane.refresh()
    return started


def with_policy(**fields):
    return {"policy": {**POLICY, **fields}}


REFUSED = [
    (with_policy(block_seconds=0), "policy", "block_seconds == 0, must be at least 300 in a switchback."),
    (with_policy(block_seconds=700_000), "policy", "block_seconds == 700000, must be at least 0 and at"),
    (with_policy(carry_over_seconds=0), "policy", "carry_over_seconds == 0, must be at least 60: answers"),
    (with_policy(carry_over_seconds=400), "policy",
     "carry_over_seconds == 400, must be at most 150, half of block_seconds: less of a block would"),
    (with_policy(planned_units=39), "policy", "planned_units == 39, must be at least 40 blocks"),
    (with_policy(planned_units=10_000, block_seconds=3600), "policy",
     "planned_units == 10000 blocks of 3600 s take 417 days, must take at most 366"),
    (with_policy(rule="always_valid"), "policy", "rule == 'always_valid', must be 'fixed' by blocks"),
    (with_policy(minimum_nonzero=10), "policy", "minimum_nonzero == 10, must be at least 20 by blocks."),
    (with_policy(ship_when="valuable"), "policy", "ship_when == 'valuable', must be 'significant' by"),
    (with_policy(floor=0.1), "policy", "floor == 0.1, must be 0: mode == 'switchback'"),
    (with_policy(cluster_by="store"), "policy", "cluster_by == 'store', must be empty"),
    ({"mode": "split", **with_policy(planned_units=10_000)}, "policy",
     "block_seconds == 300, must be 0: mode == 'split', and only mode 'switchback' has blocks of time."),
    ({"ramp": [{"after_seconds": 60, "allocation": 1.0}], "allocation": 0.1}, "ramp",
     "ramp == 1 steps, must be none: the shares of blocks stay."),
    ({"allocation": 0.5}, "allocation", "allocation == 0.5, must be 1 by blocks: all users of a block"),
    ({"segments": ["country"]}, "segments", "segments == ['country'], must be none by blocks"),
    ({"sticky": True}, "sticky", "sticky == True, must be false by blocks: a user has the variant of the"),
    ({"hashing": "growthbook_v2"}, "hashing", "hashing == 'growthbook_v2', must be 'sha256' by blocks"),
]  # fmt: skip


def test_what_blocks_cannot_do_is_refused(draft):
    for change, field, sentence in REFUSED:
        with pytest.raises(CannotDefineError) as refusal:
            define_experiment(replace(draft, **change))
        assert (refusal.value.field, sentence in str(refusal.value)) == (field, True), refusal.value
    assert not Experiment.objects.filter(project=draft.surface.project).exists()


def test_flags_quantiles_later_days_and_a_third_variant_are_refused(shop, draft):
    flag = Surface.objects.create(project=shop.project, key="button", kind="flag")
    with pytest.raises(
        CannotDefineError, match="mode == 'switchback' on a surface of kind 'flag', must"
    ):
        define_experiment(builders.draft(shop, flag, mode="switchback", policy=POLICY))
    for key, fields, sentence in (
        ("slow", {"kind": "quantile", "event": "slate.latency"}, "'slow' is a quantile, must be a mean"),
        ("back", {"kind": "retention", "event": "click", "delay_seconds": 86_400.0},
         "metric 'back' has delay_seconds == 86400, must be 0 by blocks"),
    ):  # fmt: skip
        metric = Metric.objects.create(project=shop.project, key=key, **fields)
        with pytest.raises(CannotDefineError, match=sentence):
            define_experiment(replace(draft, metrics=[replace(draft.metrics[0], metric=metric)]))
    third = replace(draft.variants[1], key="third", weight=0.0)
    with pytest.raises(CannotDefineError, match="variants == 3, must be 2 by blocks"):
        define_experiment(replace(draft, variants=[*draft.variants, third]))


def test_shares_stay_and_nobody_else_may_wait_for_a_block(shop, experiment):
    with pytest.raises(ValueError, match="shares of 'by-block' must stay: it is randomised by block"):
        change_shares(experiment=experiment, change=Change(allocation=1.0), by="a test")
    flag = Surface.objects.create(project=shop.project, key="button", kind="flag")
    waits = [{"experiment": "by-block", "variants": ["treatment"]}]
    with pytest.raises(
        CannotDefineError, match="'by-block' is randomised by block of time, must be by"
    ):
        define_experiment(builders.draft(shop, flag, prerequisites=waits))


def test_the_api_defines_one_and_refuses_in_a_sentence(lane, shop, draft):
    body = {
        "key": "by-api", "surface": "home-feed", "mode": "switchback", "policy": {"block_seconds": 3600},
        "variants": [
            {"key": "control", "model": draft.variants[0].version.label, "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": draft.variants[1].version.label, "weight": 0.5},
        ],
        "metrics": [{"metric": "clicks"}],
    }  # fmt: skip
    refused = lane.post("/v1/experiments", body, shop.secret)
    assert refused.status_code == 422
    assert "carry_over_seconds == 0, must be at least 60" in refused.json()["error"]["message"]
    lengths = {"block_seconds": 3600, "carry_over_seconds": 600}
    defined = lane.post("/v1/experiments", body | {"policy": lengths}, shop.secret)
    assert (defined.status_code, defined.json()["mode"]) == (201, "switchback")
    policy = defined.json()["policy"]
    assert (policy["rule"], policy["planned_units"], policy["minimum_nonzero"]) == ("fixed", 200, 20)
    assert defined.json()["breaker_alpha"] == 0


def test_a_form_makes_one_and_a_split_takes_it_back(shop):
    client = sign_in(shop.project, role="analyst")
    stored = define_experiment(builders.draft(shop, shop.surface, "by-form"))

    def save(**changes):
        form = client.get(report_path(stored, "edit/")).context["form"]
        sent = {
            name: one for name, one in form.initial.items() if str(one) not in {"None", "False", "[]"}
        }
        answer = client.post(report_path(stored, "edit/"), sent | changes)
        stored.refresh_from_db()
        return answer

    lengths = {"block_minutes": 60, "carry_over_minutes": 40, "planned_units": 200}
    refused = save(mode="switchback", **lengths).content.decode()
    assert "Enter at most half of the block: more of it must count than is left out." in refused
    assert 'value="40"' in refused  # nothing of it is lost
    assert stored.mode == "split"
    assert save(mode="switchback", **lengths | {"carry_over_minutes": 10}).status_code == 302
    policy = stored.parsed_policy
    assert (stored.mode, policy.block_seconds, policy.carry_over_seconds) == ("switchback", 3600, 600)
    assert (policy.rule, policy.planned_units, policy.minimum_nonzero) == ("fixed", 200, 20)
    assert save(mode="split", rule="always_valid", planned_units=10_000).status_code == 302
    policy = stored.parsed_policy
    assert (policy.block_seconds, policy.rule, policy.minimum_nonzero) == (0, "always_valid", 100)
