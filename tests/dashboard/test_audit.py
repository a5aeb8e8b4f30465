"""Every verb of the pages writes one audit entry under the person's name, and has its effect."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from uuid_utils import uuid7

from bakeoff.accounts.models import ApiKey, AuditEntry, Membership
from experiments.actions.share_report import share_report
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Experiment, Metric, ReportShare
from tests.support import builders


@pytest.fixture
def admin(shop):
    user = User.objects.create_user(f"admin-{uuid7()}")
    Membership.objects.create(user=user, project=shop.project, role="admin")
    client = Client()
    client.force_login(user)
    client.name = user.username
    return client


def draft(shop):
    return shop.define(builders.make_version(shop.surface, list(range(1, 11))))


def ended(shop):
    experiment = shop.run_experiment()
    stop_experiment(experiment=experiment, by="a test")
    return experiment


def archived(shop):
    experiment = ended(shop)
    Experiment.objects.filter(pk=experiment.pk).update(archived_at=builders.now())
    return experiment


def shared(shop):
    experiment = draft(shop)
    share_report(experiment=experiment, page="x", until=builders.now(), by="a test")
    return experiment, ReportShare.objects.get(experiment=experiment)


def act(make, verb, body=None, **effect):
    """An act on an experiment, and what its row says afterwards."""

    def call(shop):
        experiment = make(shop)
        address = f"/experiments/{shop.project.slug}/{experiment.key}/act/{verb}/"
        return (
            address,
            body or {},
            lambda: {n: getattr(Experiment.objects.get(pk=experiment.pk), n) for n in effect} == effect,
        )

    return call


def discard(shop):
    experiment = draft(shop)
    address = f"/experiments/{shop.project.slug}/{experiment.key}/act/discard/"
    return address, {}, lambda: not Experiment.objects.filter(pk=experiment.pk).exists()


def archive(shop):
    experiment = ended(shop)
    address = f"/experiments/{shop.project.slug}/{experiment.key}/act/archive/"
    return address, {}, lambda: Experiment.objects.get(pk=experiment.pk).archived_at is not None


def share(shop):
    experiment = draft(shop)
    address = f"/experiments/{shop.project.slug}/{experiment.key}/share/"
    return address, {"days": "3"}, lambda: experiment.shares.count() == 1


def revoke_share(shop):
    experiment, one = shared(shop)
    address = f"/experiments/{shop.project.slug}/{experiment.key}/share/{one.pk}/revoke/"
    return address, {}, lambda: ReportShare.objects.get(pk=one.pk).revoked_at is not None


def make_metric(shop):
    body = {"key": "m", "kind": "mean", "event_name": "buy", "value": "count"}
    made = Metric.objects.filter(project=shop.project, key="m")
    return f"/p/{shop.project.slug}/metrics/", body, made.exists


def make_key(shop):
    made = shop.project.api_keys.filter(name="k")
    return f"/p/{shop.project.slug}/team/keys/", {"name": "k", "kind": "pk"}, made.exists


def revoke_key(shop):
    key, _ = ApiKey.make(shop.project, "pk", name="old")
    address = f"/p/{shop.project.slug}/team/keys/{key.pk}/revoke/"
    return address, {}, lambda: ApiKey.objects.get(pk=key.pk).revoked_at is not None


def change_key(shop):
    key, _ = ApiKey.make(shop.project, "sk", name="old")
    body = {"scopes": ["serve"], "origins": "https://a.example https://b.example"}
    changed = ApiKey.objects.filter(
        pk=key.pk, scopes=["serve"], allowed_origins=["https://a.example", "https://b.example"]
    )
    return f"/p/{shop.project.slug}/team/keys/{key.pk}/", body, changed.exists


def set_member(shop):
    person = User.objects.create_user(f"new-{uuid7()}")
    body = {"username": person.username, "role": "analyst"}
    given = Membership.objects.filter(user=person, project=shop.project, role="analyst")
    return f"/p/{shop.project.slug}/team/members/", body, given.exists


VERBS = {
    "start": act(draft, "start", state="running"),
    "stop": act(lambda s: s.run_experiment(), "stop", state="ended"),
    "turn off": act(lambda s: s.run_experiment(), "turn-off", enabled=False),
    "learn": act(ended, "learn", {"lesson": "Titles matter."}, lesson="Titles matter."),
    "restore": act(archived, "restore", archived_at=None),
    "archive": archive,
    "discard": discard,
    "share": share,
    "revoke share": revoke_share,
    "make metric": make_metric,
    "make key": make_key,
    "change key": change_key,
    "revoke key": revoke_key,
    "set member": set_member,
}


@pytest.mark.parametrize("verb", VERBS)
def test_one_entry_and_the_effect(shop, admin, verb):
    address, body, has_effect = VERBS[verb](shop)
    before = set(AuditEntry.objects.filter(project=shop.project).values_list("pk", flat=True))
    assert admin.post(address, body).status_code == 302
    assert has_effect()
    (entry,) = AuditEntry.objects.filter(project=shop.project).exclude(pk__in=before)
    assert entry.actor == admin.name


def test_the_last_administrator_stays(shop, admin):
    address = f"/p/{shop.project.slug}/team/members/"
    for role in ("viewer", ""):
        admin.post(address, {"username": admin.name, "role": role})
        assert shop.project.memberships.get().role == "admin"
    admin.post(address, {"username": admin.name, "role": "emperor"})
    assert shop.project.memberships.get().role == "admin"
    assert not AuditEntry.objects.filter(project=shop.project).exists()


def test_the_admin_pages_write_the_trail_too(shop):
    root = User.objects.create_superuser(f"root-{uuid7()}")
    client = Client()
    client.force_login(root)
    form = {"project": shop.project.pk, "share": "0.1"}
    assert client.post("/admin/experiments/holdout/add/", form).status_code == 302
    address = f"/admin/experiments/holdout/{shop.project.holdout.pk}"
    assert client.post(f"{address}/change/", form | {"share": "0.2"}).status_code == 302
    assert client.post(f"{address}/delete/", {"post": "yes"}).status_code == 302
    entries = AuditEntry.objects.filter(project=shop.project).order_by("pk")
    assert [entry.action for entry in entries] == [
        "add holdout", "change holdout", "delete holdout",
    ]  # fmt: skip
    assert {entry.actor for entry in entries} == {root.username}
