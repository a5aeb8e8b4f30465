"""Metrics are changed field by field; what a started experiment counts stays as it was."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.forms.models import model_to_dict
from django.test import Client
from uuid_utils import uuid7

from bakeoff.accounts.models import AuditEntry
from experiments.actions.create_metric import CannotCreateError
from experiments.actions.edit_metric import edit_metric
from experiments.models import Metric


def entries(shop):
    return list(AuditEntry.objects.filter(project=shop.project).order_by("pk"))


def test_an_edit_changes_what_it_names_and_says_so_once(shop):
    before = model_to_dict(shop.metric)
    edit_metric(metric=shop.metric, changes={"name": "Clicks", "cap": 20.0}, by="ann")
    after = model_to_dict(Metric.objects.get(pk=shop.metric.pk))
    assert after == before | {"name": "Clicks", "cap": 20.0}
    (entry,) = entries(shop)
    assert (entry.actor, entry.action) == ("ann", "edit metric")
    assert entry.detail == {"changed": {"name": ["", "Clicks"], "cap": [None, 20.0]}}
    edit_metric(metric=shop.metric, changes={"cap": 20.0}, by="ann")  # as it is already
    assert len(entries(shop)) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": "other"}, "key"),
        ({"kind": "proportion"}, "kind"),
        ({"cap_quantile": 2.0}, "cap_quantile"),
        ({"filters": ["page"]}, "filters"),
    ],
)
def test_a_refused_edit_changes_nothing(shop, changes, field):
    with pytest.raises(CannotCreateError) as refused:
        edit_metric(metric=shop.metric, changes={"name": "Clicks", **changes}, by="ann")
    assert refused.value.field == field
    assert Metric.objects.get(pk=shop.metric.pk).name == ""
    assert entries(shop) == []


def test_a_started_experiment_counts_as_before(shop):
    experiment = shop.run_experiment()
    counted = experiment.primary.spec
    edit_metric(metric=shop.metric, changes={"cap": 20.0}, by="ann")
    assert experiment.primary.spec == counted


def test_the_admin_creates_and_edits_by_the_same_actions(shop):
    root = User.objects.create_superuser(f"root-{uuid7()}")
    client = Client()
    client.force_login(root)
    form = {
        name: "[]" if value == [] else value
        for name, value in model_to_dict(shop.metric).items()
        if value is not None
    }
    added = client.post("/admin/experiments/metric/add/", form | {"key": "clicks-2"})
    assert added.status_code == 302, added.context["adminform"].errors
    metric = Metric.objects.get(project=shop.project, key="clicks-2")
    address = f"/admin/experiments/metric/{metric.pk}/change/"
    assert client.post(address, form | {"name": "Clicks"}).status_code == 302
    assert Metric.objects.get(pk=metric.pk).name == "Clicks"
    assert [entry.action for entry in entries(shop)] == ["declare metric", "edit metric"]
    assert {entry.actor for entry in entries(shop)} == {root.username}
