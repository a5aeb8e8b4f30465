"""What a refreshed scorecard costs, by how many events are stored and how many are new."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

from benchmarks.results import Row, median_of, write_result
from benchmarks.servers import servers

EVENTS_PER_UNIT = 10
REPEATS = 5
NEW_NOTES = (
    "The first look of an experiment of five metrics whose units are all new, on tables of whose statistics nothing is "
    "known: five observations are opened, computed and, as their windows have passed, added to the totals for each "
    "exposure. Once each. Peer: the smallest size; flat means a ratio near 1."
)


def run(size: str, home: str) -> None:
    sizes = [100_000, 1_000_000, 10_000_000] if size == "full" else [10_000, 100_000]
    with servers(home):
        new = [1_000, 10_000, 100_000, 1_000_000] if size == "full" else [1_000, 10_000]
        # Written at once: the rest takes hours where the machine is busy.
        write_result("new_exposures", size, _measure_new(new), NEW_NOTES)
        rows = _measure(sizes)
    notes = (
        f"Five metrics (two proportions, a mean with a covariate, a ratio, a retention), {EVENTS_PER_UNIT} events a unit, "
        "stored by SQL; then new events of the same units come in and the roll-up and the look are timed. "
        "Peer: the same at the smallest size; flat means a ratio near 1."
    )
    write_result("freshness", size, rows, notes)


def _measure(sizes: list[int]) -> list[Row]:
    rows, flat = [], {}
    for events in sizes:
        experiment = _build(events)
        seconds = _refresh(experiment)  # what is there already is read once
        rows.append(
            Row(f"first roll-up of {events:,} stored events", seconds, "s", higher_is_better=False)
        )
        for new in (100, 1_000, 10_000):
            times = []
            for repeat in range(REPEATS):
                _add_events(experiment, new, f"{new}-{repeat}")
                times.append(_refresh(experiment) * 1000)
            median, spread = median_of(times)
            base = flat.setdefault(new, median)
            rows.append(
                Row(f"refresh after {new:,} new of {events:,} events", median, "ms", base, None,
                    "ratio_to_peer >= 0.5", higher_is_better=False, spread=spread)
            )  # fmt: skip
        looks = [_look(experiment) * 1000 for _ in range(REPEATS)]
        median, spread = median_of(looks)
        rows.append(
            Row(f"a look at {events:,} events", median, "ms", None, None, "ours <= 100",
                higher_is_better=False, spread=spread)
        )  # fmt: skip
    return rows


def _measure_new(sizes: list[int]) -> list[Row]:
    """Time the first look of an experiment of which the tables' statistics know nothing."""
    warm = _define("warm", 100)  # the first look of a process loads SciPy
    _expose(warm, 100)
    _refresh(warm)
    rows, base, taken = [], 0.0, []
    for units in sizes:
        experiment = _define(f"new-{units}", units)
        _expose(experiment, units)
        seconds = _refresh(experiment)
        base = base or seconds * 1e6 / units
        rows.append(Row(f"a look after {units:,} new exposures", seconds, "s", higher_is_better=False))
        rows.append(
            Row(f"per new exposure, of {units:,}", seconds * 1e6 / units, "µs", base, None,
                "ratio_to_peer >= 0.5", higher_is_better=False)
        )  # fmt: skip
        taken.append((units, seconds))
    (few, first), (many, last) = taken[0], taken[-1]
    rows.append(
        Row("slope: each further 1,000,000 new exposures", (last - first) * 1e6 / (many - few), "s", higher_is_better=False)
    )  # fmt: skip
    exponent = math.log(last / first) / math.log(many / few)
    rows.append(
        Row("exponent of the time over new exposures (1: linear)", exponent, "", None, None,
            "ours <= 1.1", higher_is_better=False)
    )  # fmt: skip
    return rows


def _build(events: int):
    """An experiment with its exposures and events, written by SQL."""
    from django.db import connection

    units = events // EVENTS_PER_UNIT
    experiment = _define(str(events), units)
    _expose(experiment, units)
    with connection.cursor() as cursor:
        cursor.execute(EVENTS_OF_UNITS, [experiment.project_id, events, units, "stored"])
        cursor.execute("ANALYZE experiments_event; ANALYZE experiments_exposure")
    return experiment


def _define(label: str, units: int):
    """A running experiment of five metrics."""
    from bakeoff.accounts.models import Project
    from experiments.actions.define_experiment import define_experiment
    from experiments.actions.experiment_draft import (
        ExperimentDraft,
        ExperimentMetricDraft,
        VariantDraft,
    )
    from experiments.actions.start_experiment import start_experiment
    from experiments.models import Metric
    from inference.models import ModelVersion, Surface
    from tests.support.builders import make_popularity

    project = Project.objects.create(slug=f"bench-{label}", name="Bench")
    surface = Surface.objects.create(project=project, key="home-feed")
    versions = [
        ModelVersion.objects.create(
            surface=surface,
            algorithm="bench",
            number=n,
            alias=alias,
            artifact_sha256=make_popularity(["i1"], [1], version=f"{label}-{n}"),
        )
        for n, alias in enumerate(("champion", "challenger"), 1)
    ]
    common = {"project": project, "event": "click"}
    metrics = [
        Metric.objects.create(key="clicked", kind="proportion", **common),
        Metric.objects.create(key="bought", kind="proportion", **common | {"event": "purchase"}),
        Metric.objects.create(
            key="revenue",
            kind="mean",
            value="sum",
            lookback_seconds=604_800,
            **common | {"event": "purchase"},
        ),
        Metric.objects.create(key="rate", kind="ratio", denominator="view", **common),
        Metric.objects.create(
            key="back",
            kind="retention",
            delay_seconds=3600,
            window_seconds=3600,
            **common | {"event": "view"},
        ),
    ]
    draft = ExperimentDraft(
        surface,
        "bench",
        [
            VariantDraft("control", versions[0], 0.5, is_control=True),
            VariantDraft("treatment", versions[1], 0.5),
        ],
        [ExperimentMetricDraft(m, "primary" if n == 0 else "secondary") for n, m in enumerate(metrics)],
        policy={"planned_units": 4 * units, "futility": False},
    )
    return start_experiment(experiment=define_experiment(draft), by="bench")


def _expose(experiment, units: int) -> None:
    from django.db import connection

    control, treatment = experiment.variants.order_by("id")
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO experiments_exposure
                (project_id, experiment_id, variant_id, epoch, unit_id, unit_type, exposed_at)
            SELECT %s, %s, CASE WHEN n %% 2 = 0 THEN %s ELSE %s END, 1, 'u' || n, 'unit',
                now() - interval '2 days' FROM generate_series(1, %s) AS n""",
            [experiment.project_id, experiment.pk, control.pk, treatment.pk, units],
        )


EVENTS_OF_UNITS = """INSERT INTO experiments_event (project_id, event_id, name, unit_id, item_known, value,
        occurred_at, properties, source)
    SELECT %s, 'e' || given.label || n, (ARRAY['view', 'view', 'view', 'click', 'purchase'])[1 + n %% 5],
        'u' || 1 + (n * 7919::bigint) %% given.units, true, n %% 17,
        now() - interval '2 days' + make_interval(secs => n %% 80000), '{}', 'live'
    FROM (SELECT %s::bigint AS events, %s::bigint AS units, %s AS label) AS given,
        generate_series(1, given.events) AS n"""


def _add_events(experiment, new: int, label: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT units FROM experiments_exposuretotal WHERE experiment_id = %s", [experiment.pk]
        )
        units = sum(row[0] for row in cursor.fetchall())
        cursor.execute(EVENTS_OF_UNITS, [experiment.project_id, new, units, label])


def _refresh(experiment) -> float:
    from experiments.actions.look_at_experiment import look_at_experiment

    start = time.perf_counter()
    look_at_experiment(experiment_id=experiment.pk)
    return time.perf_counter() - start


def _look(experiment) -> float:
    from experiments.looks.look_input import gather
    from experiments.models import Experiment
    from experiments.stats.look import take_look

    fresh = Experiment.objects.get(pk=experiment.pk)
    start = time.perf_counter()
    take_look(gather(fresh, datetime.now(UTC)))
    return time.perf_counter() - start
