"""Experiments of the database as rules of assignment, for people who ask what a unit gets and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection as database
from psycopg import connect
from psycopg.conninfo import make_conninfo

from bakeoff.gateway.answering import decide
from bakeoff.gateway.live_experiments import NO_FLAGS, read_experiments
from bakeoff.gateway.unit_book import Known
from bakeoff.qa_links import QaLink, write_link
from experiments.assignment import explain
from experiments.models import Experiment, Exposure, Unit

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
        _, flags = read_experiments(connection, lambda *_: None)
    found = flags.get(project_id, NO_FLAGS)
    unit = Unit.objects.filter(project_id=project_id, unit_id=unit_id).first()
    stored = unit.attributes if unit is not None else {}
    attributes = {**(context or {}), "unit": stored}
    met = _met(found.running, unit_id)
    known = Known(
        stored, {experiment: (variant, epoch) for experiment, (variant, epoch, _) in met.items()}
    )
    rows = []
    for key, experiment in found.running.items():
        assigned = decide(experiment, unit_id, attributes, found.rules, known)
        variant, _, since = met.get(experiment.experiment_id, (None, 0, None))
        steps = explain(
            experiment.rule,
            unit_id,
            attributes,
            others=found.rules,
            kept=variant if experiment.sticky else None,
        )
        rows.append(UnitAssignment(key, assigned.variant, assigned.reason, variant, since, steps))
    return rows


def _address() -> str:
    """Return where Django's database is: its own connection reads JSON as text."""
    given = database.settings_dict
    named = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return make_conninfo(**{key: given[name] for key, name in named.items() if given[name]})


def _met(running: Mapping[str, Any], unit_id: str) -> dict[int, tuple[str, int, datetime]]:
    """Return what the unit met last in each experiment."""
    exposures = Exposure.objects.filter(
        unit_id=unit_id, experiment_id__in=[e.experiment_id for e in running.values()]
    ).select_related("variant")
    return {
        exposure.experiment_id: (exposure.variant.key, exposure.epoch, exposure.exposed_at)
        for exposure in exposures.order_by("epoch", "exposed_at")
    }


def link_of(experiment: Experiment, variant: str, until: int) -> str:
    """Return the token by which people see a variant."""
    link = QaLink(experiment.project_id, experiment.key, variant, until)
    return write_link(settings.SECRET_KEY, link)
