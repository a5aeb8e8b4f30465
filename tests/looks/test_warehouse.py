"""One definition, two back ends: PostgreSQL by the change, DuckDB over Parquet from all rows."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from experiments.metrics.spec import MetricError, MetricSpec
from experiments.scorecards.warehouse import open_parquet, totals_of
from tests.support.story import Story, roll
from tests.support.story_export import export

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
