"""`bakeoff analyze EXPERIMENT --records`: from the platform's own rows, archived months among them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.commands.project import find_project, must_be_one_of
from bakeoff.commands.terminal import Refusal

if TYPE_CHECKING:
    from experiments.models import Experiment
    from experiments.scorecards.unit_file import FileTotals, MetricColumn


def read_records(
    key: str, slug: str | None, options: dict[str, Any]
) -> tuple[FileTotals, list[MetricColumn]]:
    """Count an experiment's own metrics anew; what is not among the options is as it was defined.

    Raises:
        FileError: it cannot be counted so.
        MetricError: one of its metrics cannot.
    """
    project = find_project(slug)  # sets Django up
    from django.utils import timezone

    from experiments.archive.place import ArchiveError
    from experiments.archive.state import archive_place
    from experiments.models import Experiment
    from experiments.scorecards.experiment_records import open_experiment
    from experiments.scorecards.unit_file import FileError
    from experiments.scorecards.warehouse_totals import totals_of_records

    experiment = Experiment.objects.filter(project=project, key=key).first()
    if experiment is None:
        keys = list(Experiment.objects.filter(project=project).values_list("key", flat=True)[:20])
        rule = must_be_one_of(keys, none="`bakeoff experiments define` defines one")
        raise Refusal(f"experiment == '{key}', {rule}")
    with tempfile.TemporaryDirectory(prefix="bakeoff-records-") as folder:
        try:
            opened = open_experiment(experiment, place=archive_place(), folder=Path(folder))
        except ArchiveError as error:
            raise FileError(str(error)) from error
        _fill(options, experiment)
        return totals_of_records(opened.records, opened.specs, now=timezone.now())


def _fill(options: dict[str, Any], experiment: Experiment) -> None:
    """Take from the experiment what the call does not say."""
    metrics = list(experiment.metrics.select_related("metric"))
    options["control"] = options["control"] or experiment.variants.get(is_control=True).key
    options["guardrails"] = options["guardrails"] or tuple(
        f"{one.metric.key}={one.margin}"
        for one in metrics
        if one.role == "guardrail" and one.margin is not None
    )
    options["lower_is_better"] = options["lower_is_better"] or tuple(
        one.metric.key for one in metrics if one.metric.direction == "decrease"
    )
