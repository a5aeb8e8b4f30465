"""The verbs of invitations on pages, as `tests/dashboard/test_verbs.py` tries them."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from bakeoff.accounts.invite import invite
from bakeoff.accounts.models import SecondFactor, SignedInSession
from tests.support.builders import now
from tests.support.dashboard import make_user
from tests.support.verb_step import Step


def invite_somebody(shop):
    page = reverse("team", args=[shop.project.slug])
    open_ones = shop.project.invitations.filter(role="analyst", email="ann@shop.example")
    body = {"role": "analyst", "email": "ann@shop.example"}
    return Step(f"{page}invitations/", body, open_ones.exists, page, {"data_role": "analyst"})


def revoke_invited(shop):
    invitation, _ = invite(project=shop.project, role="viewer", by="a test")
    page = reverse("team", args=[shop.project.slug])
    revoked = shop.project.invitations.filter(pk=invitation.pk, revoked_at__isnull=False)
    gone = {"data_invitation": str(invitation.pk)}
    return Step(
        f"{page}invitations/{invitation.pk}/revoke/", {}, revoked.exists, page, shows_no_more=gone
    )


def renew_invited(shop):
    invitation, _ = invite(project=shop.project, role="viewer", by="a test")
    page = reverse("team", args=[shop.project.slug])
    renewed = shop.project.invitations.filter(pk=invitation.pk).exclude(digest=invitation.digest)
    shown = {"data_invitation": str(invitation.pk)}
    return Step(f"{page}invitations/{invitation.pk}/renew/", {}, renewed.exists, page, shown)


def make_reset_link(shop):
    member = make_user(shop.project)
    page = reverse("team", args=[shop.project.slug])
    links = member.password_resets.filter(project=shop.project)
    return Step(f"{page}reset-link/", {"username": member.username}, links.exists, page, {})


def remove_second_factor(shop):
    member = make_user(shop.project)
    factors = SecondFactor.objects.filter(user=member)
    SecondFactor.objects.create(user=member, secret="A" * 32, confirmed_at=now())
    page = reverse("team", args=[shop.project.slug])
    body = {"username": member.username}
    return Step(f"{page}second-factor/", body, lambda: not factors.exists(), page, {})


def end_sessions(shop):
    member = make_user(shop.project)
    Client().force_login(member)
    page = reverse("team", args=[shop.project.slug])
    sessions = SignedInSession.objects.filter(user=member)
    body = {"username": member.username}
    return Step(f"{page}sessions/", body, lambda: not sessions.exists(), page, {})


INVITATION_VERBS = {
    "team-end-sessions": end_sessions,
    "team-remove-second-factor": remove_second_factor,
    "team-reset-link": make_reset_link,
    "team-invite": invite_somebody,
    "team-renew-invitation": renew_invited,
    "team-revoke-invitation": revoke_invited,
}
