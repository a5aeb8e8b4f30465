"""The metric library: where metrics are used, what came out, who changed them, and what is suggested."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.actions.edit_metric import edit_metric
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import ExperimentMetric, Metric
from experiments.reports.metric_library import read_changes, suggest_metrics, usage_of
from tests.support import builders
from tests.support.builders import QUICK_POLICY
from tests.support.dashboard import sign_in
from tests.support.form_reader import read_form
from tests.support.html import elements, has


def make_metric(shop, key: str, **fields) -> Metric:
    fields = {"kind": "mean", "event": "click", **fields}
    return Metric.objects.create(project=shop.project, key=key, **fields)


def page_of(client, name: str, *args, query: str = "") -> str:
    answer = client.get(reverse(name, args=args) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def listed(client, shop, query: str) -> list[str]:
    page = page_of(client, "metrics", shop.project.slug, query=query)
    return [one["data-metric"] for one in elements(page, tag="tr") if "data-metric" in one]


@pytest.fixture
def library(shop):
    """Four metrics, found by different words."""
    make_metric(shop, "revenue", name="Revenue", owner="Checkout team", tags=["money", "north star"])
    make_metric(shop, "orders", kind="proportion", event="order", tags=["money"])
    make_metric(shop, "rating", description="How users like a film, 1 to 5.")
    return shop


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", ["clicks", "orders", "rating", "revenue"]),
        ("?q=checkout", ["revenue"]),
        ("?q=NORTH", ["revenue"]),
        ("?q=film", ["rating"]),
        ("?q=order", ["orders"]),
        ("?kind=proportion", ["orders"]),
        ("?tag=money", ["orders", "revenue"]),
        ("?tag=money&q=reven", ["revenue"]),
        ("?tag=north", []),
        ("?kind=nonsense&q=%00", ["clicks", "orders", "rating", "revenue"]),
    ],
)
def test_a_list_is_searched_by_words_kind_and_tag(library, query, keys):
    assert listed(sign_in(library.project), library, query) == keys


def test_usage_counts_tests_and_names_their_surfaces(shop):
    unused = make_metric(shop, "unused")
    experiment = shop.run_experiment()
    builders.make_version(shop.surface, [1] * 10)
    shop.define(shop.surface.versions.last())
    shop.surface.experiments.create(
        project=shop.project, key="kept", salt="kept", purpose="holdback"
    ).metrics.create(metric=shop.metric, role="primary")
    usage = usage_of([shop.metric, unused])
    assert (usage[shop.metric.pk].experiments, usage[shop.metric.pk].surfaces) == (2, ("home-feed",))
    assert unused.pk not in usage
    page = page_of(sign_in(shop.project), "metrics", shop.project.slug)
    assert has(page, data_used="2")
    assert has(page, data_used="0")
    assert experiment.key in page_of(sign_in(shop.project), "metric", shop.project.slug, "clicks")


def test_a_metric_shows_what_it_showed_in_an_experiment(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    builders.visits(experiment, {"control": 1, "treatment": 2})
    look = look_at_experiment(experiment_id=experiment.pk)
    (row,) = look.parsed_result.of_metric("clicks")
    page = page_of(sign_in(shop.project), "metric", shop.project.slug, "clicks")
    assert has(page, data_experiment=experiment.key, data_role="primary")
    assert f"{row.lift:+.0%}" in page
    assert "Ship" in page
    assert page.count('<svg class="plot"') == 2  # the row's and the axis


def test_versions_count_changes_of_what_is_counted(shop):
    assert read_changes(shop.metric) == []
    edit_metric(metric=shop.metric, changes={"cap": 20.0, "owner": "ann"}, by="ann")
    experiment = shop.run_experiment()
    edit_metric(metric=shop.metric, changes={"description": "Per user."}, by="ben")
    edit_metric(metric=shop.metric, changes={"cap": 30.0}, by="cem")
    changes = read_changes(shop.metric)
    assert [(one.version, one.by) for one in changes] == [(3, "cem"), (2, "ben"), (2, "ann")]
    assert changes[0].changed == [("cap", "20.0", "30.0")]
    page = page_of(sign_in(shop.project), "metric", shop.project.slug, "clicks")
    row = page[page.index(f'data-experiment="{experiment.key}"') :]
    assert "<td>2</td>" in row[: row.index("</tr>")]  # it keeps the version that it began with


def test_two_editors_of_different_fields_keep_both(shop):
    address = reverse("metric-edit", args=[shop.project.slug, "clicks"])
    client = sign_in(shop.project, role="analyst")
    form = read_form(client.get(address).content.decode(), "metric")
    edit_metric(metric=shop.metric, changes={"owner": "ann", "tags": ["feed"]}, by="ann")
    assert client.post(address, form | {"description": ["Per user."]}).status_code == 302
    stored = Metric.objects.get(pk=shop.metric.pk)
    assert (stored.owner, stored.tags, stored.description) == ("ann", ["feed"], "Per user.")


def test_a_refused_edit_keeps_what_was_typed_and_changes_nothing(shop):
    address = reverse("metric-edit", args=[shop.project.slug, "clicks"])
    client = sign_in(shop.project, role="analyst")
    form = read_form(client.get(address).content.decode(), "metric")
    typed = {"owner": ["Discovery"], "denominator": ["order"], "tags": ["a" * 41]}
    refused = client.post(address, form | typed)
    assert refused.status_code == 422
    page = refused.content.decode()
    assert "A tag has at most 40 characters." in page
    assert 'value="Discovery"' in page
    assert Metric.objects.get(pk=shop.metric.pk).owner == ""


def test_what_others_have_is_not_there(shop):
    stranger = sign_in(builders.make_project(), role="admin")
    for name in ("metric", "metric-edit"):
        assert stranger.get(reverse(name, args=[shop.project.slug, "clicks"])).status_code == 404
    mine = sign_in(shop.project, role="admin")
    assert mine.get(reverse("metric", args=[shop.project.slug, "nowhere"])).status_code == 404


def test_a_draft_is_offered_what_earlier_tests_of_its_surface_used(shop):
    guard, elsewhere = make_metric(shop, "latency"), make_metric(shop, "elsewhere")
    experiment = shop.run_experiment()
    ExperimentMetric.objects.create(experiment=experiment, metric=guard, role="guardrail")
    flag = shop.project.surfaces.create(key="flags", kind="flag")
    suggested = suggest_metrics(shop.surface, without=[])
    assert [(one.metric.key, one.role) for one in suggested] == [
        ("clicks", "primary"), ("latency", "guardrail"),
    ]  # fmt: skip
    # A surface without a test of its own gets those of the project.
    assert [one.metric.key for one in suggest_metrics(flag, without=[guard.pk])] == ["clicks"]
    client = sign_in(shop.project, role="analyst")
    chosen = {"surface": shop.surface.pk, "primary": shop.metric.pk, "secondary": elsewhere.pk}
    plan = client.post(reverse("experiments-plan", args=[shop.project.slug]), chosen).content.decode()
    assert [one["data-suggested"] for one in elements(plan, tag="li")] == ["latency"]
    assert has(plan, data_choose="guardrails", value=str(guard.pk))
    form = reverse("experiments-new", args=[shop.project.slug])
    assert not has(client.get(f"{form}?surface=nonsense").content.decode(), data_suggested="clicks")
    assert has(
        client.get(f"{form}?surface={shop.surface.pk}").content.decode(), data_suggested="clicks"
    )
