"""Explain what a unit gets and why: for pages, the API and people who test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection as database
from django.db.models import Min
from psycopg import connect
from psycopg.conninfo import make_conninfo

from experiments.assignment import PastExposure, UnitRecord, decide, explain_decision
from experiments.assignment.flags import NO_FLAGS
from experiments.assignment.qa_links import QaLink, write_link
from experiments.ingest.past_exposures import PAST_EXPOSURES
from experiments.models import Experiment, Exposure, Unit
from experiments.rules.project_flags import read_project_flags
from experiments.rules.row_isolation import RowReader, isolate_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.assignment import Assignment, RunningExperiment, Step
    from experiments.assignment.flags import ProjectFlags


@dataclass(frozen=True, slots=True)
class UnitAssignment:
    """One experiment as a unit meets it.

    Attributes:
        experiment: its key.
        variant: what the unit gets now, or None; of interleaved lists, all of them.
        reason: in OpenFeature's words.
        met: the variant that it was exposed to, if any.
        since: when.
        steps: each rule's outcome.
    """

    experiment: str
    variant: str | None
    reason: str
    met: str | None
    since: datetime | None
    steps: Sequence[Step]


def assignments_of(
    project_id: int, unit_id: str, context: Mapping[str, Any] | None = None
) -> list[UnitAssignment]:
    """Return every running experiment of a project as one unit meets it.

    The fast lane's own `decide` gives the answer, by rules that are read from the database now.

    Args:
        project_id: whose experiments.
        unit_id: who.
        context: what a request would say besides.
    """
    flags, exposures = _read_rules(project_id, unit_id)
    unit = Unit.objects.filter(project_id=project_id, unit_id=unit_id).first()
    record = UnitRecord(unit.attributes if unit is not None else {}, exposures)
    since = _first_exposures(list(_all_of(flags)), unit_id)
    rows = []
    for experiment in _all_of(flags).values():
        inputs = (experiment, unit_id, context or {})
        assignment = decide(*inputs, others=flags.rules, record=record)
        exposure = exposures.get(experiment.experiment_id)
        rows.append(
            UnitAssignment(
                experiment=experiment.key,
                variant=_served(experiment, assignment),
                reason=assignment.reason,
                met=exposure.variant if exposure is not None else None,
                since=since.get(experiment.experiment_id),
                steps=explain_decision(*inputs, others=flags.rules, record=record),
            )
        )
    return rows


def _served(experiment: RunningExperiment, assignment: Assignment) -> str | None:
    """Return the variant whose version answers: who takes part in interleaving gets items of each."""
    if assignment.variant is None or assignment.forced or not experiment.is_interleaved:
        return assignment.variant
    return " + ".join(key for key, one in experiment.variants.items() if one.weight > 0)


def _all_of(flags: ProjectFlags) -> dict[int, RunningExperiment]:
    """Return the project's running experiments by id, measured holdouts after all others."""
    running = (*flags.running.values(), *flags.holdouts.values())
    return {experiment.experiment_id: experiment for experiment in running}


def _read_rules(project_id: int, unit_id: str) -> tuple[ProjectFlags, dict[int, PastExposure]]:
    """Return the project's flags, and what the unit met in each of its running experiments."""
    with connect(_address()) as connection:
        isolate_values(connection)  # rows of every project are read: a malformed one is its own trouble
        flags = read_project_flags(connection, RowReader(), {}).get(project_id, NO_FLAGS)
        ids = list(_all_of(flags))
        exposures = {
            experiment_id: PastExposure(*fields)
            for experiment_id, *fields in connection.execute(PAST_EXPOSURES, (ids, unit_id))
        }
    return flags, exposures


def _address() -> str:
    """Return where Django's database is: its own connection reads JSON as text."""
    options = database.settings_dict
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    values = {key: options[name] for key, name in names.items() if options[name]}
    # How it is reached stands there: TLS, and several hosts with their ports.
    return make_conninfo(**{**options["OPTIONS"], **values})


def _first_exposures(experiments: Sequence[int], unit_id: str) -> dict[int, datetime]:
    """Return when the unit met each experiment first."""
    exposures = Exposure.objects.filter(unit_id=unit_id, experiment_id__in=experiments)
    first = exposures.values("experiment_id").annotate(at=Min("exposed_at"))
    return dict(first.values_list("experiment_id", "at"))


def link_of(experiment: Experiment, variant: str, until: int) -> str:
    """Return the token by which people see a variant."""
    link = QaLink(experiment.project_id, experiment.key, variant, until)
    return write_link(settings.SECRET_KEY, link)
