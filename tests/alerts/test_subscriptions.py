"""Who may be told, and what is refused; e-mail through a real SMTP server; the verification in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bakeoff.accounts.models import AuditEntry
from bakeoff.alerts.models import Alert, Subscription
from bakeoff.delivery.edit_subscriptions import (
    SubscriptionChange,
    SubscriptionRuleError,
    change_subscription,
    delete_subscription,
    rotate_secret,
    send_test,
)
from bakeoff.delivery.signature import headers_of
from bakeoff.environment import SettingError, read_environment
from tests.support import alerts, builders
from tests.support.mailbox import smtp_sink

HOOK = "https://hooks.example/bakeoff"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("http://hooks.example/x", "must begin with https://"),
        ("https://user:password@hooks.example/x", "must be a URL such as"),
        ("https://hooks.example/x#part", "must be a URL such as"),
        ("ftp://hooks.example/x", "must be a URL such as"),
        ("https:///x", "must be a URL such as"),
        ("https://hooks.example:99999/", "is no URL"),
        ("https://a b/", "must be a URL such as"),
        ("", "must be a URL such as"),
        ("https://10.0.0.8/x", "is no public address"),
        ("https://169.254.169.254/latest/meta-data", "is no public address"),
        ("https://[::1]/", "is no public address"),
        ("https://localhost/x", "is no public address"),
        ("https://vault.internal/x", "is no public address"),
        (f"https://hooks.example/{'x' * 1000}", "must be at most 1000"),
    ],
)
def test_an_address_that_could_never_be_called_is_refused(project, target, why):
    with pytest.raises(SubscriptionRuleError, match=re.escape(why)) as caught:
        alerts.subscribe(project, target)
    assert caught.value.field == "target"
    assert "password" not in str(caught.value)


def test_what_the_operator_allows_may_be_private_and_plain(project, monkeypatch):
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "10.0.0.0/8 vault.internal")
    for target in ("http://10.0.0.8/x", "http://vault.internal:8080/x", "https://10.9.9.9"):
        assert alerts.subscribe(project, target).target == target


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"name": " "}, "name", "must be 1 to 100 characters"),
        ({"name": "taken"}, "name", "must be one of its own"),
        ({"kind": "pager"}, "kind", "must be one of ['webhook', 'slack', 'email']"),
        ({"events": ["party"]}, "events", "event == 'party', must be one of"),
        ({"events": ["test"]}, "events", "event == 'test', must be one of"),
        ({"kind": "email", "target": "a@b.example"}, "kind", "BAKEOFF_SMTP_HOST names no SMTP server"),
    ],
)
def test_a_draft_that_breaks_a_rule_is_refused(project, fields, field, why):
    alerts.subscribe(project, HOOK, name="taken")
    draft = {"target": HOOK, "name": "new", **fields}
    with pytest.raises(SubscriptionRuleError, match=re.escape(why)) as caught:
        alerts.subscribe(project, draft.pop("target"), **draft)
    assert caught.value.field == field


def test_every_change_has_its_entry_without_a_secret(project):
    slack = alerts.subscribe(project, "https://hooks.slack.example/T1/secret", kind="slack", name="s")
    hook = alerts.subscribe(project, HOOK, name="h")
    first = hook.secret
    change = SubscriptionChange(name="hook", events=["drift", "halt"], enabled=False)
    hook = change_subscription(subscription=hook, change=change, by="anna")
    assert (hook.name, hook.events, hook.enabled) == ("hook", ["halt", "drift"], False)
    with pytest.raises(SubscriptionRuleError, match="enabled == false"):
        send_test(subscription=hook, by="anna")
    with pytest.raises(SubscriptionRuleError, match="only webhooks are signed"):
        rotate_secret(subscription=slack, by="anna")
    hook = rotate_secret(subscription=hook, by="anna")
    assert (hook.previous_secret, hook.secret == first) == (first, False)
    change_subscription(subscription=hook, change=SubscriptionChange(enabled=True), by="anna")
    send_test(subscription=hook, by="anna")
    for one in (slack, hook, hook):
        delete_subscription(subscription=one, by="anna")
    assert not project.subscriptions.exists()
    entries = AuditEntry.objects.filter(project=project).order_by("pk")
    assert [entry.action for entry in entries] == [
        "subscribe", "subscribe", "change subscription", "rotate secret of subscription",
        "change subscription", "test subscription", "delete subscription", "delete subscription",
    ]  # fmt: skip
    stored = str(list(entries.values_list("detail", flat=True)))
    assert first not in stored
    assert "T1/secret" not in stored


def test_a_project_takes_its_alerts_along_when_it_is_deleted(project):
    send_test(subscription=alerts.subscribe(project, HOOK), by="anna")
    alerts.alert(project)
    project.delete()
    assert not Alert.objects.filter(project_id=project.pk).exists()
    assert not Subscription.objects.filter(project_id=project.pk).exists()


@pytest.fixture
def mailbox(settings):
    with smtp_sink(settings) as mailbox:
        yield mailbox
    Subscription.objects.all().delete()


def test_an_e_mail_goes_through_smtp_and_a_repeated_one_has_the_same_id(project, mailbox):
    clock = alerts.Clock()
    team = alerts.subscribe(project, "team@shop.example", kind="email")
    alerts.alert(project, subject="trial-1\r\nBcc: all@shop.example", detail={"lift": 0.031})
    mailbox.refused = {"team@shop.example"}
    alerts.deliver_all(clock)
    delivery = alerts.delivery_of(team)
    assert (delivery.state, delivery.last_error) == (
        "waiting",
        "the SMTP server refuses the recipient (550 no such mailbox): check the address.",
    )
    mailbox.refused = set()
    clock.forward(60)
    alerts.deliver_all(clock)
    team.deliveries.update(state="waiting", delivered_at=None)  # a worker that was killed after it
    clock.forward(60)
    alerts.deliver_all(clock)
    first, second = mailbox.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert (first["To"], first["From"], first["Bcc"]) == (
        "team@shop.example",
        "bakeoff@shop.example",
        None,
    )
    assert first["Subject"].startswith(f"[Bakeoff] {project.slug}: verdict, trial-1 Bcc:")
    assert first.get_content().splitlines()[:3] == ["Shipped two-tower@1.", "", "lift: 0.031"]


def test_smtp_is_read_from_the_environment(monkeypatch):
    assert read_environment().smtp is None
    monkeypatch.setenv("BAKEOFF_SMTP_HOST", "mail.example")
    monkeypatch.setenv("BAKEOFF_SMTP_PASSWORD", "pa55")
    smtp = read_environment().smtp
    assert (smtp.port, smtp.security, smtp.sender) == (587, "starttls", "bakeoff@mail.example")
    assert "pa55" not in repr(smtp)
    monkeypatch.setenv("BAKEOFF_SMTP_SECURITY", "tls")
    assert read_environment().smtp.port == 465
    for name, value in (("SECURITY", "ssl"), ("PORT", "0")):
        with monkeypatch.context() as changed:
            changed.setenv(f"BAKEOFF_SMTP_{name}", value)
            with pytest.raises(SettingError, match=f"{name} == '{value}'"):
                read_environment()


def test_the_verification_in_the_docs_verifies(project):
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    names: dict = {}
    exec(compile(code, "docs/alerts.md", "exec"), names)
    secret, other = (alerts.subscribe(project, HOOK).secret for _ in range(2))
    body = b'{"type": "test"}'
    at = int(builders.now().timestamp())
    headers = headers_of([other, secret], message_id="1", timestamp=at, body=body)
    assert names["verify"](secret, headers, body)
    assert names["verify"](other, headers, body)
    assert not names["verify"](secret, headers, body + b" ")
    assert not names["verify"]("whsec_AAAA", headers, body)
    old = headers_of([secret], message_id="1", timestamp=at - 400, body=body)
    assert not names["verify"](secret, old, body)
