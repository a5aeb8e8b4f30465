"""A report as files, and the notebook that recomputes it."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from openpyxl import load_workbook

from experiments.actions.change_shares import Change, change_shares
from experiments.actions.experiment_draft import ExperimentMetricDraft
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment, Metric
from experiments.reports.notebook import notebook_of
from inference.models import Surface
from tests.support import builders
from tests.support.builders import QUICK_POLICY, now, visits
from tests.support.dashboard import report_path, sign_in


def execute(notebook) -> str:
    """Run the code cells one after another, as a kernel would; return what they print."""
    import contextlib

    out, space = io.StringIO(), {}
    with contextlib.redirect_stdout(out):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), space)
    return out.getvalue()


def test_the_notebook_recomputes_the_report(shop, decided):
    answer = sign_in(shop.project).get(report_path(decided, "report.ipynb"))
    notebook = json.loads(answer.content)
    assert notebook["nbformat"] == 4
    assert "1 comparisons recomputed: equal to the report" in execute(notebook)
    assert "scipy" in str(notebook)
    assert "numpy" not in str(notebook)


def test_the_notebook_holds_over_two_epochs(shop):
    experiment = shop.run_experiment(**QUICK_POLICY, promote=False)
    visits(experiment, {"control": 1, "treatment": 2}, units=120)
    change = Change(weights={"control": 0.3, "treatment": 0.7}, accept_moves=True)
    change_shares(experiment=experiment, change=change, by="a test")
    visits(experiment, {"control": 3, "treatment": 3}, units=80, unit_id="later-{variant}-{n}", epoch=2)
    look = look_at_experiment(experiment_id=experiment.pk)
    assert len(look.inputs["metrics"][0]["epochs"]) == 2
    assert "1 comparisons recomputed: equal to the report" in execute(notebook_of(experiment, look))


def test_the_notebook_weighs_a_bandits_epochs_as_its_look_does(shop):
    """Two closed epochs of different shares: Mantel and Haenszel's weights would miss the report's."""
    flag = Surface.objects.create(project=shop.project, key="button", kind="flag")
    bought = Metric.objects.create(project=shop.project, key="bought", kind="proportion", event="click")
    policy = QUICK_POLICY | {"rule": "always_valid", "floor": 0.1, "planned_units": 100_000}
    roles = [ExperimentMetricDraft(shop.metric), ExperimentMetricDraft(bought, role="secondary")]
    bandit = builders.experiment(shop, flag, mode="bandit", policy=policy, metrics=roles)
    people = {
        1: {"control": range(60), "treatment": range(60)},
        2: {"control": range(100, 120), "treatment": range(100, 240)},
        3: {"control": range(300, 310), "treatment": range(300, 310)},
    }
    for number, units in people.items():
        if number > 1:
            bandit.epochs.filter(ended_at__isnull=True).update(ended_at=now())
            shares = {"control": 0.125, "treatment": 0.875}
            bandit.epochs.create(number=number, weights=shares, allocation=1.0, started_at=now())
        visits(bandit, {"control": 0, "treatment": number}, units=units, epoch=number)
    ended = bandit.epochs.filter(ended_at__isnull=False)
    ended.update(started_at=now() - timedelta(hours=2), ended_at=now() - timedelta(hours=1))
    look = look_at_experiment(experiment_id=bandit.pk)
    assert look.parsed_inputs.batched
    assert [len(epoch) for epoch in look.inputs["metrics"][0]["epochs"]] == [2, 2, 0]
    assert "2 comparisons recomputed: equal to the report" in execute(notebook_of(bandit, look))


def test_a_notebook_whose_numbers_were_changed_says_so(shop, decided):
    look = decided.looks.last()
    look.result["comparisons"][0]["effect"]["estimate"] += 0.001
    with pytest.raises(AssertionError, match="estimate"):
        execute(notebook_of(decided, look))


def test_csv_and_workbook_hold_the_pages_numbers(shop, decided):
    client = sign_in(shop.project)
    rows = list(
        csv.DictReader(io.StringIO(client.get(report_path(decided, "report.csv")).content.decode()))
    )
    assert float(rows[0]["lift"]) == pytest.approx(2 / 3)
    assert float(rows[0]["lift_low"]) < 2 / 3 < float(rows[0]["lift_high"])
    book = load_workbook(io.BytesIO(client.get(report_path(decided, "report.xlsx")).content))
    assert book.sheetnames == [
        "Verdict", "Metrics", "Variants", "Over time", "Looks", "Decisions"
    ]  # fmt: skip
    assert book["Metrics"]["I2"].value == pytest.approx(2 / 3)
    assert book["Variants"].max_row == 3


def test_files_say_the_name_and_the_key(shop, decided):
    Experiment.objects.filter(pk=decided.pk).update(name="=Bolder covers")
    client, key = sign_in(shop.project), decided.key
    book = load_workbook(io.BytesIO(client.get(report_path(decided, "report.xlsx")).content))
    rows = [(row[0].value, row[1].value) for row in book["Verdict"].rows]
    assert rows[1:3] == [("name", "'=Bolder covers"), ("experiment", key)]
    report = client.get(report_path(decided, "report.json")).json()
    assert (report["name"], report["experiment"]) == ("=Bolder covers", key)
    notebook = client.get(report_path(decided, "report.ipynb")).json()
    text = "".join(notebook["cells"][0]["source"])
    assert text.startswith(f"# =Bolder covers\n\nExperiment `{key}`. Look 1 of")
    named = client.get(report_path(decided, "report.csv"))["Content-Disposition"]
    assert named == f'attachment; filename="{key}.csv"'


@pytest.mark.parametrize("action", ["ship", "roll_back", "keep_running"])
def test_every_form_of_a_report_shows_the_p_value_that_decided(shop, action):
    clicks = {"ship": (1, 2), "roll_back": (2, 1), "keep_running": (1, 1)}[action]
    experiment = shop.run_experiment(**QUICK_POLICY)
    visits(experiment, dict(zip(("control", "treatment"), clicks, strict=True)))
    assert look_at_experiment(experiment_id=experiment.pk).result["action"] == action
    client = sign_in(shop.project)
    page, data, table, book = (
        client.get(report_path(experiment, tail))
        for tail in ("", "report.json", "report.csv", "report.xlsx")
    )
    (row,) = data.json()["metrics"]
    low, high = row["interval"]
    decides = row["p_value"] <= row["level"]
    assert decides == (low > 0 or high < 0) == (action in {"ship", "roll_back"})
    assert decides == (row["adjusted_p_value"] <= experiment.parsed_policy.alpha)
    text = page.content.decode().replace("−", "-")
    shown = re.search(r'<td class="number">(?:&lt; )?([\d.e-]+) (≤|>|&gt;) ([\d.e-]+)</td>', text)
    assert (shown[2] == "≤") == decides
    assert float(shown[1]) == pytest.approx(row["p_value"], rel=0.01, abs=1.1e-300)
    assert float(shown[3]) == pytest.approx(row["level"], rel=0.01)
    (line,) = csv.DictReader(io.StringIO(table.content.decode()))
    sheet = load_workbook(io.BytesIO(book.content))["Metrics"]
    cells = dict(zip(*sheet.iter_rows(values_only=True), strict=True))
    for name in ("p_value", "level", "adjusted_p_value", "interval_level"):
        assert float(line[name]) == pytest.approx(row[name])
        assert cells[name] == pytest.approx(row[name])
    assert row["interval_level"] == pytest.approx(0.95)
    assert {line["interval_kind"], cells["interval_kind"], row["interval_kind"]} == {
        "valid at any time"
    }


def test_segments_are_shown_with_their_levels(shop):
    """The page of an experiment with segments was an error until 0.2.0."""
    experiment = shop.run_experiment(**QUICK_POLICY)
    visits(experiment, {"control": 1, "treatment": 2})
    look = look_at_experiment(experiment_id=experiment.pk)
    segment = {"segment": "country=DE", "variant": "treatment", "units": 200, "estimate": 0.5,
               "lift": 0.25, "interval": [0.1, 0.9], "adjusted_p_value": 0.01, "why_not": ""}  # fmt: skip
    look.result["segments"] = [segment, segment | {"control": 2.125, "treatment": 2.625}]
    look.save(update_fields=["result"])
    client = sign_in(shop.project)
    old, new = client.get(report_path(experiment, "report.json")).json()["segments"]
    assert (old["control"], old["estimate"], new["control"]) == (None, 0.5, 2.125)
    page = client.get(report_path(experiment, ""))
    assert page.status_code == 200
    assert "country=DE" in page.content.decode()
    assert "2.625" in page.content.decode()


def test_a_name_is_no_formula_in_a_spreadsheet(shop, decided):
    Metric.objects.filter(pk=shop.metric.pk).update(name='=HYPERLINK("http://evil")')
    client = sign_in(shop.project)
    table = client.get(report_path(decided, "report.csv")).content.decode()
    assert "'=HYPERLINK" in table
    book = load_workbook(io.BytesIO(client.get(report_path(decided, "report.xlsx")).content))
    assert book["Metrics"]["A2"].value.startswith("'=")


def test_pdf_without_its_libraries_says_what_is_missing(shop, decided, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "weasyprint", None)
    answer = sign_in(shop.project).get(report_path(decided, "report.pdf"))
    assert answer.status_code == 501
    advice = answer.content.decode()
    assert "PDF needs WeasyPrint and its libraries (Pango): pip install weasyprint," in advice
    assert "bakeoff[" not in advice  # no index has a package of that name of ours


def test_an_experiment_without_a_look_has_no_notebook(shop):
    experiment = shop.run_experiment()
    assert sign_in(shop.project).get(report_path(experiment, "report.ipynb")).status_code == 404


def test_the_report_asks_a_fixed_number(shop, decided, django_assert_max_num_queries):
    client = sign_in(shop.project)
    look = decided.looks.last()
    for number in range(2, 60):
        look.pk, look.number = None, number
        look.save()
    with django_assert_max_num_queries(64):  # six of them for its holdback
        client.get(report_path(decided))


def test_lists_ask_a_fixed_number_of_questions(shop, decided, django_assert_max_num_queries):
    client = sign_in(shop.project)
    for n in range(60):
        Experiment.objects.create(project=shop.project, surface=shop.surface, key=f"e{n}", salt=str(n))
    with django_assert_max_num_queries(15 + 30 * 6):
        client.get(f"/p/{shop.project.slug}/experiments/")
