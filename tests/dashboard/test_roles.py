"""Roles × pages: who may see what; and the headers of every page. test_verbs.py has what is submitted."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from uuid_utils import uuid7

from experiments.models import Experiment
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.form_reader import pair_fields
from tests.support.ranking import make_rank_surface

RANKS = ["nobody", "stranger", "viewer", "analyst", "operator", "admin"]
READ, ANALYSE, OPERATE, ADMINISTER = "viewer", "analyst", "operator", "admin"
PAGES = [
    ("/", READ), ("/p/{p}/experiments/", READ), ("/p/{p}/experiments/new/", ANALYSE),
    ("/experiments/{p}/{e}/", READ), ("/experiments/{p}/{e}/edit/", ANALYSE), ("/experiments/{p}/{e}/report.json", READ),
    ("/experiments/{p}/{e}/report.csv", READ), ("/experiments/{p}/{e}/report.xlsx", READ),
    ("/experiments/{p}/{e}/act/start/", OPERATE), ("/experiments/{p}/{e}/act/discard/", ANALYSE),
    ("/p/{p}/plan/", READ), ("/p/{p}/metrics/", READ), ("/p/{p}/surfaces/", READ), ("/p/{p}/surfaces/home-feed/", READ),
    ("/p/{p}/surfaces/home-feed/edit/", OPERATE), ("/p/{p}/surfaces/home-feed/rules/", READ), ("/p/{p}/surfaces/offers/policy/", READ),
    ("/p/{p}/models/", READ), ("/p/{p}/models/{v}/", READ), ("/p/{p}/models/{v}/promote/", OPERATE),
    ("/p/{p}/units/?unit=u1", READ), ("/p/{p}/events/", READ), ("/p/{p}/feedback/", READ),
    ("/p/{p}/feedback/themes/", READ), ("/p/{p}/feedback/surveys/", READ), ("/p/{p}/usage/", READ), ("/p/{p}/usage.csv", READ), ("/p/{p}/team/", READ), ("/health/", READ), ("/demo/", READ),
]  # fmt: skip


def make_client(role, project) -> Client:
    if role == "nobody":
        return Client()
    return sign_in() if role == "stranger" else sign_in(project, role=role)


@pytest.fixture
def place(shop):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    experiment = shop.define(challenger)
    make_rank_surface(shop.project)
    Experiment.objects.filter(pk=experiment.pk).update(key="trial")
    return {
        "p": shop.project.slug,
        "e": "trial",
        "v": challenger.pk,
        "project": shop.project,
    }


def expected(role, needed):
    if role == "nobody":
        return 302
    if role == "stranger":
        return 404
    return 200 if RANKS.index(role) >= RANKS.index(needed) else 403


@pytest.mark.parametrize("role", RANKS)
def test_each_page_answers_whom_it_should(place, role):
    client = make_client(role, place["project"])
    for page, needed in PAGES:
        answer = client.get(page.format(**place))
        if page in {"/", "/health/", "/demo/"} and role == "stranger":
            assert answer.status_code == 200  # and shows nothing of the project
            assert place["p"] not in answer.content.decode()
            continue
        assert answer.status_code == expected(role, needed), (page, answer.status_code)
        if answer.status_code == 200:
            policy = answer.headers["Content-Security-Policy"]
            assert "script-src 'self';" in policy
            assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_form_without_its_token_is_refused(place):
    client = Client(enforce_csrf_checks=True)
    user = User.objects.create_superuser(f"root-{uuid7()}")
    client.force_login(user)
    assert client.post("/experiments/{p}/{e}/act/start/".format(**place)).status_code == 403


def test_the_admin_has_no_way_in_of_its_own(tables):
    answer = Client().post("/admin/login/?next=/admin/", {"username": "x", "password": "y"})
    assert answer["Location"] == "/sign-in/?next=/admin/"


def test_guessing_a_password_is_slowed_down(tables):
    name = f"ann-{uuid7()}"
    User.objects.create_user(name, password="right and long")
    client = Client(REMOTE_ADDR="198.51.100.7")  # others fail from the usual one
    for _ in range(10):
        page = client.post("/sign-in/", {"username": name, "password": "wrong"}).content.decode()
    assert "Too many failed attempts" not in page
    page = client.post("/sign-in/", {"username": name, "password": "right and long"}).content.decode()
    assert "Too many failed attempts: at most 10 in 15 minutes" in page
    other = f"bob-{uuid7()}"
    User.objects.create_user(other, password="right and long")
    answer = client.post("/sign-in/", {"username": other, "password": "right and long"})
    assert answer.status_code == 302


def test_a_draft_is_edited_whole_and_keeps_its_salt(place):
    client = make_client("analyst", place["project"])
    before = Experiment.objects.get(key="trial", project=place["project"])
    address = "/experiments/{p}/{e}/edit/".format(**place)
    fields = {
        "surface": before.surface_id, "key": "trial", "hypothesis": "Better.",
        **pair_fields(before.control.model_version_id, place["v"], share=30), "allocation": "50", "primary": before.primary.metric_id,
        "margin": "5", "rule": "group_sequential", "planned_units": "900", "minimum_days": "0", "window_hours": "24",
        "breaker_alpha": "0.1",
        "hashing": "growthbook_v2", "condition": '{"country": "DE"}', "promote": "on",
    }  # fmt: skip
    refused = client.post(address, fields | {"condition": '{"country": {"$like": "D"}}'})
    assert refused.status_code == 422
    assert "operator &#x27;$like&#x27; is unknown" in refused.content.decode()
    assert Experiment.objects.get(pk=before.pk).hypothesis == ""  # nothing was lost
    assert client.post(address, fields).status_code == 302
    after = Experiment.objects.get(key="trial", project=place["project"])
    assert (after.salt, after.allocation, after.hashing) == (before.salt, 0.5, "growthbook_v2")
    assert after.variants.get(key="treatment").weight == 0.3
    assert after.condition == {"country": "DE"}
    page = client.get(address).content.decode()
    assert 'value="900"' in page


def test_a_key_that_is_shown_once_is_in_no_cookie(shop):
    client = Client()
    person = User.objects.create_superuser(f"admin-{uuid7()}")
    client.force_login(person)
    answer = client.post(f"/p/{shop.project.slug}/team/keys/", {"name": "k", "kind": "sk"})
    assert "messages" not in answer.cookies
    page = client.get(f"/p/{shop.project.slug}/team/")
    assert re.search(r"sk_[\w-]{32}", page.content.decode())
    assert "no-store" in page["Cache-Control"]
    again = client.get(f"/p/{shop.project.slug}/team/").content.decode()
    assert not re.search(r"sk_[\w-]{32}", again)
