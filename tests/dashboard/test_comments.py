"""Comments on an experiment: who may say, change and delete what, who hears of it, and what is shown."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.models import ApiKey, AuditEntry
from bakeoff.alerts.models import Alert, Delivery
from bakeoff.delivery.deliveries import database_now, fan_out
from experiments.actions import comment as actions
from experiments.actions.comment import (
    CommentIsGoneError,
    NotTheAuthorError,
    delete_comment,
    edit_comment,
)
from experiments.models import Comment
from tests.support import alerts, builders
from tests.support.comment_verbs import make_comment
from tests.support.dashboard import make_user, report_path, sign_in
from tests.support.html import elements, has


@pytest.fixture
def draft(shop):
    return shop.define(builders.make_version(shop.surface, list(range(1, 11))))


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def actions_of(shop) -> list[tuple[str, str]]:
    entries = AuditEntry.objects.filter(project=shop.project, action__contains="comment")
    return list(entries.order_by("pk").values_list("actor", "action"))


def test_an_author_says_changes_and_deletes(shop, draft):
    ann = make_user(shop.project, role="analyst")
    client, page = client_of(ann), report_path(draft)
    assert client.post(f"{page}comments/", {"text": "Ship it?\r\nSee https://a.example/?b=1"}).url == (
        f"{page}#comment-{Comment.objects.get(experiment=draft).pk}"
    )
    comment = Comment.objects.get(experiment=draft)
    shown = client.get(page).content.decode()
    assert has(shown, data_comment=str(comment.pk), data_author=ann.username)
    assert '<a href="https://a.example/?b=1" rel="nofollow">' in shown
    changed = client.post(f"{page}comments/{comment.pk}/", {"text": "Wait."})
    assert changed.status_code == 302
    comment.refresh_from_db()
    assert (comment.text, comment.edited_at is None) == ("Wait.", False)
    assert "edited</span>" in client.get(page).content.decode()
    assert client.post(f"{page}comments/{comment.pk}/delete/").status_code == 302
    assert not draft.comments.exists()
    by = ann.username
    assert actions_of(shop) == [(by, "comment"), (by, "edit comment"), (by, "delete comment")]
    trail = sign_in(shop.project, role="admin").get(reverse("team", args=[shop.project.slug]))
    assert "delete comment" in trail.content.decode()
    # Who had it open in another window.
    assert client.post(f"{page}comments/{comment.pk}/", {"text": "Well?"}).status_code == 404
    with pytest.raises(CommentIsGoneError):
        edit_comment(comment=comment, text="Well?", author=ann, by=by)


def test_others_change_nothing(shop, draft):
    ann = make_user(shop.project, role="operator")
    comment = make_comment(draft, author=ann)
    address = f"{report_path(draft)}comments/{comment.pk}/"
    analyst, viewer = sign_in(shop.project, role="analyst"), sign_in(shop.project)
    stranger = sign_in(builders.make_project(), role="admin")
    for client, status in ((analyst, 403), (viewer, 403), (stranger, 404)):
        assert client.post(address, {"text": "x"}).status_code == status
        assert client.post(f"{address}delete/").status_code == status
    assert sign_in(shop.project, role="admin").post(address, {"text": "x"}).status_code == 403
    with pytest.raises(NotTheAuthorError):
        edit_comment(comment=comment, text="x", author=None, by="key sk_test…")
    comment.refresh_from_db()
    assert comment.text == "Why now?"
    assert actions_of(shop) == [(ann.username, "comment")]
    read = viewer.get(report_path(draft)).content.decode()
    assert has(read, data_comment=str(comment.pk))
    assert not has(read, action=f"{report_path(draft)}comments/")


def test_a_comment_of_another_experiment_is_not_there(shop, draft):
    other = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    ann = make_user(shop.project, role="admin")
    comment = make_comment(other, author=ann)
    address = f"{report_path(draft)}comments/{comment.pk}/"
    assert client_of(ann).post(f"{address}delete/").status_code == 404
    assert other.comments.exists()


@pytest.mark.parametrize("text", [" \r\n ", "x" * 4001, "a\0b"])
def test_a_refused_text_stays_in_its_field(shop, draft, text):
    ann = make_user(shop.project, role="analyst")
    comment = make_comment(draft, author=ann)
    for tail, field in (("", "new"), (f"{comment.pk}/", str(comment.pk))):
        refused = client_of(ann).post(f"{report_path(draft)}comments/{tail}", {"text": text})
        assert refused.status_code == 422
        page = refused.content.decode()
        area = page[page.index(f'id="comment-text-{field}"') :]
        assert text.strip() in area[: area.index("</textarea>")]
        if "\0" not in text:
            assert "A comment has 1 to 4000 characters." in area
    assert draft.comments.get().text == "Why now?"


def test_there_is_a_last_comment(shop, draft, monkeypatch):
    monkeypatch.setattr(actions, "MAX_COMMENTS", 1)
    make_comment(draft)
    client = sign_in(shop.project, role="analyst")
    refused = client.post(f"{report_path(draft)}comments/", {"text": "And I?"})
    assert refused.status_code == 422
    assert "There are 1 comments already: at most 1 are shown." in refused.content.decode()


def test_what_is_written_is_shown_as_text(shop, draft):
    make_comment(draft, '<script>alert("x")</script> javascript:alert(1) "quoted"')
    page = sign_in(shop.project).get(report_path(draft)).content.decode()
    assert "&lt;script&gt;alert(" in page
    assert 'href="javascript' not in page


def test_members_who_are_mentioned_hear_of_it_once(shop, draft):
    ann, ben = (make_user(shop.project, role="analyst", email=f"{n}@shop.example") for n in "ab")
    stranger = make_user(builders.make_project())
    text = f"@{ben.username}, @{ann.username} and @{stranger.username}: mail x@{ben.username}.example."
    comment = make_comment(draft, text, author=ann)
    assert set(comment.mentioned.all()) == {ann, ben}
    (alert,) = Alert.objects.filter(project=shop.project, event="mention")
    assert alert.detail == {"experiment": draft.key, "by": ann.username, "mentioned": [ben.username]}
    assert alert.path == f"{report_path(draft)}#comment-{comment.pk}"
    edit_comment(comment=comment, text=f"@{ben.username}. Please look.", author=ann, by=ann.username)
    assert Alert.objects.filter(project=shop.project, event="mention").count() == 1
    home = reverse("home")
    mine = client_of(ben)
    assert has(mine.get(home).content.decode(), data_mention=str(comment.pk))
    assert not has(client_of(ann).get(home).content.decode(), data_mention=str(comment.pk))
    make_comment(draft, "I did.", author=ben)
    assert not has(mine.get(home).content.decode(), data_mention=str(comment.pk))


def test_a_members_own_address_hears_of_them_alone(shop, draft, settings):
    ben = make_user(shop.project, email="Ben@shop.example")
    make_user(shop.project, email="cem@shop.example")
    for name, target in (
        ("ben", "ben@shop.example"),
        ("cem", "cem@shop.example"),
        ("all", "all@x.example"),
    ):
        shop.project.subscriptions.create(name=name, kind="email", target=target, created_by="a test")
    alerts.subscribe(shop.project, "https://hooks.example/bakeoff", name="hook")
    shop.project.subscriptions.create(
        name="other", kind="email", target="ben@shop.example", events=["halt"], created_by="a test"
    )
    make_comment(draft, f"@{ben.username}!")
    fan_out(database_now())
    sent = Delivery.objects.filter(alert__project=shop.project, alert__event="mention")
    assert set(sent.values_list("subscription__name", flat=True)) == {"ben", "all", "hook"}


def test_an_author_whose_account_is_gone_is_a_former_member(shop, draft):
    ann = make_user(shop.project, role="analyst")
    comment = make_comment(draft, author=ann)
    ann.delete()
    page = sign_in(shop.project).get(report_path(draft)).content.decode()
    (row,) = elements(page, data_comment=str(comment.pk))
    assert row["data-author"] == ""
    assert "Former member" in page


def test_shared_copies_have_no_comments(shop, draft):
    make_comment(draft, "Between us.")
    client = sign_in(shop.project, role="analyst")
    client.post(f"{report_path(draft)}share/", {"days": "3"})
    assert "Between us." not in draft.shares.get().page


def test_a_program_reads_and_writes(lane, shop, draft):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    ben = make_user(shop.project)
    address = f"/v1/experiments/{draft.key}/comments"

    def send(text):
        return lane.client.post(address, headers=headers, json={"text": text})

    answer = send(f"Nightly check passed, @{ben.username}.")
    assert answer.status_code == 201, answer.text
    assert answer.json()["author"].startswith("key sk_")
    assert answer.json()["mentioned"] == [ben.username]
    assert lane.client.get(address, headers=headers).json() == [answer.json()]
    assert send("").status_code == 400
    blank = send("  ")
    assert (blank.status_code, blank.json()["error"]["message"]) == (
        422, "comment == '', must be a text of 1 to 4000 characters.",
    )  # fmt: skip
    assert draft.comments.count() == 1


def test_a_program_changes_and_deletes_its_own_alone(lane, shop, draft):
    address = f"/v1/experiments/{draft.key}/comments"
    others = make_comment(draft, author=make_user(shop.project, role="analyst"))
    _, second = ApiKey.make(shop.project, SECRET, name="second")
    stranger = builders.make_shop()

    def ask(method, path, text=None, key=shop.secret):
        body = None if text is None else {"text": text}
        headers = {"Authorization": f"Bearer {key}"}
        return lane.client.request(method, path, headers=headers, json=body)

    own = ask("POST", address, "Passed.").json()
    path = f"{address}/{own['id']}"
    changed = ask("PATCH", path, " Passed twice. ")
    assert changed.status_code == 200, changed.text
    assert (changed.json()["text"], changed.json()["author"]) == ("Passed twice.", own["author"])
    assert changed.json()["edited_at"] > own["created_at"]
    refusals = [
        ("PATCH", path, "x", second, 403, f"author == '{own['author']}', must be key sk_"),
        ("DELETE", path, None, second, 403, "must be key sk_"),
        ("PATCH", f"{address}/{others.pk}", "x", shop.secret, 403, f"author == '{others.author_name}'"),
        ("DELETE", f"{address}/{others.pk}", None, shop.secret, 403, "must be key sk_"),
        ("PATCH", path, "x", stranger.secret, 404, f"No experiment '{draft.key}' in this project."),
        ("DELETE", path, None, stranger.secret, 404, f"No experiment '{draft.key}' in this project."),
        ("PATCH", f"{address}/987654", "x", shop.secret, 404, "No comment '987654' in this project."),
        ("PATCH", path, "", shop.secret, 400, "text"),
        ("PATCH", path, " \n ", shop.secret, 422, "comment == '', must be a text of 1 to 4000"),
        ("PATCH", path, "x" * 4001, shop.secret, 400, "text"),
    ]  # fmt: skip
    for method, where, text, key, status, words in refusals:
        answer = ask(method, where, text, key)
        assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True), (
            answer.text
        )
    assert [one.text for one in draft.comments.order_by("pk")] == ["Why now?", "Passed twice."]
    by = own["author"]
    assert actions_of(shop)[1:] == [(by, "comment"), (by, "edit comment")]
    assert ask("DELETE", path).status_code == 204
    assert ask("DELETE", path).status_code == 404
    assert actions_of(shop)[-1] == (by, "delete comment")


def test_a_former_members_comment_is_no_programs(shop, draft):
    ann = make_user(shop.project, role="analyst")
    comment = make_comment(draft, author=ann)
    ann.delete()
    comment.refresh_from_db()
    with pytest.raises(NotTheAuthorError, match="author == '', must be key sk_test"):
        delete_comment(comment=comment, author=None, by="key sk_test…")
    assert draft.comments.exists()
