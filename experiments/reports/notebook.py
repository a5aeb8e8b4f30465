"""A notebook that recomputes a report's numbers from its exported totals, with SciPy alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from experiments.reports.judged_quality import judged_quality_of

if TYPE_CHECKING:
    from experiments.models import Experiment, Look

METRIC_FIELDS = ("key", "kind", "epochs")
SHOWN_FIELDS = (
    "metric", "variant", "effect", "critical", "ends", "interval", "lift", "why_not",
)  # fmt: skip
FORMULAS = '''import math
from scipy.optimize import brentq

PROPORTIONS = {"proportion", "retention", "funnel"}


def linearise(kind, t):
    """A variant's statistic as a mean of contributions: level, variance, covariate, its squares, products."""
    n = t["n"]
    def centred(a, b, both):
        return t[both] - t[a] * t[b] / n
    y, d, x, w = (t[name] / n for name in ("sum_y", "sum_d", "sum_x", "sum_w"))
    yy, yx, xx = centred("sum_y", "sum_y", "sum_yy"), centred("sum_y", "sum_x", "sum_yx"), centred("sum_x", "sum_x", "sum_xx")
    if kind != "ratio":
        return n, y, yy / (n - 1), x, xx, yx
    yd, dd, dx = centred("sum_y", "sum_d", "sum_yd"), centred("sum_d", "sum_d", "sum_dd"), centred("sum_d", "sum_x", "sum_dx")
    ww, yw, dw, xw = centred("sum_w", "sum_w", "sum_ww"), centred("sum_y", "sum_w", "sum_yw"), centred("sum_d", "sum_w", "sum_dw"), centred("sum_x", "sum_w", "sum_xw")
    r = y / d
    variance = max((yy - 2 * r * yd + r * r * dd) / d**2, 0) / (n - 1)
    if ww == 0 or w == 0:
        return n, r, variance, x, xx, (yx - r * dx) / d
    rx = x / w
    squares = max(xx - 2 * rx * xw + rx * rx * ww, 0) / w**2
    return n, r, variance, rx, squares, (yx - rx * yw - r * dx + r * rx * dw) / (d * w)


def compare(kind, control, treatment, cautious):
    """One epoch: Welch's difference, CUPED where a covariate varies (one slope for both variants).

    Cautious: from 60/40 on, the pooled variance of means and ratios where its standard error is larger.
    """
    c, t = linearise(kind, control), linearise(kind, treatment)
    both, apart = c[0] * t[0] / (c[0] + t[0]), t[3] - c[3]
    if kind == "ratio":
        spread = c[4] / (c[0] - 1) + t[4] / (t[0] - 1)
        products = c[5] / (c[0] - 1) + t[5] / (t[0] - 1)
    else:
        spread = c[4] + t[4] + both * apart**2
        products = c[5] + t[5] + both * apart * (t[1] - c[1])
    theta = products / spread if spread > 0 else None
    test_se = None
    if theta is None:
        levels = [c[1], t[1]]
        variances = [s[1] * (1 - s[1]) if kind in PROPORTIONS else s[2] for s in (c, t)]
        if kind in PROPORTIONS:
            pooled = (c[0] * c[1] + t[0] * t[1]) / (c[0] + t[0])
            test_se = math.sqrt(pooled * (1 - pooled) * (1 / c[0] + 1 / t[0]))
    else:
        centre = (c[0] * c[3] + t[0] * t[3]) / (c[0] + t[0])
        levels = [s[1] - theta * (s[3] - centre) for s in (c, t)]
        variances = [max(s[2] - (2 * theta * s[5] - theta**2 * s[4]) / (s[0] - 1), 0) for s in (c, t)]
    parts = [variances[0] / c[0], variances[1] / t[0]]
    if cautious and test_se is None and max(c[0], t[0]) >= 1.5 * min(c[0], t[0]):
        pooled = ((c[0] - 1) * variances[0] + (t[0] - 1) * variances[1]) / (c[0] + t[0] - 2)
        parts = max(parts, [pooled / c[0], pooled / t[0]], key=sum)
    se = math.sqrt(sum(parts))
    estimate = levels[1] - levels[0]
    return {"control": levels[0], "treatment": levels[1], "estimate": estimate, "se": se,
            "test_se": test_se or se, "n": (c[0], t[0]), "plain": test_se is not None}


def weights_of(effects):
    """Shares of the epochs: Mantel and Haenszel's; of a bandit's batches, of N users each, √(N · theirs)."""
    raw = [e["n"][0] * e["n"][1] / sum(e["n"]) for e in effects]
    raw = [math.sqrt(w * e["users"]) if e["users"] else w for w, e in zip(raw, effects)]
    return [w / sum(raw) for w in raw]


def stratify(effects):
    """Over epochs."""
    weights = weights_of(effects)
    mean = lambda name: sum(w * e[name] for w, e in zip(weights, effects))
    root = lambda name: math.sqrt(sum((w * e[name]) ** 2 for w, e in zip(weights, effects)))
    return {"control": mean("control"), "treatment": mean("treatment"), "estimate": mean("estimate"),
            "se": root("se"), "statistic": mean("estimate") / root("test_se")}


def restricted_variance(e, d):
    """Variance of a difference of proportions at the likeliest ones that differ by d (Miettinen, Nurminen)."""
    n_c, n_t = e["n"]
    x_c, n, x = n_c * e["control"], n_c + n_t, n_c * e["control"] + n_t * e["treatment"]
    if d == 0:
        p = x / n
    else:
        a, b, c = ((n_t + 2 * n_c) * d - n - x) / n, ((n_c * d - n - 2 * x_c) * d + x) / n, x_c * d * (1 - d) / n
        q = (a / 3) ** 3 - a * b / 6 + c / 2
        r = math.copysign(math.sqrt(max((a / 3) ** 2 - b / 3, 0)), q)
        p = 2 * r * math.cos((math.pi + math.acos(min(max(q / r**3, -1), 1))) / 3) - a / 3
        p = min(max(p, 0, -d), 1, 1 - d)
    return p * (1 - p) / n_c + (p + d) * (1 - p - d) / n_t


def interval(effects, ends):
    """The differences that the test does not reject at the critical values of its lower and upper end."""
    found = stratify(effects)
    if not effects[0]["plain"]:
        return found["estimate"] - ends[0] * found["se"], found["estimate"] + ends[1] * found["se"]
    weights = weights_of(effects)

    def z(d):
        variance = sum(w * w * restricted_variance(e, d) for w, e in zip(weights, effects))
        return (found["estimate"] - d) / math.sqrt(variance)

    edge = 1 - 1e-9
    low = brentq(lambda d: z(d) - ends[0], -edge, found["estimate"], xtol=1e-15)
    return low, brentq(lambda d: z(d) + ends[1], found["estimate"], edge, xtol=1e-15)
'''

CHECK = """rows = []
for stored in data["comparisons"]:
    metric = next(m for m in data["metrics"] if m["key"] == stored["metric"])
    if stored["effect"] is None or metric["kind"] == "quantile":
        continue
    epochs = [e for e in metric["epochs"] if data["control"] in e and stored["variant"] in e]
    effects = [compare(metric["kind"], e[data["control"]], e[stored["variant"]], data["schema"] > 1)
               | {"users": sum(side["n"] for side in e.values()) if data["batched"] else None} for e in epochs
               if min(e[data["control"]]["n"], e[stored["variant"]]["n"]) >= 2]
    found = stratify(effects)
    for name in ("control", "treatment", "estimate", "se", "statistic"):
        assert math.isclose(found[name], stored["effect"][name], rel_tol=1e-9, abs_tol=1e-12), (stored["metric"], name)
    low, high = None, None
    if stored["interval"] is not None and data["schema"] == 1:
        half = stored["critical"] * found["se"]
        low, high = found["estimate"] - half, found["estimate"] + half
    elif stored["interval"] is not None and not stored["why_not"]:
        ends = stored["ends"]
        if ends is not None:
            low, high = interval(effects, ends)
    rows.append((stored["metric"], stored["variant"], found["control"], found["treatment"], found["estimate"], low, high))
    if low is not None and not (data["rule"] == "exact" and stored["role"] == "primary"):
        for end, kept in zip((low, high), stored["interval"]):  # an end is held open at 0 where nothing is tested
            assert math.isclose(end, kept, rel_tol=1e-9, abs_tol=1e-12) or kept == 0, stored["metric"]
for row in rows:
    print("{} of {}: {:.6g} and {:.6g}, difference {:+.6g} ({} to {})".format(*row))
print(len(rows), "comparisons recomputed: equal to the report")
"""

QUALITY_CHECK = """def half_width(users, planned, alpha):
    scale = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned
    a = users * scale
    return math.sqrt((a + 1) / a * math.log((a + 1) / alpha**2))


for row in quality["rows"]:
    for one in row["estimates"]:
        if one["why_not"]:
            print(row["variant"], one["source"], "no interval:", one["why_not"])
            continue
        difference = one["treatment"] - one["control"]
        half = half_width(one["users"], one["planned_users"], quality["alpha"]) * one["se"]
        for end, kept in zip((difference - half, difference + half), one["ci"]):
            assert math.isclose(end, kept, rel_tol=1e-9, abs_tol=1e-12), (row["variant"], one["source"])
        print("{} {}: quality {:+.4f} ({:+.4f} to {:+.4f})".format(row["variant"], one["source"], difference, *one["ci"]))
"""


def notebook_of(experiment: Experiment, look: Look) -> dict[str, Any]:
    """Return a notebook, format 4.5: the totals of a look, the formulas, and the check.

    Quantiles are sketches and are left out; the critical value is the stored rule's.
    """
    data, result = _data_of(experiment, look), look.parsed_result
    text = (
        f"# {experiment.title}\n\nExperiment `{experiment.key}`. Look {look.number} of {look.taken_at:%Y-%m-%d %H:%M} UTC: "
        f"**{result.action}**, {result.reason}.\n\nThe cells below recompute every difference and its "
        "interval from the totals (sums per variant, no unit), with SciPy alone."
    )
    cells = [
        ("markdown", text),
        ("code", f"import json\n\ndata = json.loads({json.dumps(json.dumps(data))})"),
        ("code", FORMULAS),
        ("code", CHECK),
        *_quality_cells(experiment),
    ]
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        "cells": [_cell(number, kind, source) for number, (kind, source) in enumerate(cells)],
    }


def _quality_cells(experiment: Experiment) -> list[tuple[str, str]]:
    quality = judged_quality_of(experiment)
    if quality is None:
        return []
    data = quality.as_json() | {"alpha": experiment.parsed_policy.alpha}
    return [
        ("markdown", "Quality of answers by the judge alone, by people alone, and combined."),
        ("code", f"quality = json.loads({json.dumps(json.dumps(data))})"),
        ("code", QUALITY_CHECK),
    ]


def _data_of(experiment: Experiment, look: Look) -> dict[str, Any]:
    """Return what the cells read: totals by variant, and the comparisons to be recomputed."""
    inputs, result = look.parsed_inputs, look.parsed_result
    roles = {metric.key: metric.role for metric in inputs.metrics}
    return {
        "experiment": experiment.key,
        "look": look.number,
        "taken_at": look.taken_at.isoformat(),
        "schema": result.schema,
        "rule": inputs.policy.rule,
        "batched": inputs.batched,
        "control": inputs.control,
        "metrics": [
            {name: value for name, value in metric.as_json().items() if name in METRIC_FIELDS}
            for metric in inputs.metrics
            if metric.kind != "quantile"
        ],
        "comparisons": [
            {"role": roles[row.metric]}
            | {name: value for name, value in row.as_json().items() if name in SHOWN_FIELDS}
            for row in result.comparisons
        ],
    }


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "id": f"cell-{number}",
        "cell_type": kind,
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell
