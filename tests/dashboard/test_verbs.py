"""Every verb of the pages, by role: who may not changes nothing; who may changes it once, and sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse
from uuid_utils import uuid7

from bakeoff.accounts.models import ApiKey, AuditEntry
from bakeoff.dashboard import urls
from bakeoff.dashboard.views.archiving import METRIC_ACTS, SURFACE_ACTS
from bakeoff.dashboard.views.autopilot_acts import PROPOSAL_ACTS, QUEUE_ACTS, RAMP_ACTS
from bakeoff.dashboard.views.experiments import ACTS
from bakeoff.dashboard.views.models import VERSION_ACTS
from experiments.actions.save_rules import save_rules
from experiments.actions.share_report import share_report
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Experiment, Feedback, ReportShare
from inference.models import Surface, TrainingRun
from tests.support import builders
from tests.support.alert_verbs import ALERT_VERBS
from tests.support.archive_verbs import ARCHIVE_VERBS_OF_METRICS, ARCHIVE_VERBS_OF_SURFACES
from tests.support.autopilot_verbs import AUTOPILOT_VERBS
from tests.support.builders import Shop
from tests.support.comment_verbs import COMMENT_VERBS, COMMENT_VERBS_OF_ADMINS
from tests.support.dashboard import make_user, report_path, sign_in
from tests.support.form_reader import pair_fields, read_form
from tests.support.html import has
from tests.support.invitation_verbs import INVITATION_VERBS
from tests.support.judging_verbs import JUDGING_VERBS
from tests.support.picture_verbs import PICTURE_VERBS
from tests.support.survey_verbs import SURVEY_VERBS
from tests.support.verb_step import Step

READ, ANALYSE, OPERATE, ADMINISTER = "viewer", "analyst", "operator", "admin"
BELOW = {ANALYSE: READ, OPERATE: ANALYSE, ADMINISTER: OPERATE}


def draft(shop: Shop) -> Experiment:
    return shop.define(builders.make_version(shop.surface, list(range(1, 11))))


def ended(shop: Shop) -> Experiment:
    experiment = shop.run_experiment()
    stop_experiment(experiment=experiment, by="a test")
    return experiment


def running(shop: Shop) -> Experiment:
    return shop.run_experiment()


def with_fields(make: Callable[[Shop], Experiment], **fields: Any) -> Callable[[Shop], Experiment]:
    def change(shop: Shop) -> Experiment:
        experiment = make(shop)
        Experiment.objects.filter(pk=experiment.pk).update(**fields)
        return experiment

    return change


def act(make, verb: str, body: dict[str, str] | None = None, *, shows=None, **expected: Any):
    """Return what makes an act on an experiment; `expected` are its fields afterwards."""

    def prepare(shop: Shop) -> Step:
        experiment = make(shop)
        rows = Experiment.objects.filter(pk=experiment.pk, **expected)
        address = report_path(experiment, f"act/{verb}/")
        return Step(address, body or {}, rows.exists, report_path(experiment), shows or {})

    return prepare


def discard(shop):
    experiment = draft(shop)
    return Step(
        report_path(experiment, "act/discard/"), {},
        lambda: not Experiment.objects.filter(pk=experiment.pk).exists(),
        reverse("experiments", args=[shop.project.slug]), shows_no_more={"data_experiment": experiment.key},
    )  # fmt: skip


def share(shop):
    experiment = draft(shop)
    return Step(
        report_path(experiment, "share/"), {"days": "3"}, experiment.shares.filter(revoked_at=None).exists,
        report_path(experiment), {"data_experiment": experiment.key},
    )  # fmt: skip


def revoke_share(shop):
    experiment = draft(shop)
    until = builders.now() + timedelta(days=3)
    share_report(experiment=experiment, page="x", until=until, by="a test")
    one = ReportShare.objects.get(experiment=experiment)
    return Step(
        report_path(experiment, f"share/{one.pk}/revoke/"), {},
        ReportShare.objects.filter(pk=one.pk, revoked_at__isnull=False).exists,
        report_path(experiment), shows_no_more={"data_share": str(one.pk)},
    )  # fmt: skip


def define(shop):
    builders.make_version(shop.surface, list(range(1, 11)))
    address = reverse("experiments-new", args=[shop.project.slug])
    challenger = shop.surface.versions.exclude(pk=shop.champion.pk).get()
    body = {
        "surface": shop.surface.pk, "key": "typed", "name": "Typed by hand",
        **pair_fields(shop.champion.pk, challenger.pk), "allocation": "100", "primary": shop.metric.pk,
        "margin": "5", "rule": "group_sequential", "planned_units": "900", "minimum_days": "0",
        "window_hours": "24", "breaker_alpha": "0.2", "hashing": "sha256", "promote": "on",
    }  # fmt: skip
    created = Experiment.objects.filter(
        project=shop.project, key="typed", name="Typed by hand", state="draft", breaker_alpha=0.002
    )
    page = reverse("report", args=[shop.project.slug, "typed"])
    return Step(
        address, body, created.exists, page, {"data_experiment": "typed", "data_state": "draft"}
    )


def edit(shop):
    experiment = draft(shop)
    address = report_path(experiment, "edit/")
    page = sign_in(shop.project, role=ANALYSE).get(address).content.decode()
    body = read_form(page, "definition") | {"hypothesis": ["Changed."]}
    changed = Experiment.objects.filter(pk=experiment.pk, hypothesis="Changed.")
    return Step(address, body, changed.exists, report_path(experiment), {"data_state": "draft"})


def make_metric(shop):
    body = {"key": "m", "kind": "mean", "event": "buy", "value": "count", "direction": "increase"}
    created = shop.project.metrics.filter(key="m")
    address = reverse("metrics", args=[shop.project.slug])
    return Step(address, body, created.exists, address, {"data_metric": "m"})


def edit_metric(shop):
    page = reverse("metric", args=[shop.project.slug, shop.metric.key])
    body = {
        "event": "click", "value": "count", "direction": "increase", "description": "Per user.",
        "owner": "Discovery", "tags": "engagement, feed",
    }  # fmt: skip
    changed = shop.project.metrics.filter(key=shop.metric.key, tags=["engagement", "feed"])
    shows = {"data_metric": shop.metric.key, "data_owner": "Discovery"}
    return Step(f"{page}edit/", body, changed.exists, page, shows)


SURFACE = {
    "exploration": "0.25",
    "retrain_algorithm": "", "retrain_every_seconds": "86400", "shadow_first": "0",
}  # fmt: skip


def make_surface(shop):
    created = Surface.objects.filter(project=shop.project, key="s", exploration=0.25)
    page = reverse("surface", args=[shop.project.slug, "s"])
    address = reverse("surfaces", args=[shop.project.slug])
    return Step(
        address,
        SURFACE | {"key": "s", "kind": "recommend"},
        created.exists,
        page,
        {"data_kind": "recommend"},
    )


def edit_surface(shop):
    changed = Surface.objects.filter(pk=shop.surface.pk, exploration=0.25)
    page = reverse("surface", args=[shop.project.slug, shop.surface.key])
    return Step(f"{page}edit/", SURFACE, changed.exists, page, {"data_exploration": "0.25"})


def edit_rules(shop):
    changed = Surface.objects.filter(pk=shop.surface.pk, rules={"caps": {"labels": 2}})
    page = reverse("surface-rules", args=[shop.project.slug, shop.surface.key])
    body = {"rules": '{"caps": {"labels": 2}}', "k": "10", "save": "1"}
    return Step(page, body, changed.exists, page, {"data_surface": shop.surface.key})


def serve_saved_rules(shop):
    save_rules(surface=shop.surface, rules={"caps": {"labels": 2}}, by="a test")
    changed = Surface.objects.filter(pk=shop.surface.pk, rules={"caps": {"labels": 2}})
    page = reverse("surface-rules", args=[shop.project.slug, shop.surface.key])
    return Step(f"{page}1/serve/", {}, changed.exists, page, {"data_version": "1"})


def edit_list(shop):
    saved = shop.surface.versions.filter(
        algorithm="trending", params={"half_life_hours": 6.0, "by_value": False}
    )
    page = reverse("surface-list", args=[shop.project.slug, shop.surface.key])
    body = {"list": "trending", "half_life_hours": "6", "keep": "1"}
    return Step(page, body, saved.exists, page, {"data_version": "trending@1"})


def train(shop):
    events = [
        builders.event(shop.project, unit=f"u{n}", name="click", item_id=f"i{n % 5}") for n in range(40)
    ]
    builders.write(builders.Rows(events=events))
    Surface.objects.filter(pk=shop.surface.pk).update(liked_events=["click"])
    page = reverse("surface", args=[shop.project.slug, shop.surface.key])
    queued = TrainingRun.objects.filter(surface=shop.surface, algorithm="popularity", state="queued")
    return Step(f"{page}train/", {"algorithm": "popularity"}, queued.exists, page)


def train_with_parameters(shop):
    step = train(shop)
    fields = {"algorithm": "popularity", "param-half_life_days": "7", "param-dislike": "1"}
    queued = TrainingRun.objects.filter(surface=shop.surface, params={"half_life_days": 7.0})
    page = reverse("surface", args=[shop.project.slug, shop.surface.key])
    return Step(f"{step.address}parameters/", fields, queued.exists, page)


def cancel_run(shop):
    run = TrainingRun.objects.create(surface=shop.surface, algorithm="popularity", trigger="a test")
    cancelled = TrainingRun.objects.filter(pk=run.pk, state="cancelled")
    page = reverse("run", args=[run.pk])
    return Step(f"{page}cancel/", {}, cancelled.exists, page, {"data_state": "cancelled"})


def of_version(verb: str, alias: str):
    def prepare(shop):
        version = builders.make_version(shop.surface, list(range(1, 11)))
        page = reverse("version", args=[shop.project.slug, version.pk])
        moved = shop.surface.versions.filter(pk=version.pk, alias=alias)
        return Step(f"{page}{verb}/", {"reason": "why not"}, moved.exists, page, {"data_alias": alias})

    return prepare


def review(shop):
    slate = builders.make_slate(shop, "u1")
    row = builders.feedback(shop, slate, kind="text", text="buy now", state="pending")
    builders.write(builders.Rows(feedback=[row]))
    Feedback.objects.filter(project=shop.project).update(flags=["burst"])
    feedback = Feedback.objects.get(project=shop.project)
    page = reverse("feedback", args=[shop.project.slug])
    return Step(
        page, {"state": "spam", "reason": "an advertisement", "feedback": str(feedback.pk)},
        feedback.reviews.filter(state="spam").exists, page, shows_no_more={"data_review": str(feedback.pk)},
    )  # fmt: skip


def make_key(shop):
    page = reverse("team", args=[shop.project.slug])
    created = shop.project.api_keys.filter(name="k", kind="pk")
    return Step(
        f"{page}keys/", {"name": "k", "kind": "pk"}, created.exists, page, {"data_key_name": "k"}
    )


def change_key(shop):
    key, _ = ApiKey.make(shop.project, "sk", name="old")
    page = reverse("team", args=[shop.project.slug])
    day = f"{builders.now() + timedelta(days=3):%Y-%m-%d}"
    body = {"scopes": ["serve"], "origins": "https://a.example https://b.example", "expires": day}
    origins = ["https://a.example", "https://b.example"]
    changed = ApiKey.objects.filter(
        pk=key.pk, scopes=["serve"], allowed_origins=origins, expires_at__date=day
    )
    shows = {"data_key_name": "old", "data_scopes": "serve", "data_expires": day}
    return Step(f"{page}keys/{key.pk}/", body, changed.exists, page, shows)


def revoke_key(shop):
    key, _ = ApiKey.make(shop.project, "pk", name="old")
    page = reverse("team", args=[shop.project.slug])
    revoked = ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=False)
    shows = {"data_key_name": "old", "data_revoked": "true"}
    return Step(f"{page}keys/{key.pk}/revoke/", {}, revoked.exists, page, shows)


def set_member(shop):
    user = User.objects.create_user(f"new-{uuid7()}")
    page = reverse("team", args=[shop.project.slug])
    members = shop.project.memberships.filter(user=user, role="analyst")
    body = {"username": user.username, "role": "analyst"}
    shows = {"data_member": user.username, "data_role": "analyst"}
    return Step(f"{page}members/", body, members.exists, page, shows)


# Verb → the least role that may, and what prepares it. Acts on experiments are named as in the address.
VERBS = {
    "act start": (OPERATE, act(draft, "start", state="running", shows={"data_state": "running"})),
    "act stop": (OPERATE, act(running, "stop", state="ended", shows={"data_state": "ended"})),
    "act ship": (
        OPERATE,
        act(
            running,
            "ship",
            {"variant": "treatment", "reason": "it is cheaper"},
            state="ended",
            shows={"data_state": "ended"},
        ),
    ),
    "act ramp": (
        OPERATE,
        act(with_fields(running, allocation=0.1), "ramp", {"allocation": "50"}, allocation=0.5),
    ),
    "act turn-off": (
        OPERATE,
        act(running, "turn-off", enabled=False, shows={"data_enabled": "false"}),
    ),
    "act turn-on": (
        OPERATE,
        act(
            with_fields(running, enabled=False), "turn-on", enabled=True, shows={"data_enabled": "true"}
        ),
    ),
    "act learn": (
        ANALYSE,
        act(
            ended,
            "learn",
            {"learnings": "Titles matter."},
            learnings="Titles matter.",
            shows={"data_learnings": ""},
        ),
    ),
    "act rename": (
        ANALYSE,
        act(running, "rename", {"name": "Newer first"}, name="Newer first"),
    ),
    "act tag": (
        ANALYSE,
        act(ended, "tag", {"tags": "Spring, Home"}, tags=["Spring", "Home"], shows={"data_tags": ""}),
    ),
    "act archive": (
        ANALYSE,
        act(ended, "archive", archived_at__isnull=False, shows={"data_archived": "true"}),
    ),
    "act restore": (
        ANALYSE,
        act(
            with_fields(ended, archived_at=builders.now()),
            "restore",
            archived_at=None,
            shows={"data_archived": "false"},
        ),
    ),
    "act discard": (ANALYSE, discard),
    "experiments-new": (ANALYSE, define),
    "edit": (ANALYSE, edit),
    "share": (ANALYSE, share),
    "revoke-share": (ANALYSE, revoke_share),
    **{verb: (ANALYSE, prepare) for verb, prepare in {**COMMENT_VERBS, **PICTURE_VERBS}.items()},
    **{verb: (ADMINISTER, prepare) for verb, prepare in COMMENT_VERBS_OF_ADMINS.items()},
    **{verb: (OPERATE, prepare) for verb, prepare in ARCHIVE_VERBS_OF_SURFACES.items()},
    **{verb: (ANALYSE, prepare) for verb, prepare in ARCHIVE_VERBS_OF_METRICS.items()},
    "metrics": (ANALYSE, make_metric),
    "metric-edit": (ANALYSE, edit_metric),
    "surfaces": (OPERATE, make_surface),
    "surface-edit": (OPERATE, edit_surface),
    "surface-rules": (OPERATE, edit_rules),
    "surface-list": (OPERATE, edit_list),
    "surface-rules-serve": (OPERATE, serve_saved_rules),
    "surface-train": (OPERATE, train),
    "surface-train-params": (OPERATE, train_with_parameters),
    "cancel-run": (OPERATE, cancel_run),
    "version-act promote": (OPERATE, of_version("promote", "champion")),
    "version-act shadow": (OPERATE, of_version("shadow", "shadow")),
    **{verb: (OPERATE, prepare) for verb, prepare in JUDGING_VERBS.items()},
    "feedback": (ANALYSE, review),
    **{verb: (OPERATE, prepare) for verb, prepare in SURVEY_VERBS.items()},
    **{verb: (OPERATE, prepare) for verb, prepare in AUTOPILOT_VERBS.items()},
    **ALERT_VERBS,
    "team-make-key": (ADMINISTER, make_key),
    "team-change-key": (ADMINISTER, change_key),
    "team-revoke-key": (ADMINISTER, revoke_key),
    **{verb: (ADMINISTER, prepare) for verb, prepare in INVITATION_VERBS.items()},
    "team-set-member": (ADMINISTER, set_member),
}
READ_ONLY = {
    "comment-edit",  # of its author alone: tests/dashboard/test_comments.py
    "account-session-end", "account-sessions-end",  # of one's own alone: test_sessions.py
    "view-save", "view-change", "view-delete",  # every member has their own: test_saved_views.py
    "autopilot", "home", "report", "variant-picture", "download", "experiments", "experiments-plan", "generations", "generation", "playground", "impact", "impact-download", "programme", "surface-history", "metric", "usage", "usage-download", "surface", "surface-policy",
    "feedback-themes", "feedback-survey-answers", "models", "runs", "version", "units", "search", "plan", "sample-picture", "events", "alerts", "team", "team-audit", "shared", "run", "run-comparison", "label-noise-download", "health", "demo", "sdk", "sdk-file", "sdk-version", "sign-in", "forgot-password", "reset-password", "second-factor", "account", "account-second-factor", "account-second-factor-begin", "account-second-factor-off", "account-recovery-codes", "account-passkey-add", "account-passkey-options", "account-passkey-remove", "passkey-sign-in", "passkey-sign-in-options", "single-sign-on", "invited", "single-sign-on-back", "sign-out", "set_language",
}  # fmt: skip


SEVERAL = {  # one address, several verbs
    "act": ACTS,
    "version-act": VERSION_ACTS,
    "surface-act": SURFACE_ACTS,
    "metric-act": METRIC_ACTS,
    "autopilot-ramp": RAMP_ACTS,
    "autopilot-queue": QUEUE_ACTS,
    "autopilot-proposal": PROPOSAL_ACTS,
}


def names_of(patterns: list[URLPattern | URLResolver]) -> set[str]:
    names: set[str] = set()
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            names |= names_of(pattern.url_patterns)
        else:
            verbs = SEVERAL.get(pattern.name)
            names |= {f"{pattern.name} {verb}" for verb in verbs} if verbs else {pattern.name}
    return names


def test_the_table_names_every_verb():
    assert names_of(urls.urlpatterns) == READ_ONLY | set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_for_its_role_alone_has_its_effect_and_one_entry(shop, lane, verb, declared_provider):
    needed, prepare = VERBS[verb]
    step = prepare(shop)
    entries = AuditEntry.objects.filter(project=shop.project)
    before = set(entries.values_list("pk", flat=True))
    assert Client().post(step.address, step.body).status_code == 302  # to the sign-in
    assert sign_in().post(step.address, step.body).status_code == 404
    below = sign_in(shop.project, role=BELOW[needed])
    assert below.post(step.address, step.body).status_code == 403
    assert not step.is_done()
    assert set(entries.values_list("pk", flat=True)) == before

    user = make_user(shop.project, role=needed)
    client = Client()
    client.force_login(user)
    answer = client.post(step.address, step.body)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    assert step.is_done()
    (entry,) = entries.exclude(pk__in=before)
    assert entry.actor == user.username
    page = client.get(step.page).content.decode()
    assert not step.shows or has(page, **step.shows), page
    assert not step.shows_no_more or not has(page, **step.shows_no_more)
    assert has(
        client.get(reverse("team", args=[shop.project.slug])).content.decode(), data_actor=user.username
    )
