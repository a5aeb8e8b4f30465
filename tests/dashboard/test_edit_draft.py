"""The form of a draft: only what a person changes in it is changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bakeoff.accounts.models import AuditEntry
from experiments.actions.define_experiment import define_experiment
from experiments.actions.draft_test import draft_test
from experiments.actions.edit_draft import edit_draft
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.models import Experiment, ExperimentMetric, Metric
from experiments.models.programme import default_ramp
from experiments.programme.harm import harm_class_of, required_users
from tests.support import builders
from tests.support.dashboard import report_path, sign_in
from tests.support.form_reader import read_form

GUARDRAIL = ExperimentMetric.Role.GUARDRAIL


def make_draft(shop, variants=2):
    """A draft with all that the form does not show."""
    other = builders.make_version(shop.surface, list(range(1, 11)))
    guards = [
        Metric.objects.create(project=shop.project, key=f"g{n}", kind="mean", event="hide")
        for n in range(2)
    ]
    treatments = [VariantDraft(f"new{n}", other, 0.7 / (variants - 1)) for n in range(variants - 1)]
    return define_experiment(
        ExperimentDraft(
            surface=shop.surface,
            key="careful",
            owner="ann",
            variants=[VariantDraft("old", shop.champion, 0.3, is_control=True), *treatments],
            metrics=[
                ExperimentMetricDraft(shop.metric),
                ExperimentMetricDraft(guards[0], GUARDRAIL, 0.01),
                ExperimentMetricDraft(guards[1], GUARDRAIL, 0.2),
            ],
            policy={"alpha": 0.01, "planned_units": 5000, "minimum_run_seconds": 86_400.0 * 7},
            forced_units={"me": "new0"},
            ramp=[{"after_seconds": 60.0, "allocation": 0.5}],
            allocation=0.1,
            condition={"country": {"$in": ["DE"]}},
            segments=["country"],
        )
    )


def everything_of(draft):
    row = Experiment.objects.filter(pk=draft.pk).values().get()
    return row, list(draft.variants.values()), list(draft.metrics.values())


@pytest.fixture
def analyst(shop):
    return sign_in(shop.project, role="analyst")


def open_form(client, shop):
    address = f"/experiments/{shop.project.slug}/careful/edit/"
    return address, read_form(client.get(address).content.decode(), "definition")


def test_saving_the_form_untouched_changes_nothing(shop, analyst):
    draft = make_draft(shop)
    before = everything_of(draft)
    address, fields = open_form(analyst, shop)
    assert analyst.post(address, fields).status_code == 302
    assert everything_of(draft) == before
    assert not AuditEntry.objects.filter(project=shop.project, action="edit").exists()


def test_one_changed_field_changes_that_field_alone(shop, analyst):
    draft = make_draft(shop)
    row, variants, metrics = everything_of(draft)
    address, fields = open_form(analyst, shop)
    assert analyst.post(address, fields | {"planned_units": "6000"}).status_code == 302
    policy = {"alpha": 0.01, "planned_units": 6000, "minimum_run_seconds": 86_400.0 * 7}
    assert everything_of(draft) == (row | {"policy": policy}, variants, metrics)
    entry = AuditEntry.objects.get(project=shop.project, action="edit")
    assert set(entry.detail["changed"]) == {"policy"}


def test_a_guardrail_more_leaves_the_margins_of_the_others(shop, analyst):
    draft = make_draft(shop)
    new = Metric.objects.create(project=shop.project, key="g9", kind="mean", event="x")
    address, fields = open_form(analyst, shop)
    fields["guardrails"] = [*fields["guardrails"], str(new.pk)]
    assert (
        analyst.post(address, fields | {"variants-0-share": "40", "variants-1-share": "60"}).status_code
        == 302
    )
    margins = dict(draft.metrics.filter(role=GUARDRAIL).values_list("metric__key", "margin"))
    assert margins == {"g0": 0.01, "g1": 0.2, "g9": 0.01}
    assert dict(draft.variants.values_list("key", "weight")) == {"old": 0.4, "new0": 0.6}


@pytest.mark.parametrize(
    ("typed", "guardrails"),
    [
        ({}, {"g0": (0.01, 0.3), "g1": (0.2, 0.0)}),
        ({"margin": "7"}, {"g0": (0.07, 0.3), "g1": (0.07, 0.0)}),
    ],
)
def test_a_guardrail_has_its_floor_after_the_metrics_change(shop, analyst, typed, guardrails):
    draft = make_draft(shop)
    draft.metrics.filter(metric__key="g0").update(margin_floor=0.3)
    new = Metric.objects.create(project=shop.project, key="g9", kind="mean", event="x")
    address, fields = open_form(analyst, shop)
    fields["secondary"] = [str(new.pk)]
    clone = f"/p/{shop.project.slug}/experiments/new/?copy=careful"
    copied = read_form(analyst.get(clone).content.decode(), "definition") | {"secondary": [str(new.pk)]}
    assert analyst.post(address, fields | typed).status_code == 302
    assert analyst.post(clone, copied | typed).status_code == 302
    for key in ("careful", "careful-2"):
        metrics = ExperimentMetric.objects.filter(
            experiment__project=shop.project, experiment__key=key, role=GUARDRAIL
        )
        stored = {one.metric.key: (one.margin, one.margin_floor) for one in metrics}
        assert stored == guardrails, key


def test_three_variants_are_shown_and_stay_as_they_are(shop, analyst):
    draft = make_draft(shop, variants=3)
    _, variants, metrics = everything_of(draft)
    address, fields = open_form(analyst, shop)
    shown = [fields[f"variants-{n}-key"][0] for n in range(3)]
    assert (shown, fields["variants-1-share"]) == (["old", "new0", "new1"], ["35"])
    assert analyst.post(address, fields | {"hypothesis": "Changed."}).status_code == 302
    draft.refresh_from_db()
    assert draft.hypothesis == "Changed."
    assert everything_of(draft)[1:] == (variants, metrics)


def test_two_editors_do_not_overwrite_each_other_unseen(shop, analyst):
    draft = make_draft(shop)
    address, mine = open_form(analyst, shop)
    _, theirs = open_form(analyst, shop)
    assert analyst.post(address, theirs | {"hypothesis": "Theirs."}).status_code == 302
    refused = analyst.post(address, mine | {"segments": "age"})
    assert refused.status_code == 422
    assert "Someone else changed this draft in the meantime" in refused.content.decode()
    draft.refresh_from_db()
    assert (draft.hypothesis, draft.segments) == ("Theirs.", ["country"])
    again = read_form(refused.content.decode(), "definition")
    assert again["segments"] == ["age"]  # what was typed stays
    assert analyst.post(address, again).status_code == 302
    draft.refresh_from_db()
    assert draft.segments == ["age"]


def test_turning_off_twice_does_not_turn_on(shop):
    experiment = shop.run_experiment()
    client = sign_in(shop.project, role="operator")
    address = f"/experiments/{shop.project.slug}/{experiment.key}/act/turn-off/"
    assert [client.post(address).status_code for _ in range(2)] == [302, 302]
    experiment.refresh_from_db()
    assert experiment.enabled is False
    assert AuditEntry.objects.filter(project=shop.project, action="switch off").count() == 1


def test_a_breaker_is_set_where_a_draft_has_none(shop, analyst):
    draft = make_draft(shop)
    Experiment.objects.filter(pk=draft.pk).update(breaker_alpha=0)  # as of drafts before the upgrade
    address = report_path(draft, "edit/")
    sent = read_form(analyst.get(address).content.decode(), "definition")
    assert sent["breaker_alpha"] == ["0.0"]
    assert analyst.post(address, sent | {"breaker_alpha": ["6"]}).status_code == 422
    assert analyst.post(address, sent | {"breaker_alpha": ["0.1"]}).status_code == 302
    draft.refresh_from_db()
    assert draft.breaker_alpha == 0.001


def test_a_guardrail_more_needs_more_users_per_step_of_the_ramp(shop):
    programme = builders.set_programme(shop, ramp=default_ramp())
    challenger = builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    planned = draft_test(programme, challenger=challenger, champion=shop.champion, primary=shop.metric)
    draft = define_experiment(planned)
    *steps, last = draft.ramp
    Experiment.objects.filter(pk=draft.pk).update(ramp=[*steps, {**last, "units": 7}])  # a person's
    guardrail = Metric.objects.create(project=shop.project, key="orders", kind="mean", event="order")
    edit_draft(
        experiment=draft,
        edit=lambda before: replace(
            before, metrics=[*before.metrics, ExperimentMetricDraft(guardrail, GUARDRAIL, 0.1)]
        ),
        by="a test",
    )
    draft.refresh_from_db()
    first = harm_class_of(0.01)
    assert steps[0]["units"] == required_users(first, alpha=0.001, tests=5)
    assert draft.ramp[0]["units"] == required_users(first, alpha=0.001, tests=6)
    assert draft.ramp[0]["units"] > steps[0]["units"]
    assert draft.ramp[1]["units"] == 7
    edit_draft(experiment=draft, edit=lambda before: replace(before, breaker_alpha=0.05), by="a test")
    draft.refresh_from_db()
    assert draft.ramp[0]["units"] == required_users(first, alpha=0.05, tests=6)
