"""Refuse groups by a feature that nothing which is learnt from has."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from experiments.models import LabelTask
from experiments.training_data.answer_features import features_of_answers
from inference.actions.check_labelling import MAX_SLICES, SliceError
from inference.models import Example

if TYPE_CHECKING:
    from inference.models import Surface

MAX_READ = 1000  # examples whose features are suggested


def require_known_slices(surface: Surface) -> None:
    """Refuse groups by a feature that no example has, once examples are loaded.

    A feature may be one that only requests bring: training learns from what visitors and reviewers
    said of answers too. Where there are more such answers than are read, every name is taken.

    Raises:
        SliceError: with the nearest feature that there is.
    """
    examples = Example.objects.filter(surface=surface)
    if not examples.exists():
        return
    unknown = [one for one in surface.slices if not examples.filter(features__has_key=one).exists()]
    tasks = LabelTask.objects.filter(surface=surface)
    unknown = [one for one in unknown if not tasks.filter(features__has_key=one).exists()]
    answers = features_of_answers(surface) if unknown else frozenset()
    unknown = [] if answers is None else [one for one in unknown if one not in answers]
    if unknown:
        first = examples.order_by("pk").values_list("features", flat=True)[:MAX_READ]
        known = {feature for features in first for feature in features}.union(answers or ())
        raise SliceError(
            f"slice == '{unknown[0]:.80}': no example has such a feature. "
            f"{_nearest(unknown[0], sorted(known))}",
            field="slices",
        )


def _nearest(name: str, known: list[str]) -> str:
    """Return which feature may be meant."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return (
        f"Known are {known[:MAX_SLICES]}." if known else "They have texts alone: load features first."
    )
