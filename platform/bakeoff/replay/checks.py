"""Compare what the platform acknowledged with what it stores and serves; return the differences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import orjson

from experiments.models import Event, Exposure, Feedback, Slate
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput

if TYPE_CHECKING:
    from collections.abc import Sized

    from django.db.models import QuerySet

    from bakeoff.accounts.models import Project
    from bakeoff.replay.reporter import Reporter
    from bakeoff.replay.visitors import Ledger
    from experiments.models import Experiment

MAX_NEWCOMERS = 50  # of whom half are in a holdback, at the most


def check_ledger(project: Project, ledger: Ledger, reporter: Reporter) -> list[str]:
    """Compare what the platform acknowledged with its tables."""
    pairs: dict[str, tuple[Sized, QuerySet[Any]]] = {
        "slates": (ledger.slates, Slate.objects.all()),
        "exposures": (ledger.exposures, Exposure.objects.all()),
        "events": (ledger.events, Event.objects.filter(source=Event.Source.LIVE)),
        "feedback": (ledger.feedback, Feedback.objects.all()),
    }
    differences, comparisons = [], []
    for name, (acknowledged, rows) in pairs.items():
        stored = rows.filter(project=project).count()
        comparisons.append(f"{name} {len(acknowledged)} = {stored}")
        if stored != len(acknowledged):
            differences.append(f"{name}: acknowledged {len(acknowledged)}, stored {stored}")
    reporter.echo(f"Acknowledged = stored: {', '.join(comparisons)}.")
    return differences


def check_decision(experiment: Experiment, reporter: Reporter) -> list[str]:
    """Recompute a decision from the totals in its record, as anyone with the record can."""
    evidence = experiment.decisions.get().evidence
    if "inputs" not in evidence:
        return []
    again = take_look(LookInput.from_json(evidence["inputs"])).as_json()
    equal = orjson.loads(orjson.dumps(again)) == evidence["result"]
    reporter.echo(f"Recomputed from the totals in its record: {'equal' if equal else 'NOT EQUAL'}.")
    return [] if equal else [f"decision on {experiment}: recomputed otherwise"]


def check_champion(*, url: str, key: str, surface: str, champion: str, reporter: Reporter) -> list[str]:
    """Ask as a product would, and see that the champion answers."""
    # Who is in a holdback, or in a test that still runs, may well be answered by another version.
    for n in range(MAX_NEWCOMERS):
        answer = httpx2.post(
            f"{url}/v1/recommend",
            json={"surface": surface, "unit_id": f"a-newcomer-{n}"},
            headers={"Authorization": f"Bearer {key}"},
        ).json()
        if answer["experiment"] is None:
            break
    served = answer["model"]
    reporter.echo(f"/v1/recommend is answered by {served}.")
    return [] if served == champion else [f"champion {champion}, served by {served}"]
