"""The options that need rows of units: --predict, --cluster, --switchback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.scorecards.unit_file import ClusterColumn

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


def read_cluster(options: dict[str, Any]) -> ClusterColumn | None:
    """Return what was randomised above the unit; None where it was the unit.

    Raises:
        FileError: the options contradict each other.
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
    if not switched:
        return ClusterColumn(column)
    if options["cluster"]:
        raise FileError("--cluster with --switchback, must be left out: the blocks are the clusters.")
    if options["block_seconds"] is None:
        raise FileError(
            "block_seconds is missing, must be the length of a block: --block-seconds NUMBER."
        )
    return ClusterColumn(column, options["block_seconds"], options["carry_over_seconds"])
