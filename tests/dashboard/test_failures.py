"""What browsers and clients get when a server of the platform cannot work, or we have a defect."""

from __future__ import annotations

import contextlib

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from uuid_utils import uuid7

from experiments.models import Experiment


def statement(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


@contextlib.contextmanager
def read_only():
    """As after a fail-over, before the new primary takes over."""
    statement("SET default_transaction_read_only = on")
    try:
        yield
    finally:
        statement("SET default_transaction_read_only = off")


@contextlib.contextmanager
def without_a_table():
    """As while a release rolls out, between the new code and its migration."""
    statement("ALTER TABLE experiments_metric RENAME TO experiments_metric_later")
    try:
        yield
    finally:
        statement("ALTER TABLE experiments_metric_later RENAME TO experiments_metric")


@pytest.fixture
def browser(tables):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser(f"root-{uuid7()}"))
    return client


@pytest.fixture
def api(shop):
    client = Client(raise_request_exception=False)
    client.headers = {"Authorization": f"Bearer {shop.secret}"}
    return client


def test_a_page_says_an_outage_and_when_to_come_back(shop, browser):
    with without_a_table():
        answer = browser.get(f"/p/{shop.project.slug}/metrics/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    page = answer.content.decode()
    assert "The database is unavailable" in page
    assert "Traceback" not in page
    assert browser.get(f"/p/{shop.project.slug}/metrics/").status_code == 200


def test_a_form_is_not_lost_without_a_word(shop, browser):
    body = {"key": "m", "kind": "mean", "event": "buy", "value": "count", "direction": "increase"}
    with read_only():
        answer = browser.post(f"/p/{shop.project.slug}/metrics/", body)
    assert answer.status_code == 503
    assert not shop.project.metrics.filter(key="m").exists()


@pytest.mark.parametrize("outage", [read_only, without_a_table])
def test_the_api_says_503_in_its_one_shape(shop, api, outage):
    body = {"key": "m", "kind": "mean", "event": "buy", "direction": "increase"}
    with outage():
        answer = api.post("/v1/metrics", body, content_type="application/json", headers=api.headers)
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert answer.json()["error"]["code"] == "unavailable"
    again = api.post("/v1/metrics", body, content_type="application/json", headers=api.headers)
    assert again.status_code == 201


def test_a_row_that_cannot_be_read_is_no_html(shop, api, browser):
    experiment = shop.run_experiment()
    Experiment.objects.filter(pk=experiment.pk).update(policy={"alpha": "a lot"})
    answer = api.get(f"/v1/experiments/{experiment.key}/report.json", headers=api.headers)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "unreadable_row"
    page = browser.get(f"/experiments/{shop.project.slug}/{experiment.key}/")
    assert page.status_code == 500
    assert "Something went wrong" in page.content.decode()
    assert "Traceback" not in page.content.decode()
    experiment.delete()


def test_a_kind_that_the_form_has_no_fields_for_is_refused_with_a_reason(browser, shop):
    body = {"key": "m", "kind": "funnel", "value": "count", "direction": "increase"}
    answer = browser.post(f"/p/{shop.project.slug}/metrics/", body)
    assert answer.status_code == 422
    assert "at least two events in their order" in answer.content.decode()
