"""Saved views over lists: one's own and shared ones, and who may change them."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry, SavedView
from inference.models import Surface, TrainingRun
from tests.support import builders
from tests.support.dashboard import make_user, sign_in
from tests.support.html import elements, has


@pytest.fixture
def project(tables):
    return builders.make_project()


def member(project, role: str = "viewer") -> tuple[Client, str]:
    person, client = make_user(project, role=role), Client()
    client.force_login(person)
    return client, person.username


def save(client, project, name="mine", *, of="experiments", key="", follow=True, **body):
    fields = {"list": of, "key": key, "name": name, **body}
    return client.post(f"/p/{project.slug}/views/", fields, follow=follow)


def chips_of(client, project, address="experiments/") -> list[str]:
    page = client.get(f"/p/{project.slug}/{address}").content.decode()
    return [one["data-view"] for one in elements(page, tag="a") if "data-view" in one]


def test_filters_are_saved_and_chosen_again(project):
    client, name = member(project)
    plain = client.get(f"/p/{project.slug}/experiments/").content.decode()
    assert "Save view" not in plain  # there is nothing to save
    filtered = client.get(f"/p/{project.slug}/experiments/?state=running&page=2").content.decode()
    assert has(filtered, name="filter-state", value="running")
    answer = save(
        client, project, " what  runs ", follow=False,
        **{"filter-state": "running", "filter-q": " new & old ", "filter-page": "2"},
    )  # fmt: skip
    view = SavedView.objects.get(project=project)
    assert (view.name, view.query, view.shared) == ("what runs", "q=new+%26+old&state=running", False)
    assert answer.headers["location"] == f"/p/{project.slug}/experiments/?{view.query}"
    page = client.get(answer.headers["location"]).content.decode()
    assert has(page, data_view="what runs", aria_current="page")
    assert has(page, name="q", value="new & old")
    entry = AuditEntry.objects.get(project=project, action="save view")
    assert (entry.actor, entry.subject) == (name, "experiments: what runs")
    other = client.get(f"/p/{project.slug}/experiments/?state=ended").content.decode()
    assert has(other, data_view="what runs")
    assert not has(other, data_view="what runs", aria_current="page")
    save(client, project, "what runs", **{"filter-state": "ended"})  # which replaces them
    assert SavedView.objects.get(project=project).query == "state=ended"


def test_a_view_is_ones_own_until_it_is_shared(project):
    owner, _ = member(project, "analyst")
    other, _ = member(project)
    save(owner, project, **{"filter-state": "draft"})
    view = SavedView.objects.get(project=project)
    address = f"/p/{project.slug}/views/{view.pk}/"
    assert (chips_of(owner, project), chips_of(other, project)) == (["mine"], [])
    assert other.post(address, {"name": "theirs"}).status_code == 404
    owner.post(address, {"name": "drafts", "shared": "1"})
    assert chips_of(other, project) == ["drafts"]
    assert (
        "Change view" not in other.get(f"/p/{project.slug}/experiments/?state=draft").content.decode()
    )
    for path in (address, f"{address}delete/"):
        assert other.post(path, {"name": "theirs"}).status_code == 403
    stranger = sign_in(builders.make_project(), role="admin")
    assert stranger.post(f"{address}delete/").status_code == 404
    admin, name = member(project, "admin")
    admin.post(f"{address}delete/")
    assert chips_of(owner, project) == []
    trail = AuditEntry.objects.filter(project=project).order_by("pk")
    assert [one.action for one in trail] == ["save view", "change view", "delete view"]
    assert trail.last().actor == name


def test_sharing_needs_an_analyst(project):
    viewer, _ = member(project)
    body = {"filter-state": "draft"}
    assert save(viewer, project, shared="1", **body).status_code == 403
    save(viewer, project, **body)
    view = SavedView.objects.get(project=project)
    address = f"/p/{project.slug}/views/{view.pk}/"
    assert viewer.post(address, {"name": "mine", "shared": "1"}).status_code == 403
    SavedView.objects.update(shared=True)  # when the role was higher
    assert viewer.post(address, {"name": "still", "shared": "1"}).status_code == 302
    assert viewer.post(address, {"name": "still"}).status_code == 302  # it may be taken back
    assert not SavedView.objects.get(pk=view.pk).shared


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": " ", "filter-q": "x"}, "1 to 60 characters"),
        ({"name": "x" * 61, "filter-q": "x"}, "1 to 60 characters"),
        ({"name": "a\0b", "filter-q": "x"}, "1 to 60 characters"),
        ({"filter-q": " \0 "}, "Choose a filter first"),
    ],
)
def test_what_breaks_a_rule_is_told_and_saves_nothing(project, fields, sentence):
    client, _ = member(project)
    assert sentence in save(client, project, **fields).content.decode()
    assert not SavedView.objects.filter(project=project).exists()


def test_a_name_that_is_taken_and_too_many(project):
    client, _ = member(project)
    for one in ("first", "second"):
        save(client, project, one, **{"filter-q": one})
    second = SavedView.objects.get(project=project, name="second")
    page = client.post(f"/p/{project.slug}/views/{second.pk}/", {"name": "first"}, follow=True)
    assert "already have a view with the name “first”" in page.content.decode()
    SavedView.objects.bulk_create(
        SavedView(project=project, owner=second.owner, list_name="metrics", name=f"{n}", query="q=x")
        for n in range(48)
    )
    assert "You have 50 views" in save(client, project, **{"filter-q": "x"}).content.decode()
    save(client, project, "first", **{"filter-q": "still"})  # replacing is no more
    assert SavedView.objects.get(project=project, name="first").query == "q=still"
    second.owner.delete()
    assert not SavedView.objects.filter(project=project).exists()


@pytest.mark.parametrize(
    ("of", "key"), [("units", ""), ("", ""), ("experiments", "home"), ("generations", ""),
                    ("generations", "home"), ("generations", "nowhere")],
)  # fmt: skip
def test_a_list_that_there_is_none_of_is_refused(project, of, key):
    Surface.objects.create(project=project, key="home")  # which does not generate
    client, _ = member(project)
    assert save(client, project, of=of, key=key, **{"filter-q": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("of", "address", "field", "value"),
    [
        ("models", "models/", "alias", "champion"),
        ("runs", "runs/", "algorithm", "ease"),
        ("metrics", "metrics/", "kind", "mean"),
        ("alerts", "alerts/", "state", "dead"),
        ("team", "team/", "actor", "ann"),
        ("generations", "surfaces/support/generations/", "outcome", "failed"),
    ],
)
def test_each_list_has_them(project, of, address, field, value):
    Surface.objects.create(project=project, key="support", kind="generate")
    client, _ = member(project)
    page = client.get(f"/p/{project.slug}/{address}?{field}={value}").content.decode()
    assert has(page, name=f"filter-{field}", value=value)
    key = "support" if of == "generations" else ""
    save(client, project, of=of, key=key, **{f"filter-{field}": value})
    assert chips_of(client, project, address) == ["mine"]
    assert chips_of(client, project) == []  # not over another list


def test_versions_and_the_audit_log_are_filtered(shop):
    client, name = member(shop.project, "admin")
    models = reverse("models", args=[shop.project.slug])
    other = builders.make_version(shop.surface, list(range(1, 11)))
    page = client.get(f"{models}?alias=champion&surface=home-feed").content.decode()
    assert (shop.champion.label in page, f">{other.label}<" in page) == (True, False)
    assert "No matches" in client.get(f"{models}?surface=nowhere").content.decode()
    save(client, shop.project, **{"filter-q": "x"})
    team = reverse("team", args=[shop.project.slug])
    assert has(client.get(f"{team}?actor={name}&action=SAVE").content.decode(), data_action="save view")
    page = client.get(f"{team}?action=delete").content.decode()
    assert not has(page, data_action="save view")
    assert "No matches" in page


def test_training_runs_are_filtered(shop):
    client, _ = member(shop.project)
    other = Surface.objects.create(project=shop.project, key="desk", kind="classify")
    strange = builders.make_shop()
    runs = {
        name: TrainingRun.objects.create(
            surface=surface, algorithm=algorithm, state=state, trigger="a test"
        )
        for name, surface, algorithm, state in (
            ("old", shop.surface, "ease", "passed"), ("failed", shop.surface, "ease", "failed"),
            ("other", shop.surface, "als", "passed"), ("desk", other, "linear", "passed"),
            ("strange", strange.surface, "ease", "passed"),
        )
    }  # fmt: skip
    address = reverse("runs", args=[shop.project.slug])

    def shown(query: str) -> list[str]:
        page = client.get(f"{address}{query}").content.decode()
        rows = [int(one["data-run"]) for one in elements(page, tag="tr") if "data-run" in one]
        return [next(name for name, run in runs.items() if run.pk == pk) for pk in rows]

    assert shown("") == ["desk", "other", "failed", "old"]
    assert shown("?surface=home-feed") == ["other", "failed", "old"]
    assert shown("?algorithm=ease") == ["failed", "old"]
    assert shown("?algorithm=ease&state=failed&surface=home-feed") == ["failed"]
    assert shown("?state=lost") == ["desk", "other", "failed", "old"]  # as if there were none
    assert shown("?surface=nowhere") == []
    page = client.get(f"{address}?surface=nowhere%00").content.decode()
    assert "No matches" in page
    offered = [one["value"] for one in elements(page, tag="option") if "value" in one]
    assert "running" in offered
    assert ">als</option>" in page
    assert ">linear</option>" in page
    models = client.get(reverse("models", args=[shop.project.slug])).content.decode()
    assert has(models, tag="a", href=address)
    save(
        client,
        shop.project,
        "refits",
        of="runs",
        **{"filter-algorithm": "ease", "filter-state": "passed"},
    )
    assert SavedView.objects.get(project=shop.project).query == "algorithm=ease&state=passed"
    assert shown("?algorithm=ease&state=passed") == ["old"]
    assert sign_in(strange.project).get(address).status_code == 404
