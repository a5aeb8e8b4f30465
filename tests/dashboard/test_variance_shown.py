"""What a report says of variance removed and of segments; what the metric's form and the API refuse."""

from __future__ import annotations

import numpy as np
from django.test import Client
from django.urls import reverse

from experiments.models import Metric
from experiments.reports.experiment_report import report_on
from experiments.stats.look import take_look
from experiments.stats.totals import Totals
from tests.support import builders
from tests.support.dashboard import report_path, sign_in
from tests.support.looks import look_input, metric_input


def sides(rng, lift: float) -> dict[str, Totals]:
    before = rng.normal(10, 2, (2, 400))
    after = before + rng.normal(0, 1, (2, 400)) + [[0], [lift]]
    return {v: Totals.of(after[n], None, before[n]) for n, v in enumerate(("control", "treatment"))}


def looked_at(shop):
    rng = np.random.default_rng(1)
    experiment = shop.run_experiment(rule="always_valid", planned_units=4000)
    metric = metric_input(sides(rng, 0.5), key=shop.metric.key, kind="mean")
    segments = {
        f"country={c}": [sides(rng, lift)] for c, lift in (("DE", 2.0), ("FR", 0.1), ("IT", 0.0))
    }
    inputs = look_input(metric, policy=experiment.parsed_policy, segments=segments)
    result = take_look(inputs)
    experiment.looks.create(
        number=1, taken_at=builders.now(), batch=1, information=0.2, inputs=inputs.as_json(),
        result=result.as_json(), action=result.action, reason=result.reason,
    )  # fmt: skip
    return experiment


def test_the_report_says_what_is_removed_and_who_differs(shop):
    experiment = looked_at(shop)
    report = report_on(experiment)
    assert report.metrics[0].variance_reduction > 0.6
    assert report.metrics[0].covariate == "history"
    assert report.as_json()["segment_differences"] == report.differences
    page = sign_in(shop.project).get(report_path(experiment)).content.decode()
    assert 'data-variance-removed="history"' in page
    assert "the effect differs by country at this analysis (3 segments, adjusted p =" in page
    german = next(row for row in report.segments if row.segment == "country=DE")
    assert german.shrunken < german.estimate


def test_a_prediction_without_a_past_is_refused_at_its_field(shop):
    client = sign_in(shop.project, role="analyst")
    form = {"key": "spend", "kind": "mean", "event": "purchase", "value": "sum", "direction": "increase",
            "covariate": "prediction"}  # fmt: skip
    answer = client.post(reverse("metrics", args=[shop.project.slug]), form)
    assert answer.status_code == 422
    assert "a prediction needs a time to look back on" in answer.content.decode()
    assert not Metric.objects.filter(project=shop.project, key="spend").exists()
    assert (
        client.post(
            reverse("metrics", args=[shop.project.slug]), form | {"lookback_seconds": 86400}
        ).status_code
        == 302
    )
    assert Metric.objects.get(project=shop.project, key="spend").covariate == "prediction"


def test_the_api_refuses_it_too(shop):
    body = {"key": "spend", "kind": "mean", "event": "slate.latency", "lookback_seconds": 60.0,
            "covariate": "prediction"}  # fmt: skip
    answer = Client().post(
        "/v1/metrics",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop.secret}"},
    )
    assert answer.status_code == 422, answer.content
    assert "must be 'history' where it counts answers" in answer.content.decode()
