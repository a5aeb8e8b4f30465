"""What pages refuse to do, and what the admin writes into the trail."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from uuid_utils import uuid7

from bakeoff.accounts.models import AuditEntry
from tests.support.dashboard import make_user


def test_the_last_administrator_stays(shop):
    admin = make_user(shop.project, role="admin")
    client = Client()
    client.force_login(admin)
    address = f"/p/{shop.project.slug}/team/members/"
    for role in ("viewer", ""):
        refused = client.post(address, {"username": admin.username, "role": role}, follow=True)
        # A row's button removes: its refusal stands over the page, not in the form that gives roles.
        assert refused.status_code == (422 if role else 200)
        assert f"{admin.username} is the last admin of this project." in refused.content.decode()
        assert shop.project.memberships.get().role == "admin"
    client.post(address, {"username": admin.username, "role": "emperor"})
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
