"""Pages that list rows read them in a number of queries that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import Comment, Experiment, Survey, Theme, ThemeReading
from experiments.reports import traffic
from tests.support import builders
from tests.support.dashboard import make_user, sign_in
from tests.support.many_rows import ManyRows
from tests.support.seeded_project import GENERATION, TEXTS

FEW, MANY = 3, 30
START = datetime(2026, 1, 1, tzinfo=UTC)
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
    "report": "/experiments/{p}/copy-0/",
    "programme": "/p/{p}/programme/",
    "surveys": "/p/{p}/feedback/surveys/?surface=home-feed",
    "themes": "/p/{p}/feedback/themes/",
    "generations": "/p/{p}/surfaces/answers/generations/",
    "version": "/p/{p}/models/{v}/",
    "autopilot": "/p/{p}/surfaces/home-feed/autopilot/",
    "health": "/health/",
}


def count_queries(client, address: str) -> list[str]:
    client.get(address)  # what a process reads once
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    assert answer.status_code == 200, address
    return [query["sql"] for query in queries]


def say_more(shop, numbers: Iterable[int]) -> None:
    """Add what people say: comments on one report, and a surface's surveys, themes and generations."""
    report = Experiment.objects.get(project=shop.project, key="copy-0")
    answers = shop.project.surfaces.get(key="answers")
    slates = []
    for n in numbers:
        person = make_user(shop.project)
        Comment.objects.create(experiment=report, author=person, text=f"Look at day {n}.")
        ofs = {"project": shop.project, "surface": shop.surface}
        Survey.objects.create(key=f"q{n}", kind="nps", question="Good?", enabled=False, **ofs)
        Theme.objects.create(
            words=[f"late{n}"], space="x", centre=b"", texts=2, units=2, first_text_at=START, **ofs
        )
        slates.append(
            builders.slate(shop, "u", (), generation=GENERATION, context=TEXTS, surface_id=answers.pk)
        )
    builders.write(builders.Rows(slates=slates))


@pytest.fixture(scope="module")
def counts(shared_lane):
    """The statements of each page, with few rows and with many."""
    rows, counted = ManyRows(), {}
    rows.shop.project.surfaces.create(key="answers", kind="generate")
    ThemeReading.objects.create(surface=rows.shop.surface, texts=60, themed=60)
    client = sign_in(rows.shop.project, role="admin")
    # What came to a project is kept for some seconds: it is read once, before the first count.
    patch = pytest.MonkeyPatch()
    patch.setattr(traffic, "MIN_REMEMBERED_SECONDS", traffic.REMEMBERED_SECONDS)
    client.get("/")
    for size in (FEW, MANY):
        before = rows.count
        rows.grow(size)
        say_more(rows.shop, range(before, size))
        for name, address in PAGES.items():
            path = address.format(p=rows.shop.project.slug, v=rows.shop.champion.pk)
            counted[name, size] = count_queries(client, path)
    patch.undo()
    return counted


@pytest.mark.parametrize("page", PAGES)
def test_queries_do_not_grow_with_rows(counts, page):
    few, many = counts[page, FEW], counts[page, MANY]
    grown = sorted(set(many) - set(few))
    assert len(many) == len(few), f"{len(few)} queries became {len(many)}, such as {grown[-2:]}"
