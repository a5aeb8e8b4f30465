"""A link to a shared report that ended says how; a link that never was says nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from experiments.models import ReportShare
from tests.support.dashboard import report_path, sign_in


@pytest.fixture
def link(decided):
    analyst = sign_in(decided.project, role="analyst")
    done = analyst.post(report_path(decided, "share/"), {"days": "3"}, follow=True)
    return re.search(r"/shared/[\w-]+/", done.content.decode())[0]


@pytest.mark.parametrize(
    ("field", "sentence"),
    [("expires_at", "This link has expired"), ("revoked_at", "This link was revoked")],
)
def test_a_link_that_ended_says_how_and_nothing_of_the_report(decided, link, field, sentence):
    assert Client().get(link).status_code == 200
    ReportShare.objects.update(**{field: timezone.now() - timedelta(seconds=1)})
    answer = Client().get(link)
    page = answer.content.decode()
    assert (answer.status_code, sentence in page) == (410, True)
    for secret in (decided.project.slug, decided.key, "clicks"):
        assert secret not in page
    assert answer.headers["X-Robots-Tag"] == "noindex"


def test_a_link_that_never_was_is_like_any_other_address(decided, link):
    answer = Client().get(f"{link[:-3]}xx/")
    assert answer.status_code == 404
    assert "This page does not exist" in answer.content.decode()
