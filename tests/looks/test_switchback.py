"""Switchbacks: all users share the variant of a block of time, from requests to a verdict."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from experiments.actions.define_experiment import define_experiment
from experiments.actions.exclude_units import exclude_units
from experiments.actions.explain_assignment import assignments_of
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.start_experiment import start_experiment
from experiments.assignment import buckets_of
from experiments.models import BlockSum, Exposure, Metric, Observation, Slate
from experiments.stats.clusters import ClusterCounts
from experiments.stats.effects import compare
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.policy import Policy
from experiments.stats.totals import Totals
from tests.support import builders
from tests.support.blocks import COUNT, GUARD, LENGTH, LEVELS, POLICY, Blocks
from tests.support.commands import run_analyze
from tests.support.dashboard import report_path, sign_in
from tests.support.files import write_columns
from tests.support.looks import look_input, metric_input


@pytest.fixture
def draft(shop):
    return builders.draft(shop, shop.surface, "by-block", mode="switchback", policy=POLICY)


@pytest.fixture
def experiment(draft, lane):
    started = start_experiment(experiment=define_experiment(draft), by="a test")
    lane.refresh()
    return started


def ask(lane, shop, unit):
    body = {"surface": "home-feed", "unit_id": unit}
    answer = lane.post("/v1/recommend", body, shop.public)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_all_users_of_a_block_get_the_variant_that_its_hash_gives(lane, shop, experiment, monkeypatch):
    served = set()
    for number in range(5_000_000, 5_000_012):
        at = number * LENGTH + (number % 5) * 59.0
        monkeypatch.setattr("experiments.assignment.allocation.time", lambda at=at: at)
        variants = {ask(lane, shop, f"u{n}")["variant"] for n in range(2)}
        _, bucket = buckets_of(experiment.salt, str(number))
        assert variants == {"control" if bucket < 0.5 else "treatment"}
        served |= variants
    assert served == {"control", "treatment"}
    slates = Slate.objects.filter(experiment=experiment)
    assert {slate.variant_weight for slate in slates} == {0.5}
    # A user of both variants was exposed to both.
    assert Exposure.objects.filter(experiment=experiment, unit_id="u0").count() == 2


def test_an_assignment_is_explained_by_its_block(lane, shop, experiment, monkeypatch):
    monkeypatch.setattr("experiments.assignment.allocation.time", lambda: 5_000_001 * LENGTH)
    (one,) = assignments_of(shop.project.pk, "u1", {})
    assert one.variant == ask(lane, shop, "u1")["variant"]
    assert [step.said for step in one.steps if step.name == "block"] == ["5000001 of 300 s"]


def test_clients_ask_the_server_and_a_page_claims_no_exposure(lane, shop, experiment):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    rules = lane.client.get("/v1/flags", headers=headers).json()["running"]
    assert [(one["key"], one["remote"]) for one in rules] == [("by-block", True)]
    viewed = {
        "type": "track", "event": "Experiment Viewed", "messageId": "m1", "userId": "u1",
        "properties": {"experiment_id": "by-block", "variation_id": "treatment"},
    }  # fmt: skip
    assert lane.post("/v1/batch", {"batch": [viewed]}, shop.public).status_code < 300
    assert not Exposure.objects.filter(experiment=experiment).exists()


def look(experiment):
    taken = look_at_experiment(experiment_id=experiment.pk)
    experiment.refresh_from_db()
    return taken


def test_a_verdict_counts_blocks_and_recomputes(shop, experiment):
    builders.set_programme(shop, holdback_share=0.1, holdback_days=14)
    Blocks(shop, experiment).visit(LEVELS, lift=3)
    taken = look(experiment)
    assert (taken.action, taken.parsed_result.variant) == ("ship", "treatment"), taken.reason
    counts = taken.parsed_inputs.clusters
    assert counts.clusters == {"control": 20, "treatment": 20}
    assert counts.units == {"control": 60, "treatment": 60}
    assert taken.parsed_inputs.exposures == [
        ({"control": 20, "treatment": 20}, {"control": 0.5, "treatment": 0.5})
    ]
    assert (taken.information, taken.parsed_inputs.crossover_units) == (1.0, 0)
    sums = [3.0 * level + 1 for level in LEVELS[::2] * 4]
    sides = [Totals.of([one + 3 * lift for one in sums], [3.0] * 20) for lift in (0, 3)]
    effect = compare("ratio", *sides)
    (row,) = taken.parsed_result.comparisons
    assert (row.effect.estimate, row.effect.se) == pytest.approx((effect.estimate, effect.se))
    again = take_look(LookInput.from_json(json.loads(json.dumps(taken.inputs))))
    assert again.as_json() == taken.parsed_result.as_json()
    assert experiment.decisions.get().evidence["why_no_holdback"] == (
        "blocks of time were randomised, and a holdback splits users"
    )
    assert not Observation.objects.filter(experiment=experiment).exists()


def test_nothing_counts_in_the_carry_over_nor_beyond_the_block(shop, experiment):
    blocks = Blocks(shop, experiment, count=3)
    blocks.serve("early", 0, 59)  # served in the carry-over alone
    blocks.click("early", 0, 200)
    blocks.serve("both", 0, 10)
    blocks.click("both", 0, 30)
    blocks.click("both", 0, 99)  # after the carry-over, before the answer that counts
    blocks.serve("both", 0, 100)
    blocks.click("both", 0, 299)
    blocks.click("both", 1, 0)  # in the next block, in which the user was not served
    blocks.serve("late", -1, 290)  # in the block of the start
    blocks.click("late", -1, 295)
    blocks.serve("now", 3, 100)  # in a block that is not over
    blocks.click("now", 3, 110)
    blocks.write()
    now = blocks.at(3, 200)
    look_at_experiment(experiment_id=experiment.pk, now=now)
    (only,) = BlockSum.objects.filter(experiment=experiment)
    assert (only.number, only.users, only.value) == (blocks.first, 1, 1.0)
    assert only.variant.key == "control"


def test_an_attributed_event_names_an_answer_of_its_block(shop, draft, lane):
    metric = Metric.objects.create(
        project=shop.project, key="own-clicks", kind="mean", event="click", value="count",
        attributed_only=True,
    )  # fmt: skip
    own = replace(draft, metrics=[replace(draft.metrics[0], metric=metric)])
    experiment = start_experiment(experiment=define_experiment(own), by="a test")
    lane.refresh()
    blocks = Blocks(shop, experiment, count=2)
    before, after = blocks.serve("u1", 0, 100), blocks.serve("u1", 1, 100)
    for answer in (before, after, after):
        blocks.click("u1", 1, 150, recommendation_id=answer)
    blocks.write()
    look(experiment)
    sums = BlockSum.objects.filter(experiment=experiment).order_by("number")
    assert [one.value for one in sums] == [0.0, 2.0]


def test_late_rows_and_bots_change_the_sums_of_their_block(shop, experiment):
    blocks = Blocks(shop, experiment, count=4).visit([1])
    look(experiment)

    def values():
        rows = BlockSum.objects.filter(experiment=experiment).order_by("number")
        return [(one.users, one.value, one.variant and one.variant.key) for one in rows]

    usual = [(3, 4.0, "control"), (3, 4.0, "treatment")] * 2
    assert values() == usual
    blocks.click("u0", 1, 250)
    blocks.serve("stray", 3, 150, key="control")
    blocks.write()
    taken = look(experiment)
    assert values() == [usual[0], (3, 5.0, "treatment"), usual[2], (4, 4.0, None)]
    assert (taken.parsed_inputs.clusters.split, taken.parsed_inputs.units) == (1, 3)
    exclude_units(project_id=shop.project.pk, unit_ids=["stray", "u1"], by="a test")
    look(experiment)
    assert values() == [(2, 2.0, "control"), (2, 3.0, "treatment"), (2, 2.0, "control"), (2, 2.0, "treatment")]  # fmt: skip


def test_the_totals_are_those_of_a_file_with_the_same_rows(shop, experiment, tmp_path):
    """Each user of a block is a row of the file; answers in the carry-over are rows too."""
    blocks = Blocks(shop, experiment)
    columns = defaultdict(list)
    for block in blocks.numbers:
        for user in range(1 + block % 3):
            for seconds in (20, 100 + user):
                blocks.serve(f"u{user}", block, seconds)
                columns["at"].append(f"{blocks.at(block, seconds):%Y-%m-%d %H:%M:%S}")
                columns["variant"].append(blocks.key(block))
                columns["clicks"].append((block // 2 + user) % 4 if seconds >= GUARD else 9)
            for n in range(columns["clicks"][-1]):
                blocks.click(f"u{user}", block, 150 + n)
    blocks.write()
    taken = look(experiment)
    (row,) = taken.parsed_result.comparisons
    path = write_columns(tmp_path / "rows.csv", columns)
    done = run_analyze(
        path, "--control", "control", "--format", "json", "--rule", "fixed", "--metric", "clicks:mean",
        "--switchback", "at", "--block-seconds", LENGTH, "--carry-over-seconds", GUARD,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    card = json.loads(done.output)
    of_file = card["metrics"][0]["variants"][0]
    assert card["units_in_clusters"] == taken.parsed_inputs.clusters.units
    assert of_file["absolute"]["estimate"] == pytest.approx(row.effect.estimate)
    assert of_file["absolute"]["se"] == pytest.approx(row.effect.se)


def test_few_blocks_have_no_verdict(shop, experiment):
    Blocks(shop, experiment, count=24).visit(LEVELS, lift=3)
    taken = look(experiment)
    assert (taken.action, taken.reason) == (
        "keep_running",
        "blocks of 'control' == 12, must be at least 20 in each variant: with fewer, no interval keeps "
        "its level",
    )
    (row,) = taken.parsed_result.comparisons
    assert (row.effect, row.p_value) == (None, None)


def test_a_page_and_a_file_show_blocks(shop, experiment):
    Blocks(shop, experiment, count=24).visit(LEVELS)
    client = sign_in(shop.project)
    assert (
        "0 of 40 planned blocks of time are over"
        in client.get(report_path(experiment)).content.decode()
    )
    look(experiment)
    page = client.get(report_path(experiment)).content.decode()
    assert "Every 5 minutes a coin decides which variant all users get." in page
    assert "Only 12 blocks of time of control are over" in page
    assert "24 of 40 planned blocks of time are over" in page
    assert "16 of 40 planned blocks of time to go, which take 1 hour" in page
    data = json.loads(client.get(report_path(experiment, "report.json")).content)
    assert data["mode"] == "switchback"
    assert data["clusters"]["rows"][0] == {
        "variant": "control", "drawn": 12, "clusters": 12, "users": 36,
    }  # fmt: skip
    assert (data["clusters"]["block_seconds"], data["clusters"]["carry_over_seconds"]) == (300, 60)
    for name in ("report.csv", "report.xlsx", "report.ipynb"):
        assert client.get(report_path(experiment, name)).status_code == 200


def one_look(seed: int) -> tuple[bool, bool]:
    """Whether an A/A of blocks is called a difference: by its blocks, and by its users alone.

    Each block has a level of its own, and each user many blocks; a coin draws the variants.
    """
    rng = np.random.default_rng(seed)
    treated = rng.random(80) < 0.5
    sizes = 5 + rng.poisson(20, len(treated))
    level = 10 + 2 * np.sin(np.arange(len(treated)) / 6) + rng.normal(0, 1, len(treated))
    values = [rng.normal(one, 3, size) for one, size in zip(level, sizes, strict=True)]
    sides = [np.flatnonzero(~treated), np.flatnonzero(treated)]
    keys = ("control", "treatment")
    drawn = dict(zip(keys, map(len, sides), strict=True))
    users = dict(zip(keys, (int(sizes[one].sum()) for one in sides), strict=True))
    counts = ClusterCounts(drawn, users, int(sizes.sum()), are_blocks=True)
    by_block = [Totals.of([values[n].sum() for n in one], sizes[one].astype(float)) for one in sides]
    by_user = [Totals.of(np.concatenate([values[n] for n in one])) for one in sides]
    policy = Policy(rule="fixed", planned_units=COUNT, minimum_nonzero=20, minimum_run_seconds=0)
    called = (
        take_look(
            look_input(
                metric_input(dict(zip(keys, totals, strict=True)), kind=kind), policy=policy,
                clusters=clusters, exposures=[(drawn, {"control": 0.5, "treatment": 0.5})],
            )
        )
        for totals, kind, clusters in ((by_block, "ratio", counts), (by_user, "mean", None))
    )  # fmt: skip
    return tuple(one.action in {"ship", "roll_back"} for one in called)


def test_no_effect_keeps_its_level_where_users_alone_would_not():
    calls = np.array([one_look(seed) for seed in range(120)])
    ours, naive = calls.sum(axis=0)
    assert stats.binomtest(int(ours), len(calls), 0.05).pvalue > 0.01
    assert naive / len(calls) >= 0.15


def test_a_block_is_summed_when_it_is_over(shop, experiment):
    blocks = Blocks(shop, experiment, count=2).visit([1])
    taken = look_at_experiment(experiment_id=experiment.pk, now=blocks.at(2, -1))
    assert taken.parsed_inputs.clusters.clusters == {"control": 1}
    later = look_at_experiment(experiment_id=experiment.pk, now=blocks.at(2, 0) + timedelta(seconds=1))
    assert later.parsed_inputs.clusters.clusters == {"control": 1, "treatment": 1}
