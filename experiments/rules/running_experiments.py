"""What runs, as requests read it: experiments with their rules, and the flags that clients ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import orjson
from psycopg.rows import dict_row

from experiments.assignment import (
    NO_MEMORY,
    ConditionError,
    ExperimentRule,
    HashRange,
    Memory,
    Prerequisite,
    Targeting,
    VariantRule,
    assign,
    named_groups,
    personal_rules,
)
from experiments.assignment.conditions import MAX_LEVELS, levels_of
from experiments.rules.row_isolation import RowReader, check_writable, moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import psycopg

    from inference.serving.models import Model
    from inference.serving.ranker import Ranker


@dataclass(frozen=True, slots=True)
class ServingVersion:
    """A version that can serve; the model is None when its artifact cannot be loaded."""

    version_id: int
    label: str
    model: Model | None
    digest: str = ""

    @property
    def ranker(self) -> Ranker | None:
        """What ranks, if it is a recommender that works."""
        return self.model.ranker if self.model is not None else None


@dataclass(frozen=True, slots=True)
class RunningVariant:
    """One side of a running experiment."""

    variant_id: int
    key: str
    weight: float
    version: ServingVersion | None


@dataclass(frozen=True, slots=True)
class RunningEpoch:
    """A stretch of an experiment in which its shares stay the same, past or present.

    Attributes:
        number: from 1.
        started_at: in UTC.
        rule: who got what then.
    """

    number: int
    started_at: datetime
    rule: ExperimentRule


@dataclass(frozen=True, slots=True)
class RunningExperiment:
    """A running experiment.

    Attributes:
        experiment_id: of the table.
        key: its name, and its flag's.
        surface: key of its surface.
        epoch: number of the stretch in which its shares stay the same.
        rule: who gets what.
        variants: by key.
        condition: whom it is for, as JSON.
        prerequisites: as JSON.
        memory: what it does with units that met it before.
        reads_unit: whether its condition asks for attributes that the product stored of units.
        epochs: all of them, in order: exposures may come long after they happened.
        evaluations: what its flag has said already, by assignment.
    """

    experiment_id: int
    key: str
    surface: str
    epoch: int
    rule: ExperimentRule
    variants: Mapping[str, RunningVariant]
    condition: Mapping[str, Any] = field(default_factory=dict)
    prerequisites: tuple[Mapping[str, Any], ...] = ()
    memory: Memory = NO_MEMORY
    reads_unit: bool = False
    epochs: tuple[RunningEpoch, ...] = ()
    evaluations: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def needs_lookup(self) -> bool:
        """Whether the rule asks for more than the request says: only the server can evaluate it."""
        return self.memory.sticky or self.reads_unit or self.memory.blocked_before > 0


@dataclass(frozen=True, slots=True)
class RestingFlag:
    """The flag of an experiment that does not run: what it answers, if a variant was shipped."""

    key: str
    variant: str
    value: Any


@dataclass(frozen=True, slots=True)
class ProjectFlags:
    """What clients of a project's flags can ask for.

    Attributes:
        running: experiments by key.
        rules: theirs.
        resting: flags of experiments that do not run, by key.
        groups: saved groups, as JSON.
        personal: running experiments whose rules name people: no public key reads them.
        etag: changes when any of this does.
    """

    running: Mapping[str, RunningExperiment]
    rules: Mapping[str, ExperimentRule]
    resting: Mapping[str, RestingFlag]
    groups: Mapping[str, Any]
    etag: str
    personal: frozenset[str] = frozenset()


NO_FLAGS = ProjectFlags({}, {}, {}, {}, "none")


_EXPERIMENTS = """SELECT e.id, e.project_id, e.surface_id, s.key AS surface, e.key, e.salt, e.hashing,
    e.enabled, e.condition, e.prerequisites, e.forced_units, e.sticky, e.sticky_since,
    e.blocked_before, l.key AS layer, l.salt AS layer_salt, e.slot_low, e.slot_high,
    p.number AS epoch, p.allocation, p.weights, p.layout,
    v.id AS variant_id, v.key AS variant, v.value, m.id AS version_id,
    m.name || '@' || m.number AS label, m.artifact_sha256 AS digest
    FROM experiments_experiment AS e
    JOIN inference_surface AS s ON s.id = e.surface_id
    JOIN experiments_epoch AS p ON p.experiment_id = e.id AND p.ended_at IS NULL
    JOIN experiments_variant AS v ON v.experiment_id = e.id
    LEFT JOIN experiments_layer AS l ON l.id = e.layer_id
    LEFT JOIN inference_modelversion AS m ON m.id = v.model_version_id
    WHERE e.state = 'running' ORDER BY e.id, v.is_control DESC, v.id"""
_EPOCHS = """SELECT p.experiment_id, p.number, p.started_at, p.allocation, p.weights, p.layout
    FROM experiments_epoch AS p JOIN experiments_experiment AS e ON e.id = p.experiment_id
    WHERE e.state = 'running' ORDER BY p.experiment_id, p.number"""
# A flag of an experiment that was never started, or has ended without a winner, answers nothing.
_RESTING = """SELECT e.project_id, e.key, e.shipped_variant, v.value, (SELECT jsonb_agg(o.value)
        FROM experiments_variant AS o WHERE o.experiment_id = e.id) AS all_values
    FROM experiments_experiment AS e LEFT JOIN experiments_variant AS v
        ON v.experiment_id = e.id AND v.key = e.shipped_variant
    WHERE e.state <> 'running'"""
_GROUPS = "SELECT project_id, key, attribute, values, condition FROM experiments_savedgroup"
_HOLDOUTS = "SELECT project_id, salt, share FROM experiments_holdout WHERE share > 0"


VersionOf = Callable[[int | None, str | None, str | None], ServingVersion | None]


def read_experiments(
    connection: psycopg.Connection,
    version_of: VersionOf,
    reader: RowReader,
    last: Mapping[int, ProjectFlags],
) -> tuple[dict[int, list[RunningExperiment]], dict[int, ProjectFlags]]:
    """Return the running experiments of each project, oldest first, and the flags of each.

    Args:
        connection: in one snapshot with all else that is read.
        version_of: loads a version by id, label and digest.
        reader: reads each row by itself.
        last: what was read before, which stands in for what is malformed now.
    """
    groups = _read_groups(connection, reader, last)
    experiments = _read_running(connection, groups, version_of, reader, last)
    return experiments, _read_flags(connection, experiments, groups, reader, last)


def _read_running(
    connection: psycopg.Connection,
    groups: Mapping[int, Mapping[str, Any]],
    version_of: VersionOf,
    reader: RowReader,
    last: Mapping[int, ProjectFlags],
) -> dict[int, list[RunningExperiment]]:
    """Return the running experiments of each project, oldest first."""
    holdouts = {project: (salt, share) for project, salt, share in connection.execute(_HOLDOUTS)}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_EXPERIMENTS).fetchall()
        epochs: dict[int, list[dict[str, Any]]] = {}
        for row in cursor.execute(_EPOCHS):
            epochs.setdefault(row["experiment_id"], []).append(row)
    experiments: dict[int, list[RunningExperiment]] = {}
    for experiment_id, several in groupby(rows, key=lambda row: row["id"]):
        variants = list(several)
        project, key = variants[0]["project_id"], variants[0]["key"]
        before = last.get(project, NO_FLAGS).running.get(key)
        if before is not None and before.experiment_id != experiment_id:
            before = None
        made = reader.read(
            project,
            f"experiment {key}",
            partial(
                _experiment,
                variants,
                holdouts.get(project),
                groups.get(project, {}),
                version_of,
                epochs.get(experiment_id, []),
            ),
            # Whatever else is malformed, the kill switch must work.
            _switched(before, enabled=variants[0]["enabled"]),
        )
        if made is not None:
            experiments.setdefault(project, []).append(made)
    return experiments


def _switched(experiment: RunningExperiment | None, *, enabled: bool) -> RunningExperiment | None:
    if experiment is None or experiment.rule.enabled == enabled:
        return experiment
    return replace(experiment, rule=replace(experiment.rule, enabled=enabled), evaluations={})


def _experiment(
    rows: Sequence[dict[str, Any]],
    holdout: tuple[str, float] | None,
    groups: Mapping[str, Any],
    version_of: VersionOf,
    epochs: Sequence[Mapping[str, Any]],
) -> RunningExperiment:
    """Make one experiment of its rows, one a variant.

    Raises:
        Exception: its rule cannot be followed, or not be sent to clients; of whatever type.
    """
    row, values = rows[0], like_numbers([r["value"] for r in rows])
    groups = named_groups(row["condition"], groups)  # a rule is sent to clients with its groups
    check_writable(
        row["condition"], row["prerequisites"], row["forced_units"], [r["value"] for r in rows]
    )
    variants = {
        r["variant"]: RunningVariant(
            r["variant_id"],
            r["variant"],
            row["weights"].get(r["variant"], 0.0),
            version_of(r["version_id"], r["label"], r["digest"]),
        )
        for r in rows
    }
    rule = ExperimentRule(
        key=row["key"],
        salt=row["salt"],
        allocation=row["allocation"],
        variants=tuple(
            VariantRule(r["variant"], row["weights"].get(r["variant"], 0.0), value)
            for r, value in zip(rows, values, strict=True)
        ),
        hashing=row["hashing"],
        checks=_checks(row, holdout, groups),
        forced=row["forced_units"],
        enabled=row["enabled"],
        layout=tuple((key, width) for key, width in row["layout"]),
    )
    assign(replace(rule, enabled=True), "a unit")  # what cannot be evaluated must fail here
    return RunningExperiment(
        experiment_id=row["id"],
        key=row["key"],
        surface=row["surface"],
        epoch=row["epoch"],
        rule=rule,
        variants=variants,
        condition=row["condition"],
        prerequisites=tuple(row["prerequisites"]),
        memory=Memory(row["sticky"], row["sticky_since"], row["blocked_before"]),
        reads_unit=b'"unit.' in orjson.dumps([row["condition"], groups]),
        epochs=_epochs(rule, epochs),
    )


def like_numbers(values: Sequence[Any]) -> list[Any]:
    """Return a flag's values with numbers of one kind: 0 beside 1.5 is 0.0.

    OpenFeature asks for a flag's value as an integer or as a float, and takes a 0 for the former.
    """
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)
    return [float(one) for one in values] if numbers and float in map(type, values) else list(values)


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
    if holdout is not None:
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


def _read_groups(
    connection: psycopg.Connection, reader: RowReader, last: Mapping[int, ProjectFlags]
) -> dict[int, dict[str, Any]]:
    groups: dict[int, dict[str, Any]] = {}
    for project, key, attribute, values, condition in connection.execute(_GROUPS):
        group = reader.read(
            project,
            f"group {key}",
            partial(_group, attribute, values, condition),
            last.get(project, NO_FLAGS).groups.get(key),
        )
        if group is not None:
            groups.setdefault(project, {})[key] = group
    return groups


def _group(attribute: str, values: Any, condition: Any) -> dict[str, Any]:
    if not isinstance(values, list) or not isinstance(condition, dict):
        raise ConditionError("values must be a list, and condition an object.")
    if condition:
        group = {"type": "condition", "condition": condition}
    else:
        group = {"type": "list", "attributeKey": attribute or "id", "values": values}
    if levels_of(group) > MAX_LEVELS:
        raise ConditionError(f"group is nested deeper than {MAX_LEVELS} levels of JSON.")
    check_writable(group)
    return group


def _read_flags(
    connection: psycopg.Connection,
    experiments: Mapping[int, Sequence[RunningExperiment]],
    groups: Mapping[int, Mapping[str, Any]],
    reader: RowReader,
    last: Mapping[int, ProjectFlags],
) -> dict[int, ProjectFlags]:
    resting: dict[int, dict[str, RestingFlag]] = {}
    for project, key, variant, value, values in connection.execute(_RESTING):
        flag = reader.read(
            project,
            f"flag {key}",
            partial(_resting, key, variant, value, values or []),
            last.get(project, NO_FLAGS).resting.get(key),
        )
        if flag is not None:
            resting.setdefault(project, {})[key] = flag
    return {
        project: _flags(experiments.get(project, ()), resting.get(project, {}), groups.get(project, {}))
        for project in experiments.keys() | resting.keys()
    }


def _resting(key: str, variant: str, value: Any, values: Sequence[Any]) -> RestingFlag:
    answer = variant if value is None else like_numbers([value, *values])[0]
    check_writable(answer)
    return RestingFlag(key, variant, answer)


def _flags(
    experiments: Sequence[RunningExperiment],
    resting: Mapping[str, RestingFlag],
    groups: Mapping[str, Any],
) -> ProjectFlags:
    running = {experiment.key: experiment for experiment in experiments}
    said = repr(([(e.rule, e.condition, e.epoch) for e in experiments], resting, groups))
    rules = {key: experiment.rule for key, experiment in running.items()}
    return ProjectFlags(
        running=running,
        rules=rules,
        resting=resting,
        groups=groups,
        etag=hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:16],
        personal=personal_rules(rules),
    )
