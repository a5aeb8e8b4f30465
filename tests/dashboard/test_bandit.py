"""Bandits on pages, in files, by the API and in a shell: defined, refused, and what they show."""

from __future__ import annotations

import json

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment
from tests.support import builders
from tests.support.dashboard import report_path, sign_in
from tests.support.form_reader import pair_fields

POLICY = {"window_seconds": 60.0, "minimum_run_seconds": 0.0, "planned_units": 10_000}


@pytest.fixture
def experiment(shop, page):
    """A bandit whose treatment has the better reward so far."""
    running = builders.experiment(shop, page, mode="bandit", policy=POLICY)
    builders.visits(running, {"control": 0, "treatment": 1})
    look_at_experiment(experiment_id=running.pk)
    running.refresh_from_db()
    return running


def test_the_report_shows_shares_rewards_and_the_cost_of_learning(shop, experiment):
    client = sign_in(shop.project)
    page = client.get(report_path(experiment)).content.decode()
    assert "data-bandit" in page
    assert 'data-arm="treatment"' in page
    assert "An equal split would have cost" in page
    assert "No update of the shares is complete yet" in page
    assert "First results in about 1 day; each user is followed for 1 minute." in page
    data = json.loads(client.get(report_path(experiment, "report.json")).content)
    assert data["mode"] == "bandit"
    control, treatment = data["bandit"]["arms"]
    assert (control["exposed"], treatment["units"], treatment["share"]) == (200, 200, 0.5)
    assert treatment["chance"] > 0.99
    assert treatment["mean"] > control["mean"]
    assert data["bandit"]["floor"] == 0.1
    # So far it was an equal split: it cost what one costs.
    assert data["bandit"]["regret"] == pytest.approx(data["bandit"]["equal_regret"])
    for name in ("report.csv", "report.xlsx", "report.ipynb"):
        assert client.get(report_path(experiment, name)).status_code == 200


def test_a_split_has_no_such_panel(shop):
    running = shop.run_experiment(**POLICY)
    builders.visits(running, {"control": 0, "treatment": 1})
    look_at_experiment(experiment_id=running.pk)
    client = sign_in(shop.project)
    assert "data-bandit" not in client.get(report_path(running)).content.decode()
    assert json.loads(client.get(report_path(running, "report.json")).content)["bandit"] is None


def body_of(**changes):
    return {
        "key": "button", "surface": "page", "mode": "bandit",
        "variants": [
            {"key": "control", "value": "blue", "weight": 0.5, "is_control": True},
            {"key": "treatment", "value": "green", "weight": 0.5},
        ],
        "metrics": [{"metric": "clicks"}],
    } | changes  # fmt: skip


def test_the_api_defines_one_and_refuses_in_a_sentence(lane, shop, page):
    refused = lane.post("/v1/experiments", body_of(policy={"floor": 0.01}), shop.secret)
    assert refused.status_code == 422
    assert "floor == 0.01, must be in [0.05, 0.5]" in refused.json()["error"]["message"]
    fixed = lane.post("/v1/experiments", body_of(policy={"rule": "fixed"}), shop.secret)
    assert "rule == 'fixed', must be one of ['always_valid', 'exact']" in fixed.text
    long = {"planned_units": 400, "burn_in_units": 500}
    late = lane.post("/v1/experiments", body_of(policy=long), shop.secret)
    assert late.status_code == 422
    assert "burn_in_units == 500, must be less than planned_units == 400" in late.text
    assert not Experiment.objects.filter(project=shop.project).exists()
    defined = lane.post("/v1/experiments", body_of(), shop.secret)
    assert (defined.status_code, defined.json()["mode"], defined.json()["sticky"]) == (
        201, "bandit", True,
    )  # fmt: skip


def test_a_form_makes_one_and_keeps_what_was_typed_when_it_refuses(shop, page):
    client = sign_in(shop.project, role="analyst")
    sent = {
        "key": "button", "surface": page.pk, **pair_fields(), "allocation": "100",
        "primary": shop.metric.pk, "margin": "5", "rule": "group_sequential", "planned_units": "10000",
        "minimum_days": "7", "window_hours": "24", "promote": "on", "breaker_alpha": "0.1",
        "mode": "bandit", "floor": "20", "update_hours": "12", "burn_in_units": "300",
    }  # fmt: skip
    path = f"/p/{shop.project.slug}/experiments/new/"
    low = client.post(path, sent | {"floor": "1"}).content.decode()
    assert "greater than or equal to 5" in low
    uneven = client.post(path, sent | pair_fields(share=10)).content.decode()
    assert "must be at least the floor of 0.2" in uneven
    assert 'value="300"' in uneven
    assert not Experiment.objects.filter(project=shop.project).exists()
    assert client.post(path, sent).status_code == 302
    experiment = Experiment.objects.get(project=shop.project)
    policy = experiment.parsed_policy
    assert (experiment.mode, policy.rule, policy.floor) == ("bandit", "always_valid", 0.2)
    assert (policy.update_every_seconds, policy.burn_in_units) == (43_200, 300)
    # The same form without a bandit stores nothing of one.
    assert client.post(path, sent | {"key": "plain", "mode": "split"}).status_code == 302
    plain = Experiment.objects.get(project=shop.project, key="plain")
    assert not {"floor", "update_every_seconds", "burn_in_units"} & set(plain.policy)


def test_a_split_becomes_a_bandit_in_its_form(shop, page):
    client = sign_in(shop.project, role="analyst")
    stored = builders.define_experiment(builders.draft(shop, page))
    path = report_path(stored, "edit/")
    form = client.get(path).context["form"]
    sent = {name: value for name, value in form.initial.items() if value not in (None, False, [])}
    assert client.post(path, sent | {"mode": "bandit", "floor": "15"}).status_code == 302
    stored.refresh_from_db()
    policy = stored.parsed_policy
    assert (stored.mode, policy.floor, policy.rule, stored.sticky) == (
        "bandit", 0.15, "always_valid", True,
    )  # fmt: skip
