"""What two people agree on is deleted by nobody: there is no act that would need a second person."""

from __future__ import annotations

import pytest
from django.urls import reverse

from bakeoff.api.application import api
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Decision, Layer
from tests.support.dashboard import sign_in

# Each is one's own, comes back by being written again, or is asked for by law: docs/autopilot.md.
DELETIONS = {
    "/v1/alerts/subscriptions/{subscription_id}",
    "/v1/experiments/{key}",  # of a draft alone: tests/api
    "/v1/experiments/{key}/comments/{comment_id}",
    "/v1/items/{item_id}",
    "/v1/item-images/{item_id}",
    # Of one that nothing depends on alone: tests/api/test_archiving.py.
    "/v1/metrics/{key}",
    "/v1/surfaces/{key}",
    "/v1/surfaces/{key}/examples",
    "/v1/surfaces/{key}/examples/{example_id}",
}


def delete_in_admin(model, pk: int) -> None:
    """Post what Django's page asks for, as somebody who may do everything."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    person = sign_in(is_superuser=True, is_staff=True)
    person.post(reverse(f"{name}_delete", args=[pk]), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    person.post(reverse(f"{name}_changelist"), chosen)


@pytest.fixture
def running(shop):
    return shop.run_experiment()


@pytest.fixture
def decided(shop):
    experiment = shop.run_experiment()
    stop_experiment(experiment=experiment, by="a test")
    return experiment


PARTS = {
    "project": lambda experiment: experiment.project,
    "surface": lambda experiment: experiment.surface,
    "version": lambda experiment: experiment.surface.versions.champions().get(),
    "experiment": lambda experiment: experiment,
    "metric": lambda experiment: experiment.project.metrics.first(),
    "audit entry": lambda experiment: experiment.project.audit_entries.first(),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("state", ["running", "decided"])
def test_djangos_pages_delete_nothing_that_decides(request, state, part):
    row = PARTS[part](request.getfixturevalue(state))
    delete_in_admin(type(row), row.pk)
    assert type(row).objects.filter(pk=row.pk).exists()


def test_djangos_pages_delete_what_decides_nothing(shop):
    layer = Layer.objects.create(project=shop.project, key="unused")
    delete_in_admin(Layer, layer.pk)
    assert not Layer.objects.filter(pk=layer.pk).exists()


def test_djangos_pages_delete_no_decision(decided):
    row = decided.decisions.get()
    delete_in_admin(Decision, row.pk)
    assert Decision.objects.filter(pk=row.pk).exists()


def test_the_api_deletes_what_is_ones_own_or_comes_back():
    paths = api.get_openapi_schema()["paths"]
    assert {path for path, verbs in paths.items() if "delete" in verbs} == DELETIONS
