"""The flags of every project: running experiments, and the answers of those that do not run.

Guarantees: whatever one row holds, the others are read; a malformed row keeps its last good value.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from experiments.assignment.flags import NO_FLAGS, ProjectFlags, RestingFlag, like_numbers
from experiments.rules.row_isolation import check_writable
from experiments.rules.running_experiments import read_running_experiments
from experiments.rules.saved_groups import read_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from experiments.rules.row_isolation import RowReader

# A flag of an experiment that was never started, or has ended without a winner, answers nothing. All
# values are read, because numbers of one flag are of one kind (`like_numbers`).
_RESTING = """SELECT e.project_id, e.key, e.shipped_variant, v.value, (SELECT jsonb_agg(o.value)
        FROM experiments_variant AS o WHERE o.experiment_id = e.id) AS all_values
    FROM experiments_experiment AS e LEFT JOIN experiments_variant AS v
        ON v.experiment_id = e.id AND v.key = e.shipped_variant
    WHERE e.state <> 'running' AND e.purpose <> 'holdout'"""


def read_project_flags(
    connection: psycopg.Connection, reader: RowReader, last: Mapping[int, ProjectFlags]
) -> dict[int, ProjectFlags]:
    """Return the flags of each project by its id.

    Args:
        connection: in one snapshot with all else that is read.
        reader: reads each row by itself.
        last: what was read before, which stands in for what is malformed now.
    """
    groups = read_groups(connection, reader, last)
    running = read_running_experiments(connection, reader, groups, last)
    resting = _read_resting(connection, reader, last)
    return {
        project: ProjectFlags.of(
            running.get(project, ()), resting.get(project, {}), groups.get(project, {})
        )
        for project in running.keys() | resting.keys() | groups.keys()
    }


def _read_resting(
    connection: psycopg.Connection, reader: RowReader, last: Mapping[int, ProjectFlags]
) -> dict[int, dict[str, RestingFlag]]:
    resting: dict[int, dict[str, RestingFlag]] = {}
    for project, key, variant, value, values in connection.execute(_RESTING):
        flag = reader.read(
            project,
            f"flag {key}",
            partial(_resting_flag, key, variant, value, values or []),
            last.get(project, NO_FLAGS).resting.get(key),
        )
        if flag is not None:
            resting.setdefault(project, {})[key] = flag
    return resting


def _resting_flag(key: str, variant: str, value: Any, values: Sequence[Any]) -> RestingFlag:
    answer = variant if value is None else like_numbers([value, *values])[0]
    check_writable(answer)
    return RestingFlag(key, variant, answer)
