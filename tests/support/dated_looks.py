"""An experiment that ran for some days, with a look at the end of each."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment
from tests.support.builders import visits
from tests.support.mode_reports import age

DAY = timedelta(days=1)


def run_days(
    experiment: Experiment, users: list[int], *, clicks: dict[str, int], step: timedelta = DAY
) -> None:
    """Let so many users a variant come in each step; the last look is of now."""
    first = 0
    for count in users:
        if first:  # what came before was a step earlier
            experiment.looks.update(taken_at=F("taken_at") - step)
        age(experiment, step)
        units = {key: range(first, first + count) for key in clicks}
        visits(experiment, clicks, units=units, epoch=experiment.epochs.last().number)
        look_at_experiment(experiment_id=experiment.pk)
        first += count
    experiment.refresh_from_db()
