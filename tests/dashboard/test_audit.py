"""Every verb of the pages writes one audit entry under the person's name, and has its effect."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLResolver
from uuid_utils import uuid7

from bakeoff.accounts.models import ApiKey, AuditEntry, Membership
from bakeoff.dashboard.urls import urlpatterns
from bakeoff.dashboard.views.experiments import ACTS
from bakeoff.dashboard.views.registry import VERSION_ACTS
from experiments.actions.share_report import share_report
from experiments.actions.start_experiment import start_experiment
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Experiment, Feedback, Metric, ReportShare
from inference.models import ModelVersion, Surface, TrainingRun
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


def define(shop):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    body = {
        "surface": shop.surface.pk, "key": "trial", "control": shop.champion.pk,
        "treatment": challenger.pk, "treatment_share": 50, "allocation": 100, "primary": shop.metric.pk,
        "margin": 5, "rule": "always_valid", "planned_units": 100, "minimum_days": 0, "window_hours": 24,
    }  # fmt: skip
    return f"/p/{shop.project.slug}/experiments/new/", body, shop.project.experiments.exists


def edit(shop):
    experiment = draft(shop)
    _, body, _ = define(shop)
    challenger = experiment.treatments[0].model_version_id
    body |= {"key": experiment.key, "treatment": challenger, "hypothesis": "Better."}
    changed = Experiment.objects.filter(pk=experiment.pk, hypothesis="Better.")
    return f"/experiments/{shop.project.slug}/{experiment.key}/edit/", body, changed.exists


def ship(shop):
    experiment = shop.run_experiment()
    address = f"/experiments/{shop.project.slug}/{experiment.key}/act/ship/"
    champion = experiment.treatments[0].model_version_id
    shipped = shop.surface.versions.champions().filter(pk=champion)
    return address, {"variant": "treatment"}, shipped.exists


def ramp(shop):
    experiment = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    Experiment.objects.filter(pk=experiment.pk).update(allocation=0.2)
    start_experiment(experiment=experiment, by="a test")
    address = f"/experiments/{shop.project.slug}/{experiment.key}/act/ramp/"
    ramped = Experiment.objects.filter(pk=experiment.pk, allocation=0.5)
    return address, {"allocation": "50"}, ramped.exists


def turned_off(shop):
    experiment = shop.run_experiment()
    Experiment.objects.filter(pk=experiment.pk).update(enabled=False)
    return experiment


SURFACE = {
    "static_list": "[]", "labels": "[]", "liked_events": '["click"]', "exploration": "0.1",
    "retrain_recommender": "", "retrain_every_seconds": "86400", "shadow_first": "0",
}  # fmt: skip


def make_surface(shop):
    made = shop.project.surfaces.filter(key="sidebar", exploration=0.1)
    body = {**SURFACE, "key": "sidebar", "kind": "recommend"}
    return f"/p/{shop.project.slug}/surfaces/", body, made.exists


def change_surface(shop):
    changed = shop.project.surfaces.filter(key="home-feed", exploration=0.1)
    return f"/p/{shop.project.slug}/surfaces/home-feed/edit/", SURFACE, changed.exists


def train(shop):
    clicks = [
        builders.event(shop.project, unit=f"u{n}", name="click", item_id=f"i{n % 5}") for n in range(40)
    ]
    builders.write(builders.Rows(events=clicks))
    Surface.objects.filter(pk=shop.surface.pk).update(liked_events=["click"])
    address = f"/p/{shop.project.slug}/surfaces/home-feed/train/"
    return address, {"recommender": "popularity"}, shop.surface.training_runs.exists


def cancel_run(shop):
    run = TrainingRun.objects.create(surface=shop.surface, recommender="popularity", trigger="a test")
    cancelled = TrainingRun.objects.filter(pk=run.pk, state="cancelled")
    return f"/runs/{run.pk}/cancel/", {}, cancelled.exists


def act_on_version(verb, alias):
    def call(shop):
        version = builders.make_version(shop.surface, list(range(1, 11)))
        moved = ModelVersion.objects.filter(pk=version.pk, alias=alias)
        return f"/p/{shop.project.slug}/models/{version.pk}/{verb}/", {}, moved.exists

    return call


def review(shop):
    slate = builders.make_slate(shop, "u1")
    builders.write(builders.Rows(feedback=[builders.feedback(shop, slate, kind="text", text="good")]))
    row = Feedback.objects.get(project=shop.project)
    reviewed = Feedback.objects.filter(pk=row.pk, state="ok")
    body = {"feedback": row.pk, "state": "ok"}
    return f"/p/{shop.project.slug}/feedback/", body, reviewed.exists


# The name of an address, with the verb where one address serves several.
VERBS = {
    "act start": act(draft, "start", state="running"),
    "act stop": act(lambda s: s.run_experiment(), "stop", state="ended"),
    "act ship": ship,
    "act ramp": ramp,
    "act turn-off": act(lambda s: s.run_experiment(), "turn-off", enabled=False),
    "act turn-on": act(turned_off, "turn-on", enabled=True),
    "act learn": act(ended, "learn", {"lesson": "Titles matter."}, lesson="Titles matter."),
    "act restore": act(archived, "restore", archived_at=None),
    "act archive": archive,
    "act discard": discard,
    "experiments-new": define,
    "edit": edit,
    "share": share,
    "revoke-share": revoke_share,
    "metrics": make_metric,
    "surfaces": make_surface,
    "surface-edit": change_surface,
    "surface-train": train,
    "cancel-run": cancel_run,
    "version-act promote": act_on_version("promote", "champion"),
    "version-act shadow": act_on_version("shadow", "shadow"),
    "feedback": review,
    "team-make-key": make_key,
    "team-change-key": change_key,
    "team-revoke-key": revoke_key,
    "team-set-member": set_member,
}
READS = {
    "report", "download", "experiments", "experiments-plan", "surface", "models", "version", "units",
    "events", "team", "home", "shared", "run", "health", "demo", "sdk",
}  # fmt: skip
# They change the person's session and belong to no project.
SESSION = {"sign-in", "sign-out", "set_language"}


def verbs(patterns=urlpatterns):
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from verbs(pattern.url_patterns)
        elif pattern.name in SEVERAL:
            yield from (f"{pattern.name} {verb}" for verb in SEVERAL[pattern.name])
        else:
            yield pattern.name


SEVERAL = {"act": ACTS, "version-act": VERSION_ACTS}


def test_the_table_names_every_address_and_verb():
    assert set(verbs()) == set(VERBS) | READS | SESSION


@pytest.mark.parametrize("verb", VERBS)
def test_one_entry_and_the_effect(shop, lane, admin, verb):
    address, body, has_effect = VERBS[verb](shop)
    lane.refresh()
    before = set(AuditEntry.objects.filter(project=shop.project).values_list("pk", flat=True))
    response = admin.post(address, body)
    assert response.status_code == 302, response.content.decode()
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
