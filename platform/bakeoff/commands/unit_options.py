"""The options that need rows of units: --predict, --cluster, --switchback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.scorecards.unit_file import ClusterColumn, MetricColumn

NEEDS_ROWS = {"features": "predict", "cluster": "cluster", "switchback": "switchback"}


def require_rows(options: dict[str, Any], instead: str) -> None:
    """Refuse what needs rows of units, where the file holds something else.

    Raises:
        FileError: such an option is there.
    """
    from experiments.scorecards.unit_file import FileError

    for option, word in NEEDS_ROWS.items():
        if options[option]:
            raise FileError(f"{word} with {instead}, must be rows of units: there are none to read.")


def require_predictable(options: dict[str, Any]) -> None:
    """Refuse a prediction where a unit has no name, or more than one look."""
    from experiments.scorecards.unit_file import FileError

    if not options["unit"]:
        raise FileError("predict needs --unit: each unit is predicted by models of the others.")
    if options["look"]:
        raise FileError(
            f"predict with --look == '{options['look']}', must be one look: a model of the last would "
            "tell the first what was to come."
        )


def read_cluster(options: dict[str, Any], metrics: Sequence[MetricColumn]) -> ClusterColumn | None:
    """Return what was randomised above the unit; None where it was the unit.

    Raises:
        FileError: the options contradict each other, or what is asked cannot be said of clusters.
    """
    from experiments.scorecards.unit_file import ClusterColumn, FileError

    switched = options["switchback"]
    if not switched and (options["block_seconds"] is not None or options["carry_over_seconds"]):
        raise FileError(
            "block_seconds or carry_over_seconds without --switchback COLUMN, must name it."
        )
    column = switched or options["cluster"]
    if not column:
        return None
    option = "--switchback" if switched else "--cluster"
    _require_one_look(options, option, metrics)
    if not switched:
        return ClusterColumn(column)
    for name in ("cluster", "unit"):
        if options[name]:
            raise FileError(
                f"--{name} with --switchback, must be left out: a row counts in the block of its time."
            )
    if options["block_seconds"] is None:
        raise FileError(
            "block_seconds is missing, must be the length of a block: --block-seconds NUMBER."
        )
    return ClusterColumn(column, options["block_seconds"], options["carry_over_seconds"])


def _require_one_look(options: dict[str, Any], option: str, metrics: Sequence[MetricColumn]) -> None:
    from experiments.scorecards.unit_file import FileError

    for name in ("look", "segments"):
        if options[name]:
            raise FileError(
                f"--{name.removesuffix('s')} with {option}, must be left out: clusters count once."
            )
    if quantiles := [metric.name for metric in metrics if metric.kind == "quantile"]:
        raise FileError(
            f"metric '{quantiles[0]}' with {option}, must be no quantile: a mean or a share."
        )
    if options["rule"] == "exact":
        raise FileError(
            f"rule == 'exact' with {option}, must be another: units of a cluster are alike."
        )
