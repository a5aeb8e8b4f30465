"""A surface's history of settings: who changed what, from every face, as a page and as JSON."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry
from bakeoff.dashboard.paging import PER_PAGE
from bakeoff.dashboard.views.surface_history import MAX_LATEST
from bakeoff.dashboard.views.surfaces import SurfaceChangeForm
from experiments.actions.change_programme import change_programme
from experiments.actions.change_surface import EDITABLE, create_surface, patch_surface
from experiments.actions.plan_judging import SETTINGS as JUDGING
from experiments.actions.plan_judging import plan_judging
from experiments.reports.surface_history import FIELD_NAMES, MAX_SHOWN, history_of, read_change
from inference.models import Surface
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import sign_in
from tests.support.html import has


@pytest.fixture
def client(shop):
    return sign_in(shop.project, role="operator")


@pytest.fixture
def call(lane, shop):
    def call(method, path, body=None, key=None):
        headers = {"Authorization": f"Bearer {key or shop.secret}"}
        return lane.client.request(method, f"/v1{path}", json=body, headers=headers)

    return call


def page_of(surface, name="surface-history", query=""):
    return reverse(name, args=[surface.project.slug, surface.key]) + query


def newest(surface):
    return read_change(history_of(surface)[0])


def texts_of(change):
    return [
        (line.name, line.path, line.before, line.after, line.removed, line.added)
        for line in change.lines()
    ]


def test_each_face_leaves_a_change(shop, client, call, tmp_path, monkeypatch):
    surface = shop.surface
    assert call("PATCH", "/surfaces/home-feed", {"exploration": 0.2}).status_code == 200
    rules = {"rules": '{"caps": {"labels": 2}}', "k": "5", "save": "1"}
    assert client.post(page_of(surface, "surface-rules"), rules).status_code == 302
    file = tmp_path / "bakeoff.yaml"
    file.write_text("version: 1\nsurfaces: {home-feed: {shadow_share: 0.3}}\n", encoding="utf-8")
    run("config", "apply", "-f", str(file), "--project", shop.project.slug, "--yes")
    rows = call("GET", "/surfaces/home-feed/history").json()
    assert [one["changes"] for one in rows] == [
        [{"field": "shadow_share", "before": 0.1, "after": 0.3}],
        [{"field": "rules", "before": {}, "after": {"caps": {"labels": 2}}}],
        [{"field": "exploration", "before": 0.0, "after": 0.2}],
    ]
    assert {(one["part"], one["is_creation"]) for one in rows} == {("surface", False)}
    assert [one["by"].startswith("key sk_") for one in rows] == [False, False, True]
    page = client.get(page_of(surface)).content.decode()
    assert [has(page, data_change=str(one["id"])) for one in rows] == [True] * 3
    for part in ("Exploration:", "0.2", "<code>caps</code>", "Share of shadow traffic:"):
        assert part in page
    shell = ["surfaces", "history", "home-feed", "--project", shop.project.slug]
    printed = json.loads(run(*shell, "--json"))
    for one, row in zip(printed, rows, strict=True):
        assert one.pop("at")[:19] == row.pop("at")[:19]  # the API gives milliseconds
        assert one == row
    # A terminal that wraps no cell; COLUMNS is read only once, by whichever test imports it first.
    monkeypatch.setattr("bakeoff.commands.terminal.console._width", 200)
    text = run(*shell, "--limit", "2")
    for part in ("Share of shadow traffic: 0.1 → 0.3", "Rules (caps): – → {", "operator", "Surface"):
        assert part in text
    assert "Exploration" not in text


def test_a_shell_names_creation_and_what_lists_gained(shop):
    create_surface(project=shop.project, key="new", values={"kind": "recommend"}, by="ann")
    surface = Surface.objects.get(project=shop.project, key="new")
    patch_surface(surface=surface, changes={"liked_events": ["like"]}, by="ann")
    text = run("surfaces", "history", "new", "--project", shop.project.slug)
    assert text.index("Positive signals: added like") < text.index("Created")
    empty = run("surfaces", "history", "home-feed", "--project", shop.project.slug)
    assert empty == "No changes recorded.\n"


def test_autopilot_and_judging_are_part_of_it(shop, client):
    surface = Surface.objects.create(project=shop.project, key="chat", kind="generate")
    change_programme(surface=surface, changes={"cooldown_days": 3.0}, by="ann")
    plan_judging(surface=surface, changes={"points": 7}, by="ben")
    parts = [(one.part, one.by) for one in map(read_change, history_of(surface))]
    assert parts == [("judging", "ben"), ("autopilot", "ann")]
    page = client.get(page_of(surface)).content.decode()
    for part in ("Cool-down (days): <del>1</del> → <ins>3</ins>", "Points of the scale:", "Judging"):
        assert part in page


def test_a_new_surface_lists_what_is_not_its_default(shop, call):
    values = {"kind": "recommend", "exploration": 0.1, "labels": []}
    surface = create_surface(project=shop.project, key="new", values=values, by="ann")
    change = newest(surface)
    assert (change.is_creation, change.by) == (True, "ann")
    assert [(one.field, one.before, one.after) for one in change.changes] == [("exploration", 0.0, 0.1)]
    (row,) = call("GET", "/surfaces/new/history").json()
    assert (row["is_creation"], row["approvals"]) == (True, [])


def test_lists_show_what_came_and_went(shop):
    surface = shop.surface
    patch_surface(surface=surface, changes={"static_list": ["a", "b", "c"]}, by="ann")
    patch_surface(surface=surface, changes={"static_list": ["b", "c", "d"]}, by="ann")
    assert texts_of(newest(surface)) == [("Static list", "", "", "", "a", "d")]
    patch_surface(surface=surface, changes={"static_list": ["c", "b", "d"]}, by="ann")
    assert texts_of(newest(surface)) == [("Static list", "", "b, c, d", "c, b, d", "", "")]


def test_rules_differ_value_by_value(shop):
    surface = shop.surface
    for rules in (
        {"caps": {"labels": 2}, "diversity": {"by": "labels", "strength": 0.3}},
        {"caps": {"labels": 3}, "diversity": {"by": "labels", "strength": 0.3}},
        {"caps": {"labels": 3}, "pin": [{"item_id": "i1", "position": 1}]},
    ):
        patch_surface(surface=surface, changes={"rules": rules}, by="ann")
    newest_first = [texts_of(read_change(one)) for one in history_of(surface)]
    pinned = '[{"item_id":"i1","position":1}]'
    assert newest_first[0] == [
        ("Rules", "diversity", '{"by":"labels","strength":0.3}', "–", "", ""),
        ("Rules", "pin", "–", pinned, "", ""),
    ]
    assert newest_first[1] == [("Rules", "caps.labels", "2", "3", "", "")]


def test_long_texts_are_cut_where_they_differ(shop):
    surface = Surface.objects.create(project=shop.project, key="chat", kind="generate")
    for end in ("one", "two"):
        plan_judging(surface=surface, changes={"rubric": "x" * 500 + end}, by="ann")
    ((_name, _path, before, after, _removed, _added),) = texts_of(newest(surface))
    assert (before[-4:], after[-4:]) == ("xone", "xtwo")
    assert max(len(before), len(after)) <= MAX_SHOWN


def test_pages_of_it_and_the_surface_page(shop, client, call):
    surface = shop.surface
    page = client.get(page_of(surface, "surface")).content.decode()
    assert "No changes yet." in page
    assert reverse("surface-history", args=[shop.project.slug, surface.key]) not in page
    assert "No changes yet." in client.get(page_of(surface)).content.decode()
    assert call("GET", "/surfaces/home-feed/history").json() == []
    for n in range(PER_PAGE + 1):
        patch_surface(surface=surface, changes={"exploration": 0.1 + n / 100}, by="ann")
    shown = client.get(page_of(surface, "surface")).content.decode()
    assert shown.count("data-change=") == MAX_LATEST
    assert page_of(surface) in shown
    assert client.get(page_of(surface)).content.decode().count("data-change=") == PER_PAGE
    assert client.get(page_of(surface, query="?page=2")).content.decode().count("data-change=") == 1
    rows = call("GET", "/surfaces/home-feed/history?limit=2&offset=30").json()
    assert [one["changes"][0]["before"] for one in rows] == [0.0]


def test_others_changes_are_not_shown(shop, lane, call):
    stranger = builders.make_shop()
    lane.refresh()
    patch_surface(surface=stranger.surface, changes={"exploration": 0.4}, by="ann")
    other = Surface.objects.create(project=shop.project, key="other")
    patch_surface(surface=other, changes={"exploration": 0.4}, by="ann")
    assert call("GET", "/surfaces/home-feed/history").json() == []
    assert call("GET", "/surfaces/nowhere/history").status_code == 404
    assert sign_in(stranger.project).get(page_of(shop.surface)).status_code == 404
    assert sign_in(shop.project).get(page_of(other)).status_code == 200


def test_an_entry_of_an_unknown_form_is_shown(shop, client):
    """As an earlier release, or SQL, left it."""
    for detail in ({}, {"changed": {"gone": [1, 2]}}):
        AuditEntry.objects.create(
            project=shop.project,
            actor="ann",
            action="change surface",
            subject="home-feed",
            detail=detail,
        )
    page = client.get(page_of(shop.surface)).content.decode()
    assert page.count("data-change=") == 2
    assert "gone: <del><code>1</code></del> → <ins><code>2</code></ins>" in page


def test_each_setting_has_a_name():
    assert set(FIELD_NAMES) == {*EDITABLE, *JUDGING}
    labels = SurfaceChangeForm.Meta.labels
    assert {name: str(labels[name]) for name in labels if name in EDITABLE} == {
        name: FIELD_NAMES[name] for name in labels if name in EDITABLE
    }


def test_the_history_reads_the_entries_of_its_surface_alone(shop):
    """By an index, in its order: neither the project's whole trail nor a sort of what is found."""
    entries = (
        AuditEntry(project=shop.project, actor="a", action="change surface", subject=f"other-{n}")
        for n in range(5000)
    )
    AuditEntry.objects.bulk_create(entries)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_auditentry")
    plan = history_of(shop.surface)[:20].explain(analyze=True)
    assert "Index Scan using audit_by_subject" in plan
    assert not re.search(r"Sort|Seq Scan|Rows Removed by Filter: \d{2}", plan), plan
