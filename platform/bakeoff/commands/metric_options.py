"""The options that say what is compared: --metric, --covariate, --predict, --cap, --expected."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from experiments.kinds import METRIC_KINDS, PROPORTIONS

if TYPE_CHECKING:
    from experiments.scorecards.unit_file import MetricColumn

KINDS = {"median": ("quantile", 0.5)}
FOR_ALL = ("covariates", "features")  # options that hold for every metric where they name none


def parse_metrics(options: dict[str, Any]) -> list[MetricColumn]:
    """Read --metric, --covariate, --predict and --cap.

    Raises:
        FileError: one of them is not of its form, or names a metric that is not there.
    """
    from experiments.scorecards.unit_file import FileError

    caps = {
        name: read_number(value, f"cap of '{name}'") for name, value in map(split_pair, options["caps"])
    }
    covariates, features = (
        dict(split_pair(one) if "=" in one else ("", one) for one in options[option])
        for option in FOR_ALL
    )
    metrics = [_metric(text, covariates, features, caps) for text in options["metrics"]]
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise FileError(f"metrics == {names}, must have different names.")
    for option in ("caps", *FOR_ALL, "guardrails", "lower_is_better"):
        for one in options[option]:
            name = one.partition("=")[0]
            if (option not in FOR_ALL or "=" in one) and name not in names:
                raise FileError(f"metric == '{name}', not among {names}.")
    if names and names[0] in {one.partition("=")[0] for one in options["guardrails"]}:
        raise FileError(f"guardrail == '{names[0]}', is the first metric: that one decides.")
    return metrics


def _metric(
    text: str, covariates: dict[str, str], features: dict[str, str], caps: dict[str, float]
) -> MetricColumn:
    from experiments.scorecards.unit_file import FileError, MetricColumn

    name, _, rest = text.partition(":")
    word, _, columns = rest.partition(":")
    kind, quantile = KINDS.get(word, (word, 0.5))
    if match := re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)|quantile@(0?\.\d+)", word):
        kind, quantile = "quantile", float(match[1]) / 100 if match[1] else float(match[2])
    if not name or kind not in METRIC_KINDS or not 0 < quantile < 1:
        raise FileError(
            f"metric == '{text}', must be NAME:KIND[:COLUMN], KIND one of {[*METRIC_KINDS]}."
        )
    value, _, denominator = (columns or name).partition("/")
    if (kind == "ratio") != bool(denominator):
        raise FileError(
            f"metric == '{text}', must have two columns, A/B, if and only if it is a ratio."
        )
    covariate, _, below = covariates.get(name, covariates.get("", "")).partition("/")
    if kind == "quantile" or (below and kind != "ratio"):
        if name in covariates:
            raise FileError(
                f"covariate of '{name}', must fit its kind: a {kind} has no such covariate."
            )
        covariate = below = ""
    predicted_from = _features(name, kind, features, adjusted=bool(covariate))
    if name in caps and (kind in PROPORTIONS or caps[name] <= 0):
        raise FileError(f"cap of '{name}' == {caps[name]:g}, must be positive, and not of a {kind}.")
    if name in caps and kind == "ratio":
        raise FileError(
            f"cap of '{name}' == {caps[name]:g}, must not be of a ratio: it would hold for one of its "
            "two sides only. Cap a mean of one side instead."
        )
    return MetricColumn(
        name=name,
        kind=kind,
        value=value,
        denominator=denominator or None,
        covariate=covariate or None,
        covariate_denominator=below or None,
        features=predicted_from,
        quantile=quantile,
        cap=caps.get(name),
    )


def _features(name: str, kind: str, features: dict[str, str], *, adjusted: bool) -> tuple[str, ...]:
    """Return the columns that a metric is predicted from; none where it is not."""
    from experiments.scorecards.unit_file import FileError

    columns = tuple(filter(None, features.get(name, features.get("", "")).split(",")))
    if kind == "quantile":
        if name in features:
            raise FileError(f"predict of '{name}', must not be of a quantile: it has no covariate.")
        return ()
    if columns and adjusted:
        raise FileError(
            f"predict of '{name}' == {list(columns)}, must stand without --covariate: a prediction is "
            "the covariate. Name the covariate's column among its own."
        )
    return columns


def split_pair(text: str) -> tuple[str, str]:
    """Return what stands before and after the first equals sign."""
    name, _, value = text.partition("=")
    return name, value


def read_number(text: str, what: str) -> float:
    """Return a number.

    Raises:
        FileError: it is none, or not finite.
    """
    from experiments.scorecards.unit_file import FileError

    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FileError(f"{what} == '{text}', must be a number.")
    return number


def parse_shares(text: str | None, variants: list[str]) -> dict[str, float] | None:
    """Read planned shares: `50/50` in the order of the variants, or `old=0.5,new=0.5`.

    Raises:
        FileError: they do not sum to 1 or 100, are not as many as the variants, or are no shares.
    """
    from experiments.scorecards.unit_file import FileError

    if text is None:
        return None
    if "=" in text:
        shares = {
            name: read_number(value, f"share of '{name}'")
            for name, value in map(split_pair, text.split(","))
        }
        order = list(shares)
    else:
        numbers = [read_number(part, "expected share") for part in text.split("/")]
        if len(numbers) != len(variants):
            raise FileError(f"expected == '{text}', must have a share for each of {variants}.")
        order, shares = variants, dict(zip(variants, numbers, strict=True))
    total = sum(shares.values())
    if min(shares.values()) < 0 or not (math.isclose(total, 1) or math.isclose(total, 100)):
        raise FileError(
            f"expected == '{text}', sums to {total:g}, must sum to 1 or 100 and not be negative."
        )
    return {name: shares[name] / total for name in order}
