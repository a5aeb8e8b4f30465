"""Keys of experiments that the platform starts by itself."""

from __future__ import annotations

from experiments.actions.short_names import short_name
from experiments.models import Experiment

MAX_EXPERIMENT_KEY = 100  # the column's width


def free_key(project_id: int, name: str) -> str:
    """Return a key that no experiment of the project has: the second of a name ends with a number."""
    taken = Experiment.objects.filter(project=project_id)
    number, key = 1, short_name(name, MAX_EXPERIMENT_KEY)
    while taken.filter(key=key).exists():
        number += 1
        key = short_name(f"{name}-{number}", MAX_EXPERIMENT_KEY)
    return key
