"""The verbs of invitations on pages, as `tests/dashboard/test_verbs.py` tries them."""

from __future__ import annotations

from django.urls import reverse

from bakeoff.accounts.invite import invite
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


INVITATION_VERBS = {"team-invite": invite_somebody, "team-revoke-invitation": revoke_invited}
