"""Run in the peers' environment: `python scorecard.py FILE REPEATS` prints seconds per peer as JSON.

FILE is Parquet: variant (0 or 1), and y0…, x0… of each metric.
"""

import json
import sys
import time
import warnings

import pandas as pd
import pyarrow.parquet as pq
import tea_tasting as tt
from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import RegressionAdjustedStatistic, SampleMeanStatistic, compute_theta
from spotify_confidence import ZTestLinreg

warnings.simplefilter("ignore")
FILE, REPEATS = sys.argv[1], int(sys.argv[2])
METRICS = 5


def sums_of(frame):
    """Sufficient statistics of each variant, as a team would compute them with pandas."""
    for n in range(METRICS):
        frame[f"yy{n}"] = frame[f"y{n}"] ** 2
        frame[f"xx{n}"] = frame[f"x{n}"] ** 2
        frame[f"yx{n}"] = frame[f"y{n}"] * frame[f"x{n}"]
    frame["n"] = 1
    return frame.groupby("variant").sum().reset_index()


def gbstats_scorecard(sums):
    rows = []
    for n in range(METRICS):
        sides = []
        for row in sums.to_dict("records"):
            after = SampleMeanStatistic(n=row["n"], sum=row[f"y{n}"], sum_squares=row[f"yy{n}"])
            before = SampleMeanStatistic(n=row["n"], sum=row[f"x{n}"], sum_squares=row[f"xx{n}"])
            sides.append(
                RegressionAdjustedStatistic(
                    n=row["n"],
                    post_statistic=after,
                    pre_statistic=before,
                    post_pre_sum_of_products=row[f"yx{n}"],
                    theta=0,
                )
            )
        theta = compute_theta(*sides)
        for side in sides:
            side.theta = theta
        rows += [
            TwoSidedTTest(*sides, FrequentistConfig(difference_type=kind)).compute_result()
            for kind in ("absolute", "relative")
        ]
    return rows


def spotify_scorecard(sums):
    return [
        ZTestLinreg(
            sums,
            numerator_column=f"y{n}",
            numerator_sum_squares_column=f"yy{n}",
            denominator_column="n",
            feature_column=f"x{n}",
            feature_sum_squares_column=f"xx{n}",
            feature_cross_sum_column=f"yx{n}",
            categorical_group_columns="variant",
        ).difference(level_1=0, level_2=1)
        for n in range(METRICS)
    ]


def tea_experiment():
    return tt.Experiment({f"m{n}": tt.Mean(f"y{n}", f"x{n}") for n in range(METRICS)})


def median_seconds(call):
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


sums = sums_of(pd.read_parquet(FILE))
table = pq.read_table(FILE)
metric = {n: tt.Mean(f"y{n}", f"x{n}") for n in range(METRICS)}
both = [f"{c}{n}" for n in range(METRICS) for c in "yx"]
aggregates = tt.aggr.read_aggregates(
    table,
    "variant",
    has_count=True,
    mean_cols=both,
    var_cols=both,
    cov_cols=[(f"x{n}", f"y{n}") for n in range(METRICS)],
)


def tea_from_totals():
    return [metric[n].analyze_aggregates(aggregates[0], aggregates[1]) for n in range(METRICS)]


print(
    json.dumps(
        {
            "rows": {
                "tea-tasting": median_seconds(lambda: tea_experiment().analyze(pq.read_table(FILE))),
                "gbstats": median_seconds(lambda: gbstats_scorecard(sums_of(pd.read_parquet(FILE)))),
                "spotify-confidence": median_seconds(
                    lambda: spotify_scorecard(sums_of(pd.read_parquet(FILE)))
                ),
            },
            "totals": {
                "tea-tasting": median_seconds(tea_from_totals),
                "gbstats": median_seconds(lambda: gbstats_scorecard(sums)),
                "spotify-confidence": median_seconds(lambda: spotify_scorecard(sums)),
            },
            "estimate": [
                float(tea_from_totals()[0].effect_size),
                float(gbstats_scorecard(sums)[0].expected),
            ],
        }
    )
)
