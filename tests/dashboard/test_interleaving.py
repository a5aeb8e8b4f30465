"""Interleaving on pages, in files and by the API: made, refused, and what it shows."""

from __future__ import annotations

import csv
import io
import json

import pytest

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment
from tests.support import builders
from tests.support.dashboard import report_path, sign_in
from tests.support.form_reader import pair_fields
from tests.support.interleaving import THEIRS, Visits

POLICY = {"window_seconds": 60.0, "minimum_run_seconds": 0.0, "planned_units": 400}


@pytest.fixture
def preferred(shop):
    """An interleaved experiment whose users prefer the treatment."""
    experiment = builders.interleave(shop, **POLICY)
    visits = Visits(shop, experiment)
    for n in range(120):
        visits.serve(f"u{n}", likes=THEIRS if n % 3 else ())
    visits.commit()
    look_at_experiment(experiment_id=experiment.pk)
    experiment.refresh_from_db()
    return experiment


def test_the_report_says_whom_users_prefer(shop, preferred):
    client = sign_in(shop.project)
    page = client.get(report_path(preferred)).content.decode()
    assert 'data-preference="treatment"' in page
    assert "Users prefer popularity@2 to the control" in page
    assert "120 recommendations. Failures of versions: 0; where one failed" in page
    assert "Prefer" in page
    data = json.loads(client.get(report_path(preferred, "report.json")).content)
    assert (data["mode"], data["verdict"]["action"]) == ("interleave", "prefer")
    (row,) = data["interleaving"]["rows"]
    assert (row["variant"], row["units"], row["losses"]) == ("treatment", 120, 0)
    lines = list(
        csv.DictReader(io.StringIO(client.get(report_path(preferred, "report.csv")).content.decode()))
    )
    (line,) = lines
    assert (line["metric"], line["role"], line["variant"]) == ("clicks", "preference", "treatment")
    assert float(line["absolute_low"]) > 0
    assert client.get(report_path(preferred, "report.xlsx")).status_code == 200
    assert client.get(report_path(preferred, "report.ipynb")).status_code == 200


def test_the_page_of_one_that_has_no_analysis_yet(shop):
    experiment = builders.interleave(shop, **POLICY)
    page = sign_in(shop.project).get(report_path(experiment)).content.decode()
    assert "No analysis yet" in page


def body_of(shop, challenger, **changes):
    return {
        "key": "lists", "surface": "home-feed", "mode": "interleave",
        "variants": [
            {"key": "control", "model": "popularity@1", "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": challenger.label, "weight": 0.5},
        ],
        "metrics": [{"metric": "clicks"}],
    } | changes  # fmt: skip


def test_the_api_defines_one_and_refuses_in_a_sentence(lane, shop):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    uneven = body_of(shop, challenger)
    uneven["variants"] = [
        one | {"weight": w} for one, w in zip(uneven["variants"], (0.9, 0.1), strict=True)
    ]
    refused = lane.post("/v1/experiments", uneven, shop.secret)
    assert refused.status_code == 422
    assert "weights == [0.9, 0.1], must be equal" in refused.json()["error"]["message"]
    assert not Experiment.objects.filter(project=shop.project).exists()
    unknown = lane.post("/v1/experiments", body_of(shop, challenger, mode="blend"), shop.secret)
    assert unknown.status_code in {400, 422}
    defined = lane.post("/v1/experiments", body_of(shop, challenger), shop.secret)
    assert (defined.status_code, defined.json()["mode"]) == (201, "interleave")


def test_a_form_makes_one_that_ships_nothing_by_itself(shop):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    client = sign_in(shop.project, role="analyst")
    sent = {
        "key": "lists", "surface": shop.surface.pk, "allocation": "100", "primary": shop.metric.pk, "margin": "5",
        "rule": "group_sequential", "planned_units": "1000", "minimum_days": "7", "window_hours": "24",
        "promote": "on", "breaker_alpha": "0.1", "mode": "interleave",
        **pair_fields(shop.champion.pk, challenger.pk),
    }  # fmt: skip
    path = f"/p/{shop.project.slug}/experiments/new/"
    uneven = client.post(path, sent | pair_fields(shop.champion.pk, challenger.pk, share=20))
    assert "must be equal" in uneven.content.decode()
    assert not Experiment.objects.filter(project=shop.project).exists()
    assert client.post(path, sent).status_code == 302
    experiment = Experiment.objects.get(project=shop.project)
    assert (experiment.mode, experiment.policy["promote"]) == ("interleave", False)
    assert experiment.policy["rule"] == "always_valid"
