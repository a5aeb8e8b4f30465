"""SQL is composed of parts, each written once; none is edited as text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.db import connection

from experiments import sql
from experiments.ingest import rows
from experiments.ingest.rows import columns_of
from experiments.models import (
    Event,
    ExcludedUnit,
    Exposure,
    Feedback,
    Observation,
    QuarantinedExposure,
    Slate,
    Total,
)
from experiments.stats.totals import TOTALS
from tests.support import builders

ROOT = Path(__file__).parents[1]
KEYWORDS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "%(", "::")
EDITS = {"replace", "sub", "subn", "translate"}


def edits_of_sql(code: str):
    """Yield lines of calls that edit a text in whose names or strings there is SQL."""
    tree = ast.parse(code)
    statements = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(word in ast.unparse(node.value) for word in KEYWORDS)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        of = [node.func.value, *node.args]
        names = {one.id for one in of if isinstance(one, ast.Name)}
        texts = [
            one.value for one in of if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
        is_sql = names & statements or any(word in text for text in texts for word in KEYWORDS)
        if is_sql and node.func.attr in EDITS:
            yield node.lineno


def test_no_statement_is_edited_as_text():
    edited = {}
    for room in ("experiments", "inference", "platform"):
        for path in (ROOT / room).rglob("*.py"):
            if lines := list(edits_of_sql(path.read_text(encoding="utf-8"))):
                edited[str(path.relative_to(ROOT))] = lines
    assert not edited


def test_the_guard_sees_an_edit():
    assert list(edits_of_sql('A = "SELECT 1"\nB = A.replace("1", "2")\n')) == [2]
    assert list(edits_of_sql('import re\nB = re.sub("x", "y", "SELECT x")\n')) == [2]
    assert not list(edits_of_sql('A = "a name"\nB = A.replace("a", "b")\n'))


@pytest.mark.parametrize(
    ("row", "model"),
    [
        (rows.SlateRow, Slate),
        (rows.ExposureRow, Exposure),
        (rows.QuarantinedRow, QuarantinedExposure),
        (rows.EventRow, Event),
        (rows.FeedbackRow, Feedback),
        (rows.ExclusionRow, ExcludedUnit),
    ],
)
def test_a_row_has_columns_of_its_table_with_their_types(row, model, tables):
    numbers = {"int4": "int8", "int8": "int8", "varchar": "text"}
    types = {"bigint": "int8", "boolean": "bool", "text[]": "_varchar"}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, udt_name FROM information_schema.columns WHERE table_name = %s",
            [model._meta.db_table],
        )
        there = {name: numbers.get(kind, kind) for name, kind in cursor.fetchall()}
    mine = {name: types.get(kind, kind) for name, kind in columns_of(row).items()}
    assert mine == {name: there.get(name) for name in mine}


def test_products_are_columns_of_observations_and_totals():
    observed = {field.name for field in Observation._meta.fields}
    totalled = {field.name for field in Total._meta.fields}
    assert set(sql.OBSERVED.values()) <= observed
    assert set(sql.TOTALED.values()) <= totalled
    # Every sum that the statistics have, and those of values without the cap.
    assert set(sql.TOTALED) == set(TOTALS) - {"n"} | {"sum_u", "sum_uu"}
    assert (
        sql.products(of=sql.observed("new."))["sum_dw"] == "new.denominator * new.denominator_covariate"
    )


def test_feedback_counts_for_sql_as_it_does_for_django(shop):
    slate = builders.make_slate(shop, "u1")
    words = [
        {"text": "first", "kind": "text", "value": None},
        {"text": "second", "kind": "text", "value": None},  # supersedes the first
        {"kind": "thumb", "value": 1.0, "withdrawn": True},
        {"kind": "rating", "value": 4.0, "item_id": "i1", "state": "spam"},
        {"kind": "rating", "value": 5.0, "item_id": "i0"},
        {"kind": "hide", "value": 1.0, "item_id": "i1", "unit_id": "u2"},
    ]
    for word in words:  # one statement each: they are received one after another
        builders.write(builders.Rows(feedback=[builders.feedback(shop, slate, **word)]))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT kind, text FROM experiments_feedback AS word
            WHERE project_id = %s AND {sql.counts_now("word")} ORDER BY id""",
            [shop.project.pk],
        )
        counted = cursor.fetchall()
    django = Feedback.objects.counted().filter(project=shop.project).order_by("id")
    assert counted == list(django.values_list("kind", "text"))
    assert [kind for kind, _ in counted] == ["text", "rating", "hide"]
    assert counted[0][1] == "second"
