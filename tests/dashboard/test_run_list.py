"""The list of training runs: filtered, sorted by time and by a metric, all of it in the address."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from bakeoff.dashboard.run_list import SORTS
from inference.models import Surface, TrainingRun
from tests.support import builders
from tests.support.builders import now
from tests.support.dashboard import sign_in


def make_run(shop, *, ndcg=None, seconds=None, **fields):
    version = None
    if ndcg is not None:
        gate = {"passed": True, "rows": {"ndcg": {"challenger": ndcg}}, "about": {}}
        version = builders.make_version(shop.surface, [1] * 10, algorithm="ease", alias="candidate")
        version.gate = gate
        version.save(update_fields=["gate"])
    start = now() - timedelta(hours=1)
    times = (
        {} if seconds is None else {"started_at": start, "ended_at": start + timedelta(seconds=seconds)}
    )
    fields = {
        "surface": shop.surface,
        "algorithm": "ease",
        "trigger": "a test",
        "state": "passed",
    } | fields
    return TrainingRun.objects.create(version=version, **times, **fields)


@pytest.fixture
def runs(shop):
    """Four runs: their metric, their duration, and one that is queued and has neither."""
    other = Surface.objects.create(project=shop.project, key="other")
    return {
        "slow": make_run(shop, ndcg=0.2, seconds=500),
        "best": make_run(shop, ndcg=0.9, seconds=5),
        "failed": make_run(shop, seconds=50, state="failed", algorithm="als"),
        "queued": make_run(shop, surface=other, state="queued", algorithm="popularity"),
    }


@pytest.fixture
def listed(shop, runs):
    names = {run.pk: name for name, run in runs.items()}
    client = sign_in(shop.project)

    def listed(query: str = "") -> list[str]:
        answer = client.get(reverse("runs", args=[shop.project.slug]) + query)
        assert answer.status_code == 200
        return [names[int(pk)] for pk in re.findall(r'data-run="(\d+)"', answer.content.decode())]

    return listed


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", ["queued", "failed", "best", "slow"]),
        ("?sort=oldest", ["slow", "best", "failed", "queued"]),
        ("?sort=longest", ["slow", "failed", "best", "queued"]),
        ("?sort=shortest", ["best", "failed", "slow", "queued"]),
        ("?metric=ndcg&sort=highest", ["best", "slow", "queued", "failed"]),
        ("?metric=ndcg&sort=lowest", ["slow", "best", "queued", "failed"]),
        ("?sort=highest", ["queued", "failed", "best", "slow"]),  # no metric to go by
        ("?sort=;drop&metric=rows'&state=gone", ["queued", "failed", "best", "slow"]),
        ("?state=passed&sort=shortest", ["best", "slow"]),
        ("?algorithm=als", ["failed"]),
        ("?surface=other", ["queued"]),
        ("?surface=nowhere", []),
    ],
)
def test_runs_stand_in_the_order_of_the_address(listed, query, order):
    assert listed(query) == order


def test_a_metric_has_a_column_and_a_run_its_time(shop, runs):
    client = sign_in(shop.project)
    address = reverse("runs", args=[shop.project.slug])
    page = client.get(f"{address}?metric=ndcg").content.decode()
    values = re.findall(r'data-metric="ndcg">([^<]+)<', page)
    assert values == ["–", "–", "0.9", "0.2"]
    assert page.count("took ") == 3
    assert "data-metric" not in client.get(address).content.decode()


def test_the_form_remembers_what_was_chosen_and_a_view_saves_it(shop, runs):
    client = sign_in(shop.project)
    address = reverse("runs", args=[shop.project.slug])
    page = client.get(f"{address}?metric=ndcg&sort=highest&state=passed").content.decode()
    for chosen in ('value="ndcg" selected', 'value="highest" selected', 'value="passed" selected'):
        assert chosen in page
    assert 'name="filter-sort" value="highest"' in page
    for sort in SORTS:
        assert f'<option value="{sort}"' in page
