"""Invitations by e-mail: sent where it is set up, and whoever invites is told where it was not."""

from __future__ import annotations

import re
import socket
from dataclasses import replace

import pytest
import redis
from aiosmtpd.smtp import AuthResult
from django.test import Client

from bakeoff.accounts.invite import (
    InvitationError,
    invite,
    note_mailed,
    renew_invitation,
    revoke_invitation,
)
from bakeoff.accounts.models import AuditEntry
from bakeoff.dashboard.sign_in_throttle import MAX_MAILS, MailThrottle
from bakeoff.dashboard.views import invitations
from bakeoff.delivery import invitation_mail
from bakeoff.public_address import PublicUrl
from inference.cache import cache_client
from tests.support import builders
from tests.support.dashboard import make_user, sign_in
from tests.support.mailbox import smtp_sink

REFUSED = "No e-mail was sent: The mail server {}."
LINK = re.compile(r"https://bakeoff\.example(/invited/[\w-]+/)")


@pytest.fixture
def project(tables):
    return builders.make_project()


@pytest.fixture
def person(project):
    return make_user(project, role="admin")


@pytest.fixture
def admin(person):
    browser = Client()
    browser.force_login(person)
    return browser


@pytest.fixture
def mailbox(settings):
    settings.PUBLIC = PublicUrl.parse("https://bakeoff.example")
    settings.ALLOWED_HOSTS = ["*"]
    with smtp_sink(settings) as mailbox:
        yield mailbox


def invited(admin, project, email: str, **headers: str) -> str:
    """Invite somebody on the Team page; return what it says then."""
    page = f"/p/{project.slug}/team/"
    answer = admin.post(
        f"{page}invitations/", {"role": "analyst", "email": email}, follow=True, headers=headers
    )
    return answer.content.decode()


def actions(project) -> list[str]:
    entries = AuditEntry.objects.filter(project=project, action__contains="invit").order_by("pk")
    return [one.action for one in entries]


def address(project) -> str:
    return f"ann@{project.slug}.example"  # of one test alone: mailboxes are counted


def test_an_invitation_is_sent_and_shown_and_its_link_lets_in(project, person, admin, mailbox):
    # A header that a browser sends chooses no address of ours.
    shown = invited(admin, project, address(project), host="evil.example")
    assert f"An e-mail with this link was sent to {address(project)}." in shown
    (message,) = mailbox.messages
    assert (message["To"], message["From"]) == (address(project), "bakeoff@shop.example")
    assert message["Subject"] == f"Bakeoff: {person} invites you to {project.name}"
    text = message.get_content()
    assert "Your role: Analyst: creates" in text
    assert LINK.findall(text) == LINK.findall(shown)
    assert Client().get(LINK.search(text).group(1)).status_code == 200
    page = admin.get(f"/p/{project.slug}/team/").content.decode()
    assert 'data-mailed="true"' in page
    assert "Send again" in page
    assert actions(project) == ["invite", "mail invitation"]


def test_the_language_is_that_of_who_invites(project, admin, mailbox):
    invited(admin, project, address(project), **{"accept-language": "zh-Hans"})
    (message,) = mailbox.messages
    assert "邀请您加入" in message["Subject"]
    assert "您的角色：" in message.get_content()


def test_one_that_is_sent_again_has_a_new_link_alone(project, admin, mailbox):
    invited(admin, project, address(project))
    (invitation,) = project.invitations.all()
    page = f"/p/{project.slug}/team/"
    renew = f"{page}invitations/{invitation.pk}/renew/"
    assert sign_in(project, role="operator").post(renew).status_code == 403
    shown = admin.post(renew, follow=True).content.decode()
    assert f"was sent to {address(project)}" in shown
    first, second = (LINK.search(one.get_content()).group(1) for one in mailbox.messages)
    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200
    assert actions(project) == ["invite", "mail invitation", "renew invitation", "mail invitation"]
    revoke_invitation(invitation=invitation, by="a test")
    gone = admin.post(renew, follow=True).content.decode()
    assert "This invitation was used or revoked, or has expired." in gone
    assert len(mailbox.messages) == 2


def test_what_the_server_refuses_is_said_and_the_link_is_good(project, admin, mailbox):
    mailbox.refused = {address(project)}
    shown = invited(admin, project, address(project))
    assert REFUSED.format("rejects the recipient (550 no such mailbox): check the address") in shown
    assert Client().get(LINK.search(shown).group(1)).status_code == 200
    assert project.invitations.get().mailed_at is None
    assert actions(project) == ["invite"]


def test_a_server_that_is_away_is_said(project, admin, mailbox, settings):
    settings.EMAIL_PORT = 1
    chinese = invited(admin, project, address(project), **{"accept-language": "zh-Hans"})
    assert "127.0.0.1:1 上没有邮件服务器：请检查 BAKEOFF_SMTP_HOST" in chinese
    shown = invited(admin, project, address(project))
    assert "No e-mail was sent: No mail server listens at 127.0.0.1:1: check BAKEOFF_SMTP_HOST" in shown
    settings.EMAIL_HOST = "mail.invalid"
    shown = invited(admin, project, f"b{address(project)}")
    assert REFUSED.format("mail.invalid has no address: check BAKEOFF_SMTP_HOST") in shown


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            {"sender_answer": "553 not yours"},
            "rejects the sender (553 not yours): set BAKEOFF_SMTP_FROM",
        ),
        ({"data_answer": "451 try later"}, "answered 451 try later: try again later."),
        ({"data_answer": "554 no thanks"}, "answered 554 no thanks: ask who runs it."),
    ],
)
def test_the_answer_of_the_server_is_said_with_what_to_do(project, admin, mailbox, answers, words):
    for name, answer in answers.items():
        setattr(mailbox, name, answer)
    assert words in invited(admin, project, address(project))


def refuse_with_password(_server, _session, _envelope, _mechanism, data):
    """A server that repeats what it was told."""
    text = f"535 5.7.8 wrong: {data.password.decode()}"
    return AuthResult(success=False, handled=False, message=text)


@pytest.mark.parametrize("password", ["hunter-two", "hunter  two\ttimes"])
def test_a_refused_sign_in_names_its_settings_and_never_the_password(
    project, admin, settings, caplog, password
):
    settings.PUBLIC = PublicUrl.parse("https://bakeoff.example")
    settings.ALLOWED_HOSTS = ["*"]
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "ops", password
    with smtp_sink(settings, authenticator=refuse_with_password, auth_require_tls=False):
        shown = invited(admin, project, address(project))
    words = (
        "rejects the sign-in (535 5.7.8 wrong: …): check BAKEOFF_SMTP_USER and BAKEOFF_SMTP_PASSWORD."
    )
    assert REFUSED.format(words.removesuffix(".")) in shown
    assert "hunter" not in shown + caplog.text
    assert "an e-mail was not sent" in caplog.text


def test_a_server_without_what_is_set_names_the_setting(project, admin, mailbox, settings):
    settings.EMAIL_USE_TLS = True  # it has no STARTTLS
    shown = invited(admin, project, address(project))
    assert "expects another encryption: check BAKEOFF_SMTP_SECURITY and BAKEOFF_SMTP_PORT." in shown
    settings.EMAIL_USE_TLS, settings.EMAIL_USE_SSL = False, True
    shown = invited(admin, project, f"b{address(project)}")
    assert "TLS with the mail server at 127.0.0.1" in shown


def test_nobody_waits_long_for_a_server_that_says_nothing(
    project, admin, mailbox, settings, monkeypatch
):
    monkeypatch.setattr(invitation_mail, "MAX_SILENCE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_PORT = silent.getsockname()[1]
        shown = invited(admin, project, address(project))
    assert "did not answer within 0.2 s: check BAKEOFF_SMTP_HOST and BAKEOFF_SMTP_PORT" in shown
    assert LINK.search(shown)


def test_nobody_fills_a_mailbox_through_us(project, admin, mailbox):
    for _ in range(MAX_MAILS):
        assert "was sent to" in invited(admin, project, address(project))
    shown = invited(admin, project, address(project))
    assert "No e-mail was sent: Too many requests." in shown
    assert LINK.search(shown)
    assert len(mailbox.messages) == MAX_MAILS
    assert "was sent to" in invited(admin, project, f"b{address(project)}")
    # Who has forgotten a password does not wait for invitations.
    assert MailThrottle(cache_client(), address=project.slug, email=address(project)).admits()


def test_a_link_that_cannot_be_sent_again_still_works(project, admin, mailbox, monkeypatch):
    for _ in range(MAX_MAILS):
        invited(admin, project, address(project))
    invitation = project.invitations.order_by("pk").last()
    renew = f"/p/{project.slug}/team/invitations/{invitation.pk}/renew/"
    shown = admin.post(renew, follow=True).content.decode()
    assert "No e-mail was sent, and the previous link still works: Too many requests." in shown
    chinese = {"accept-language": "zh-Hans"}
    monkeypatch.setattr(invitations, "cache_client", lambda: redis.Redis(port=1))
    shown = admin.post(renew, follow=True, headers=chinese).content.decode()
    assert "之前的链接仍然有效：统计电子邮件数量的缓存没有响应。" in shown
    last = LINK.search(mailbox.messages[-1].get_content()).group(1)
    assert Client().get(last).status_code == 200
    assert actions(project).count("renew invitation") == 0
    assert len(mailbox.messages) == MAX_MAILS


def test_without_a_setting_the_page_says_which(project, admin, mailbox, settings):
    settings.PUBLIC = None
    assert "No e-mail was sent: BAKEOFF_PUBLIC_URL is not set." in invited(
        admin, project, address(project)
    )
    settings.BAKEOFF = replace(settings.BAKEOFF, smtp=None)
    shown = invited(admin, project, address(project))
    assert "No e-mail was sent: BAKEOFF_SMTP_HOST names no SMTP server." in shown
    assert "No e-mail was sent" not in invited(admin, project, "")
    assert mailbox.messages == []


def test_a_name_of_several_lines_makes_no_header(project, admin, mailbox):
    project.name = "Shop\r\nBcc: all@shop.example"
    project.save()
    invited(admin, project, address(project))
    (message,) = mailbox.messages
    assert message["Bcc"] is None
    assert message["Subject"].endswith("invites you to Shop Bcc: all@shop.example")


def test_a_link_that_was_replaced_meanwhile_was_not_mailed(project):
    invitation, _ = invite(project=project, role="viewer", by="a test")
    renewed, _ = renew_invitation(invitation=invitation, by="a test")
    note_mailed(invitation=invitation, by="a test")
    assert project.invitations.get().mailed_at is None
    note_mailed(invitation=renewed, by="a test")
    assert project.invitations.get().mailed_at is not None
    assert actions(project) == ["invite", "renew invitation", "mail invitation"]


def test_what_is_used_up_is_not_renewed(project):
    invitation, _ = invite(project=project, role="viewer", by="a test")
    revoke_invitation(invitation=invitation, by="a test")
    with pytest.raises(InvitationError, match=r"must be one that is not used"):
        renew_invitation(invitation=invitation, by="a test")
