"""Two training runs side by side: parameters, metrics, losses in one picture."""

from __future__ import annotations

import pytest
from django.urls import reverse

from bakeoff.dashboard.templatetags.numbers import duration
from tests.support.builders import make_shop
from tests.support.dashboard import sign_in
from tests.support.ended_run import ended_run


@pytest.fixture
def runs(shop):
    return ended_run(shop, 0.1, factors=16, epochs=5), ended_run(shop, 0.15, factors=32, epochs=5)


def compare(shop, run, other) -> str:
    client = sign_in(shop.project)
    answer = client.get(reverse("run-comparison", args=[run.pk]), {"with": other.pk})
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_of_a_run_offers_the_surface_s_other_runs(shop, runs):
    page = sign_in(shop.project).get(reverse("run", args=[runs[0].pk])).content.decode()
    assert f'<option value="{runs[1].pk}"' in page
    assert f'<option value="{runs[0].pk}"' not in page


def test_parameters_that_differ_are_marked_and_metrics_have_their_difference(shop, runs):
    page = compare(shop, *runs)
    factors, epochs = (
        page.split(f"<td><code>{name}</code>")[1].split("</tr>")[0] for name in ("factors", "epochs")
    )
    assert "differs" in factors
    assert "differs" not in epochs
    assert "0.0500" in page
    assert page.count(f">{duration(90)}</td>") == 2
    for run in runs:
        assert f'data-line="{run.pk} · Seed 0"' in page
    for title in ("Loss", "Step"):  # of the axes
        assert f">{title}</text>" in page


def test_different_rows_are_called_no_comparison(shop, runs):
    assert "held-out rows of its own data" in compare(shop, *runs)


@pytest.mark.parametrize("other", ["", "x", "0", "9" * 40, "²", "-1"])
def test_a_run_that_is_none_is_not_compared(shop, runs, other):
    client = sign_in(shop.project)
    assert client.get(reverse("run-comparison", args=[runs[0].pk]), {"with": other}).status_code == 404


def test_another_project_s_run_is_not_compared(shop, runs):
    client = sign_in(shop.project)
    foreign = ended_run(make_shop(), 0.3)
    address = reverse("run-comparison", args=[runs[0].pk])
    assert client.get(address, {"with": foreign.pk}).status_code == 404
    assert (
        client.get(reverse("run-comparison", args=[foreign.pk]), {"with": runs[0].pk}).status_code
        == 404
    )
