"""What prepares each verb of comments, as `tests/dashboard/test_verbs.py` tries them."""

from __future__ import annotations

from django.contrib.auth.models import User

from experiments.actions.comment import add_comment
from experiments.models import Comment
from tests.support import builders
from tests.support.dashboard import report_path
from tests.support.verb_step import Step


def make_comment(
    experiment, text: str = "Why now?", *, author: User | None = None, by: str = "key sk_test…"
) -> Comment:
    by = author.get_username() if author is not None else by
    return add_comment(experiment=experiment, text=text, author=author, by=by)


def add(shop):
    experiment = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    stored = experiment.comments.filter(text="Well done.", key_name="")
    page = report_path(experiment)
    return Step(f"{page}comments/", {"text": " Well done.\r\n"}, stored.exists, page)


def delete(shop):
    comment = make_comment(shop.define(builders.make_version(shop.surface, list(range(1, 11)))))
    page = report_path(comment.experiment)
    gone = {"data_comment": str(comment.pk)}
    return Step(
        f"{page}comments/{comment.pk}/delete/", {},
        lambda: not Comment.objects.filter(pk=comment.pk).exists(), page, shows_no_more=gone,
    )  # fmt: skip


COMMENT_VERBS = {"comment": add}
COMMENT_VERBS_OF_ADMINS = {"comment-delete": delete}
