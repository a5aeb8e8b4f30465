"""The audit trail as it leaves the platform: by the API, from the page, whole and of one project."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest

from bakeoff import audit_export
from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import AuditEntry
from tests.support import builders
from tests.support.dashboard import sign_in


@pytest.fixture
def trail(shop, monkeypatch):
    """Five entries, read in pages of two; the third is a day old, the fourth would be a formula."""
    monkeypatch.setattr(audit_export, "CHUNK", 2)
    AuditEntry.objects.filter(project=shop.project).delete()
    for n, actor in enumerate(["ann", "bob", "ann", "=1+1", "ann"]):
        detail = {"why": f"line\n{n}, ü"}
        record_audit(shop.project.pk, actor=actor, action=f"act {n}", subject=f"s{n}", detail=detail)
    old = builders.now() - timedelta(days=1)
    AuditEntry.objects.filter(project=shop.project, action="act 2").update(at=old)
    other = builders.make_project()
    record_audit(other.pk, actor="stranger", action="start", subject="x")
    return shop


@pytest.fixture
def ask(lane, trail):
    def ask(path, **query):
        headers = {"Authorization": f"Bearer {trail.secret}"}
        return lane.client.get(f"/v1/{path}", params=query, headers=headers)

    return ask


def test_it_comes_in_pages_and_by_what_is_wanted(ask):
    whole = ask("audit").json()
    assert [one["action"] for one in whole] == ["act 4", "act 3", "act 1", "act 0", "act 2"]
    assert whole[0] | {"id": 0, "at": ""} == {
        "id": 0, "at": "", "actor": "ann", "action": "act 4", "subject": "s4",
        "detail": {"why": "line\n4, ü"},
    }  # fmt: skip
    assert ask("audit", limit=2, offset=1).json() == whole[1:3]
    assert [one["action"] for one in ask("audit", actor="ann").json()] == ["act 4", "act 0", "act 2"]
    assert ask("audit", action="act 3").json() == whole[1:2]
    recent = (builders.now() - timedelta(hours=1)).isoformat()
    assert ask("audit", since=recent).json() == whole[:4]
    assert ask("audit", until=recent).json() == whole[4:]


def test_a_span_that_ends_before_it_begins_is_refused(ask):
    for path in ("audit", "audit/export"):
        answer = ask(path, since="2026-02-01T00:00:00Z", until="2026-01-01T00:00:00Z")
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_range")
        assert "must be before until == 2026-01-01" in answer.json()["error"]["message"]
        assert ask(path, since="2026-02-01").status_code == 400  # of which zone?
    assert ask("audit/export", format="xml").status_code == 400


def test_json_lines_hold_every_entry_once(ask, trail):
    answer = ask("audit/export")
    assert answer.headers["content-type"] == "application/jsonl"
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["action"] for row in rows] == [f"act {n}" for n in range(5)]
    assert {row["project"] for row in rows} == {trail.project.slug}
    assert rows[2]["detail"] == {"why": "line\n2, ü"}
    assert len(ask("audit/export", actor="bob").text.splitlines()) == 1


def test_rows_travel_many_at_once(trail):
    for kind, pieces in (("jsonl", 3), ("csv", 4)):  # pages of two, and the names of the columns
        assert len(list(audit_export.audit_text(trail.project, kind))) == pieces


def test_csv_is_the_same_and_no_formula(ask, trail):
    rows = list(csv.DictReader(io.StringIO(ask("audit/export", format="csv").text)))
    assert [row["actor"] for row in rows] == ["ann", "bob", "ann", "'=1+1", "ann"]
    assert json.loads(rows[4]["detail"]) == {"why": "line\n4, ü"}


def test_the_page_gives_both_files_to_its_members(ask, trail):
    page = f"/p/{trail.project.slug}/team/"
    viewer = sign_in(trail.project, role="viewer")
    shown = viewer.get(page).content.decode()
    for form in ("jsonl", "csv"):
        assert f"{page}audit.{form}" in shown
        answer = viewer.get(f"{page}audit.{form}")
        assert answer.headers["Content-Disposition"].endswith(f'.{form}"')
        assert answer.getvalue().decode() == ask("audit/export", format=form).text
    assert viewer.get(f"{page}audit.xml").status_code == 404
    assert sign_in().get(f"{page}audit.csv").status_code == 404
