"""Running experiments as the database has them, with the rule of each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import orjson
from psycopg.rows import dict_row

from experiments.assignment import (
    ExperimentRule,
    HashRange,
    Memory,
    Prerequisite,
    RunningEpoch,
    RunningExperiment,
    RunningVariant,
    Targeting,
    VariantRule,
    VersionReference,
    assign,
    named_groups,
)
from experiments.assignment.flags import NO_FLAGS, like_numbers
from experiments.assignment.holdouts import HOLDOUT
from experiments.rules.row_isolation import check_writable, moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from experiments.assignment.flags import ProjectFlags
    from experiments.rules.row_isolation import RowReader

_EXPERIMENTS = """SELECT e.id, e.project_id, e.surface_id, s.key AS surface, e.key, e.salt, e.hashing,
    e.purpose, e.mode, CASE WHEN e.mode = 'cluster' THEN e.policy ->> 'cluster_by' END AS cluster_by,
    CASE WHEN e.mode = 'switchback' THEN e.policy -> 'block_seconds' END AS block_seconds,
    e.enabled, e.condition, e.prerequisites, e.forced_units, e.sticky,
    e.sticky_since, e.blocked_before, l.key AS layer, l.salt AS layer_salt, e.slot_low, e.slot_high,
    p.number AS epoch, p.allocation, p.weights, p.layout,
    v.id AS variant_id, v.key AS variant, v.value, m.id AS version_id,
    m.algorithm || '@' || m.number AS label, m.artifact_sha256 AS digest, r.rules
    FROM experiments_experiment AS e
    JOIN inference_surface AS s ON s.id = e.surface_id
    JOIN experiments_epoch AS p ON p.experiment_id = e.id AND p.ended_at IS NULL
    JOIN experiments_variant AS v ON v.experiment_id = e.id
    LEFT JOIN experiments_layer AS l ON l.id = e.layer_id
    LEFT JOIN inference_modelversion AS m ON m.id = v.model_version_id
    LEFT JOIN experiments_ruleversion AS r ON r.id = v.rules_id
    WHERE e.state = 'running' ORDER BY e.id, v.is_control DESC, v.id"""
_EPOCHS = """SELECT p.experiment_id, p.number, p.started_at, p.allocation, p.weights, p.layout
    FROM experiments_epoch AS p JOIN experiments_experiment AS e ON e.id = p.experiment_id
    WHERE e.state = 'running' ORDER BY p.experiment_id, p.number"""
_HOLDOUTS = "SELECT project_id, salt, share FROM experiments_holdout WHERE share > 0"


def read_running_experiments(
    connection: psycopg.Connection,
    reader: RowReader,
    groups: Mapping[int, Mapping[str, Any]],
    last: Mapping[int, ProjectFlags],
) -> dict[int, list[RunningExperiment]]:
    """Return the running experiments of each project, oldest first.

    Args:
        connection: in one snapshot with all else that is read.
        reader: reads each experiment by itself.
        groups: saved groups by project and key.
        last: what was read before, which stands in for what is malformed now.
    """
    # A holdout counts for every experiment of its project, running or to come.
    holdouts = {project: (salt, share) for project, salt, share in connection.execute(_HOLDOUTS)}
    epochs = _read_epochs(connection)
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_EXPERIMENTS).fetchall()
    running: dict[int, list[RunningExperiment]] = {}
    for experiment_id, variant_rows in groupby(rows, key=lambda row: row["id"]):
        variants = list(variant_rows)
        project, key = variants[0]["project_id"], variants[0]["key"]
        experiment = reader.read(
            project,
            f"experiment {key}",
            partial(
                _experiment,
                variants,
                holdout=holdouts.get(project),
                groups=groups.get(project, {}),
                epochs=epochs.get(experiment_id, []),
            ),
            # Whatever else is malformed, the kill switch must work.
            _with_switch(_last_good(last, project, key, experiment_id), enabled=variants[0]["enabled"]),
        )
        if experiment is not None:
            running.setdefault(project, []).append(experiment)
    return running


def _read_epochs(connection: psycopg.Connection) -> dict[int, list[dict[str, Any]]]:
    epochs: dict[int, list[dict[str, Any]]] = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_EPOCHS):
            epochs.setdefault(row["experiment_id"], []).append(row)
    return epochs


def _last_good(
    last: Mapping[int, ProjectFlags], project: int, key: str, experiment_id: int
) -> RunningExperiment | None:
    """Return an experiment as it was read before; a key may since have become another experiment's."""
    flags = last.get(project, NO_FLAGS)
    known = [flags.running.get(key), *flags.holdouts.values()]
    return next((one for one in known if one and one.experiment_id == experiment_id), None)


def _with_switch(experiment: RunningExperiment | None, *, enabled: bool) -> RunningExperiment | None:
    if experiment is None or experiment.rule.enabled == enabled:
        return experiment
    return replace(experiment, rule=replace(experiment.rule, enabled=enabled))


def _experiment(
    rows: Sequence[dict[str, Any]],
    *,
    holdout: tuple[str, float] | None,
    groups: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
) -> RunningExperiment:
    """Return one experiment of its rows, one per variant.

    Raises:
        Exception: its rule cannot be followed, or not be sent to clients; of whatever type.
    """
    # The experiment's own columns are the same in every row.
    row = rows[0]
    check_writable(
        row["condition"], row["prerequisites"], row["forced_units"], [r["value"] for r in rows]
    )
    groups = named_groups(row["condition"], groups)  # a rule is sent to clients with its groups
    rule = _rule(rows, _checks(row, holdout, groups))
    return RunningExperiment(
        experiment_id=row["id"],
        key=row["key"],
        surface=row["surface"],
        epoch=row["epoch"],
        rule=rule,
        variants={r["variant"]: _variant(r) for r in rows},
        condition=row["condition"],
        prerequisites=tuple(row["prerequisites"]),
        memory=Memory(row["sticky"], row["sticky_since"], row["blocked_before"]),
        # A false alarm, of a value that looks like such a name, costs a look-up and nothing else.
        reads_unit=b'"unit.' in orjson.dumps([row["condition"], groups]),
        epochs=_epochs(rule, epochs),
        purpose=row["purpose"],
        mode=row["mode"],
    )


def _rule(
    rows: Sequence[Mapping[str, Any]], checks: tuple[HashRange | Targeting | Prerequisite, ...]
) -> ExperimentRule:
    row, values = rows[0], like_numbers([r["value"] for r in rows])
    rule = ExperimentRule(
        key=row["key"],
        salt=row["salt"],
        allocation=row["allocation"],
        variants=tuple(
            VariantRule(r["variant"], row["weights"].get(r["variant"], 0.0), value)
            for r, value in zip(rows, values, strict=True)
        ),
        hashing=row["hashing"],
        checks=checks,
        forced=row["forced_units"],
        enabled=row["enabled"],
        cluster_by=row["cluster_by"] or "",
        block_seconds=_block_seconds(row),
        layout=tuple((key, width) for key, width in row["layout"]),
    )
    # What cannot be evaluated must fail here, where it costs one experiment, and not in a request.
    assign(replace(rule, enabled=True), "a unit")
    return rule


def _block_seconds(row: Mapping[str, Any]) -> float:
    """Return the length of a switchback's blocks; 0 of every other experiment.

    Raises:
        ValueError: it is none: users would be drawn one by one, and counted by blocks.
    """
    if row["mode"] != "switchback":
        return 0.0
    length = float(row["block_seconds"])
    if not length > 0:
        raise ValueError(f"block_seconds == {length:g}, must be positive.")
    return length


def _variant(row: Mapping[str, Any]) -> RunningVariant:
    label, digest = row["label"], row["digest"]
    version = VersionReference(row["version_id"], label, digest) if digest is not None else None
    weight = row["weights"].get(row["variant"], 0.0)
    return RunningVariant(row["variant_id"], row["variant"], weight, version, row["rules"])


def _epochs(rule: ExperimentRule, rows: Sequence[Mapping[str, Any]]) -> tuple[RunningEpoch, ...]:
    """Return the epochs of an experiment, each with the rule of its time: shares alone ever change."""
    return tuple(
        RunningEpoch(
            row["number"],
            moment(row["started_at"], "started_at"),
            replace(
                rule,
                allocation=row["allocation"],
                variants=tuple(
                    replace(v, weight=row["weights"].get(v.key, 0.0)) for v in rule.variants
                ),
                layout=tuple((key, width) for key, width in row["layout"]),
            ),
        )
        for row in rows
    )


def _checks(
    row: Mapping[str, Any], holdout: tuple[str, float] | None, groups: Mapping[str, Any]
) -> tuple[HashRange | Targeting | Prerequisite, ...]:
    """Return what a unit must pass, in the order of `experiments.assignment`."""
    checks: list[HashRange | Targeting | Prerequisite] = []
    # A holdout's own measurement is about those who are held out.
    if holdout is not None and row["purpose"] != HOLDOUT:
        salt, share = holdout
        checks.append(HashRange("holdout", salt, share, 1.0))
    if row["layer"] is not None:
        checks.append(
            HashRange(f"layer {row['layer']}", row["layer_salt"], row["slot_low"], row["slot_high"])
        )
    if row["condition"]:
        checks.append(Targeting(row["condition"], groups))
    checks += [
        Prerequisite(one["experiment"], frozenset(one["variants"])) for one in row["prerequisites"]
    ]
    return tuple(checks)
