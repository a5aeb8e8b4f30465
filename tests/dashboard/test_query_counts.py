"""Pages that list rows read them in a number of queries that does not grow with the rows."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.support.dashboard import sign_in
from tests.support.many_rows import ManyRows

FEW, MANY = 3, 30
PAGES = {
    "home": "/?project={p}",
    "experiments": "/p/{p}/experiments/",
    "shipped": "/p/{p}/experiments/?state=ended",
    "metrics": "/p/{p}/metrics/",
    "metric": "/p/{p}/metrics/clicks/",
    "surfaces": "/p/{p}/surfaces/",
    "models": "/p/{p}/models/",
    "runs": "/p/{p}/runs/",
    "impact": "/p/{p}/impact/",
    "feedback": "/p/{p}/feedback/",
    "alerts": "/p/{p}/alerts/",
    "usage": "/p/{p}/usage/",
    "team": "/p/{p}/team/",
    "events": "/p/{p}/events/",
    "planner": "/p/{p}/plan/",
    "new experiment": "/p/{p}/experiments/new/",
    "surface": "/p/{p}/surfaces/home-feed/",
    "search": "/p/{p}/search/?q=copy",
}


def count_queries(client, address: str) -> list[str]:
    client.get(address)  # what a process reads once
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    assert answer.status_code == 200, address
    return [query["sql"] for query in queries]


@pytest.fixture(scope="module")
def counts(shared_lane):
    """The statements of each page, with few rows and with many."""
    rows, counted = ManyRows(), {}
    client = sign_in(rows.shop.project, role="admin")
    for size in (FEW, MANY):
        rows.grow(size)
        for name, address in PAGES.items():
            path = address.format(p=rows.shop.project.slug)
            counted[name, size] = count_queries(client, path)
    return counted


@pytest.mark.parametrize("page", PAGES)
def test_queries_do_not_grow_with_rows(counts, page):
    few, many = counts[page, FEW], counts[page, MANY]
    grown = sorted(set(many) - set(few))
    assert len(many) == len(few), f"{len(few)} queries became {len(many)}, such as {grown[-2:]}"
