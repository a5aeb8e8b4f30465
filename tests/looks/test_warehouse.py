"""One definition, two back ends: PostgreSQL by the change, DuckDB over Parquet from all rows."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from experiments.metrics.spec import MetricError, MetricSpec
from experiments.scorecards.warehouse import open_parquet, totals_of
from tests.support.story import Story, roll


def export(story: Story, folder) -> tuple[str, str, str]:
    """Write the experiment's rows as a warehouse would hold them."""
    queries = {
        "exposures": """SELECT unit_id, key AS variant, epoch, exposed_at
            FROM experiments_exposure JOIN experiments_variant AS v ON v.id = variant_id
            WHERE experiments_exposure.experiment_id = %s""",
        "events": """SELECT unit_id, name, occurred_at, value, item_id, properties::text AS properties,
            recommendation_id::text AS recommendation_id, source
            FROM experiments_event WHERE project_id = (
                SELECT project_id FROM experiments_experiment WHERE id = %s)""",
        "slates": """SELECT recommendation_id::text AS recommendation_id, unit_id, served_at
            FROM experiments_slate WHERE experiment_id = %s""",
    }
    paths = []
    for name, query in queries.items():
        with connection.cursor() as cursor:
            cursor.execute(query, [story.experiment.pk])
            columns = [column.name for column in cursor.description]
            rows = cursor.fetchall()
        moment = pa.timestamp("us", tz="UTC")
        types = {"epoch": pa.int64(), "value": pa.float64(), "occurred_at": moment,
                 "exposed_at": moment, "served_at": moment}  # fmt: skip
        table = pa.table(
            {
                c: pa.array([row[n] for row in rows], types.get(c, pa.string()))
                for n, c in enumerate(columns)
            }
        )
        path = folder / f"{name}.parquet"
        parquet.write_table(table, path)
        paths.append(str(path))
    return tuple(paths)


happenings = st.lists(
    st.tuples(
        st.sampled_from(["click", "view"]), st.integers(0, 4), st.integers(0, 150), st.integers(0, 60)
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(happenings)
def test_both_back_ends_give_the_same_totals(tables, tmp_path_factory, script):
    story = Story()
    for n in range(5):
        story.expose(f"u{n}", "control" if n % 2 else "treatment", 10.0 * n)
    for name, unit, at, event in script:
        story.happen(name, f"u{unit}", at, f"e{event}")
    now = story.start + timedelta(seconds=90)
    roll(story.experiment, now)
    records = open_parquet(*export(story, tmp_path_factory.mktemp("warehouse")))
    for metric, spec in story.specs.items():
        totals = totals_of(spec, records, now=now)
        assert (totals[0] if totals else {}) == story.stored(metric), metric


def test_it_says_which_table_or_column_is_missing(tmp_path):
    (tmp_path / "empty").mkdir()
    parquet.write_table(pa.table({"unit_id": ["u"], "variant": ["a"]}), tmp_path / "x.parquet")
    parquet.write_table(
        pa.table({"unit_id": ["u"], "name": ["click"], "occurred_at": [1]}), tmp_path / "e.parquet"
    )
    with pytest.raises(MetricError, match="exposures lacks the column 'exposed_at'"):
        open_parquet(str(tmp_path / "x.parquet"), str(tmp_path / "e.parquet"))


def test_attributed_events_need_slates(tables, tmp_path):
    story = Story()
    story.expose("u1", "control", 1.0)
    story.happen("click", "u1", 2.0, "e1")
    exposures, events, _ = export(story, tmp_path)
    records = open_parquet(exposures, events)
    for fields in ({"attributed_only": True}, {"kind": "ratio", "denominator": "slate"}):
        spec = MetricSpec(**{"key": "m", "kind": "mean", "event": "click"} | fields)
        with pytest.raises(MetricError, match="slates must be given"):
            totals_of(spec, records, now=story.start)
