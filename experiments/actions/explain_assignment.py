"""Experiments of the database as rules of assignment, for people who ask what a unit gets and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection as database
from django.db.models import Min
from psycopg import connect
from psycopg.conninfo import make_conninfo

from experiments.assignment import PastExposure, assign, explain, recall
from experiments.assignment.qa_links import QaLink, write_link
from experiments.ingest.past_exposures import PAST_EXPOSURES
from experiments.models import Experiment, Exposure, Unit
from experiments.rules.row_isolation import RowReader
from experiments.rules.running_experiments import NO_FLAGS, read_experiments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.assignment import Step


@dataclass(frozen=True, slots=True)
class UnitAssignment:
    """One experiment as a unit meets it.

    Attributes:
        experiment: its key.
        variant: what the unit gets now, or None.
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

    The same rules decide as on the fast lane, read from the database now.

    Args:
        project_id: whose experiments.
        unit_id: who.
        context: what a request would say besides.
    """
    with connect(_address()) as connection:
        _, flags = read_experiments(connection, lambda *_: None, RowReader(), {})
        found = flags.get(project_id, NO_FLAGS)
        ids = [experiment.experiment_id for experiment in found.running.values()]
        past = {
            experiment: PastExposure(*fields)
            for experiment, *fields in connection.execute(PAST_EXPOSURES, (ids, unit_id))
        }
    unit = Unit.objects.filter(project_id=project_id, unit_id=unit_id).first()
    stored = unit.attributes if unit is not None else {}
    attributes = {**(context or {}), "unit": stored}
    since = _first_exposures(ids, unit_id)
    rows = []
    for key, experiment in found.running.items():
        met = past.get(experiment.experiment_id)
        recalled = recall(experiment.memory, met, experiment.variants)
        rule, others = experiment.rule, found.rules
        assigned = assign(rule, unit_id, attributes, others=others, recalled=recalled)
        rows.append(
            UnitAssignment(
                experiment=key,
                variant=assigned.variant,
                reason=assigned.reason,
                met=met.variant if met is not None else None,
                since=since.get(experiment.experiment_id),
                steps=explain(rule, unit_id, attributes, others=others, recalled=recalled),
            )
        )
    return rows


def _address() -> str:
    """Return where Django's database is: its own connection reads JSON as text."""
    given = database.settings_dict
    named = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return make_conninfo(**{key: given[name] for key, name in named.items() if given[name]})


def _first_exposures(experiments: Sequence[int], unit_id: str) -> dict[int, datetime]:
    """Return when the unit met each experiment first."""
    exposures = Exposure.objects.filter(unit_id=unit_id, experiment_id__in=experiments)
    first = exposures.values("experiment_id").annotate(at=Min("exposed_at"))
    return dict(first.values_list("experiment_id", "at"))


def link_of(experiment: Experiment, variant: str, until: int) -> str:
    """Return the token by which people see a variant."""
    link = QaLink(experiment.project_id, experiment.key, variant, until)
    return write_link(settings.SECRET_KEY, link)
