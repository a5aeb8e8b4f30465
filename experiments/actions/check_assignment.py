"""Refuse a rule of assignment that could not be followed, when it is saved and not when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.accounts.refused import RefusedError
from experiments.assignment import AllocationError, ConditionError, HashRange, compile_condition
from experiments.bounds import MAX_COUNT, BoundsError, check_whole_numbers
from experiments.kinds import ABOVE_USERS
from experiments.models import Experiment, groups_of
from experiments.programme.harm import HARM_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.models import Layer
    from inference.models import Surface

# People who try a variant out; each process keeps them in memory for every request.
MAX_FORCED = 1000
# Each step is an epoch, and every look reads the totals of every epoch.
MAX_STEPS = 50
MAX_CONDITION_BYTES = 256 * 1024  # every web process reads all of them again and again


class CannotAssignError(RefusedError):
    """A rule that breaks another; `field` names where."""


def check_condition(project_id: int, condition: Mapping[str, Any]) -> None:
    """Refuse a condition that is malformed.

    Raises:
        CannotAssignError: with what is wrong.
    """
    try:
        check_whole_numbers(dict(condition), "condition")
    except BoundsError as error:
        raise CannotAssignError(str(error), field="condition") from error
    size = len(orjson.dumps(condition))
    if size > MAX_CONDITION_BYTES:
        raise CannotAssignError(
            f"condition == {size} bytes of JSON, must be at most {MAX_CONDITION_BYTES}.",
            field="condition",
        )
    try:
        compile_condition(dict(condition), groups_of(project_id))
    except ConditionError as error:
        raise CannotAssignError(str(error), field="condition") from error


def check_prerequisites(
    surface: Surface, key: str, hashing: str, prerequisites: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse prerequisites that do not exist, that wait for each other, or that no client could follow.

    Raises:
        CannotAssignError: with what is wrong.
    """
    for number, one in enumerate(prerequisites):
        place = f"prerequisites[{number}]"
        name, variants = one.get("experiment"), one.get("variants")
        other = Experiment.objects.filter(project=surface.project_id, key=name).first()
        if other is None or name == key:
            raise CannotAssignError(
                f"{place}.experiment == '{name}', must be another experiment of the project.",
                field="prerequisites",
            )
        known = sorted(other.variants.values_list("key", flat=True))
        if not isinstance(variants, list) or not variants or not set(variants) <= set(known):
            raise CannotAssignError(
                f"{place}.variants == {variants}, must be one or more of {known}.",
                field="prerequisites",
            )
        if other.mode in ABOVE_USERS:
            what = "cluster" if other.mode == Experiment.Mode.CLUSTER else "block of time"
            raise CannotAssignError(
                f"{place}: '{name}' is randomised by {what}, must be by user: clients would hash the "
                "user.",
                field="prerequisites",
            )
        if hashing == Experiment.Hashing.GROWTHBOOK != other.hashing:
            raise CannotAssignError(
                f"{place}: '{name}' is hashed by {other.hashing}, must be growthbook_v2 too: "
                "GrowthBook's clients could not evaluate it.",
                field="prerequisites",
            )
        _check_cycle(surface, key, [str(name)])


def _check_cycle(surface: Surface, key: str, path: list[str]) -> None:
    waits = Experiment.objects.filter(project=surface.project_id, key=path[-1]).first()
    for one in waits.prerequisites if waits is not None else ():
        following = str(one["experiment"])
        if following == key or following in path:
            circle = " → ".join([key, *path, following])
            raise CannotAssignError(
                f"prerequisites wait for each other: {circle}.", field="prerequisites"
            )
        _check_cycle(surface, key, [*path, following])


def check_slot(layer: Layer | None, low: float, high: float) -> None:
    """Refuse a range that is empty or lies outside the layer.

    Raises:
        CannotAssignError: with what is wrong.
    """
    try:
        HashRange("slot", "", low, high)
    except AllocationError as error:
        raise CannotAssignError(str(error), field="slot") from error
    if layer is None and (low, high) != (0.0, 1.0):
        raise CannotAssignError(
            f"slot == [{low:g}, {high:g}), must be of a layer: name one.", field="slot"
        )


def check_forced(forced: Mapping[str, Any], variants: Sequence[str]) -> None:
    """Refuse forced variants that are none, and lists that belong into a condition.

    Raises:
        CannotAssignError: with what is wrong.
    """
    if len(forced) > MAX_FORCED:
        raise CannotAssignError(
            f"forced_units == {len(forced)} units, must be at most {MAX_FORCED}.", field="forced_units"
        )
    for unit, variant in forced.items():
        if variant not in variants or not 1 <= len(unit) <= 200:
            raise CannotAssignError(
                f"forced_units['{unit[:40]}'] == '{variant}', must be one of {sorted(variants)}.",
                field="forced_units",
            )


def check_ramp(allocation: float, ramp: Sequence[Mapping[str, Any]]) -> None:
    """Refuse steps that do not rise: taking units out again would not be a ramp.

    Steps without `units` come by the clock, `after_seconds` after the start. Steps with `units` come by
    evidence: so many units in the treatment, and `after_seconds` after the step before.

    Raises:
        CannotAssignError: with what is wrong.
    """
    if len(ramp) > MAX_STEPS:
        raise CannotAssignError(
            f"ramp == {len(ramp)} steps, must be at most {MAX_STEPS}.", field="ramp"
        )
    by_evidence = bool(ramp) and "units" in ramp[0]
    after, share = 0.0, allocation
    for number, step in enumerate(ramp):
        at, to = step.get("after_seconds"), step.get("allocation")
        if not isinstance(at, int | float) or not isinstance(to, int | float):
            raise CannotAssignError(
                f"ramp[{number}] == {dict(step)}, must have after_seconds and allocation.", field="ramp"
            )
        _check_evidence(number, step, by_evidence=by_evidence)
        in_time = at >= 0 if by_evidence else at > after
        if not (in_time and share < to <= 1):
            raise CannotAssignError(
                f"ramp[{number}]: after_seconds == {at:g} and allocation == {to:g}, must be above "
                f"{after:g} and {share:g}, and the allocation at most 1.",
                field="ramp",
            )
        after, share = 0.0 if by_evidence else at, to


def _check_evidence(number: int, step: Mapping[str, Any], *, by_evidence: bool) -> None:
    """Refuse steps of two kinds in one ramp, and evidence that is none."""
    units, harm = step.get("units"), step.get("harm")
    if by_evidence:
        whole = isinstance(units, int) and not isinstance(units, bool) and 0 <= units <= MAX_COUNT
        rule = f"a whole number of units, at least 0, and harm, one of {list(HARM_NAMES)}"
        right = whole and harm in HARM_NAMES
    else:
        rule, right = "no units: the first step comes by the clock", units is None and harm is None
    if not right:
        raise CannotAssignError(f"ramp[{number}] == {dict(step)}, must have {rule}.", field="ramp")


def check_place(experiment: Experiment) -> None:
    """Refuse to start where another experiment stands, in a transaction that holds the surface's lock.

    Raises:
        CannotAssignError: its part of the layer is taken, or its surface is.
    """
    # A holdout runs beside everything: its units are in no other experiment.
    running = (
        Experiment.objects.running()
        .exclude(pk=experiment.pk)
        .exclude(purpose=Experiment.Purpose.HOLDOUT)
    )
    if experiment.layer_id is not None:
        taken = running.filter(
            layer=experiment.layer_id,
            slot_low__lt=experiment.slot_high,
            slot_high__gt=experiment.slot_low,
        ).first()
        if taken is not None:
            raise CannotAssignError(
                f"slot == [{experiment.slot_low:g}, {experiment.slot_high:g}) of layer "
                f"'{experiment.layer}' overlaps [{taken.slot_low:g}, {taken.slot_high:g}) of "
                f"'{taken.key}', which runs.",
                field="slot",
            )
    if not experiment.exclusive:
        return
    others = running.filter(surface=experiment.surface_id)
    if experiment.layer_id is not None:
        others = others.exclude(layer=experiment.layer_id)
    beside = others.first()
    if beside is not None:
        advice = (
            "leave out the layer, and it takes the users outside the holdback; or stop the holdback."
            if beside.purpose == Experiment.Purpose.HOLDBACK
            else "one at a time, or several in ranges of one layer."
        )
        raise CannotAssignError(
            f"surface '{experiment.surface}' has a running experiment, '{beside.key}': {advice}",
            field="surface",
        )
