"""`bakeoff units` and `bakeoff feedback`."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest

from experiments.ingest.rows import Rows
from experiments.models import ExcludedUnit, Slate
from tests.support import builders
from tests.support.commands import run


@pytest.fixture
def feedback_of_ann(shop):
    slate = builders.make_slate(shop, "ann")
    say = lambda **fields: builders.feedback(shop, slate, unit_id="ann", **fields)  # noqa: E731
    rows = [
        say(kind="correction", value=None, text="refund"),
        say(kind="correction", value=None, text="billing"),  # supersedes
        say(kind="thumb", value=1.0, item_id="i0", trainable=False),
        say(kind="rating", value=4.0, item_id="i1"),
        say(kind="reasons", value=None, tags=["slow", "dear"]),
    ]
    for row in rows:
        builders.write(Rows(feedback=[row]))
    return ["--project", shop.project.slug]


def test_a_person_is_exported_excluded_and_erased(feedback_of_ann, shop, tmp_path):
    out = tmp_path / "ann.json"
    assert "rows written to" in run("units", "export", "ann", "--out", str(out), *feedback_of_ann)
    data = json.loads(out.read_text())
    assert (len(data["slates"]), len(data["feedback"])) == (1, 5)
    assert "1 unit excluded, 0 were excluded already." in run(
        "units", "exclude", "ann", *feedback_of_ann
    )
    assert ExcludedUnit.objects.filter(project=shop.project).count() == 1
    run("units", "erase", "ann", *feedback_of_ann, status=1)  # nobody said yes
    assert Slate.objects.filter(project=shop.project).exists()
    output = run("units", "erase", "ann", "--yes", *feedback_of_ann)
    assert "slates        1 deleted" in output
    assert not Slate.objects.filter(project=shop.project).exists()
    assert not ExcludedUnit.objects.filter(project=shop.project).exists()


def test_labels_are_the_last_words_that_may_be_learnt_from(feedback_of_ann, tmp_path):
    run("feedback", "export", str(tmp_path / "all.parquet"), *feedback_of_ann)
    rows = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert {row["kind"] for row in rows} == {"correction", "rating", "reasons"}
    run("feedback", "export", str(tmp_path / "labels.csv"), "--kind", "correction", *feedback_of_ann)
    with (tmp_path / "labels.csv").open() as file:
        assert [row["text"] for row in csv.DictReader(file)] == ["billing"]
    assert "must end in .parquet or .csv" in run(
        "feedback", "export", str(tmp_path / "x.txt"), *feedback_of_ann, status=2
    )
