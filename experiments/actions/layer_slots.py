"""The layer in which a surface's holdbacks and its tests exclude each other.

Holdbacks take slots from the top of `autopilot-SURFACE`, tests the rest below the lowest of them: units
of a holdback are in no test, so its `promoted` variant is a clean counterpart of `former`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from experiments.actions.short_names import short_name
from experiments.models import Experiment, Layer

if TYPE_CHECKING:
    from inference.models import Surface

MAX_LAYER_KEY = 64  # the column's width
# Holdbacks of several recipes run side by side; tests need most of the traffic to end at all.
MIN_TEST_SHARE = 0.5
# Layers are hashed into 10,000 buckets: narrower differences hold nobody.
BUCKET_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Slot:
    """A range [low, high) of a layer's buckets, each in [0, 1]."""

    layer: Layer
    low: float
    high: float


def free_slot(surface: Surface) -> Slot | None:
    """Return what holdbacks leave to tests; None while none runs: a test has all of the traffic.

    `start_experiment` puts experiments without a layer there.
    """
    holdbacks = Experiment.objects.running().filter(
        surface=surface, purpose=Experiment.Purpose.HOLDBACK
    )
    lowest = holdbacks.select_related("layer").order_by("slot_low").first()
    if lowest is None or lowest.layer is None:
        return None
    return Slot(lowest.layer, 0.0, lowest.slot_low)


def layer_key(surface: Surface) -> str:
    """Return the key of the layer of a surface's holdbacks."""
    return short_name(f"autopilot-{surface.key}", MAX_LAYER_KEY)


def holdback_slot(surface: Surface, share: float) -> Slot | None:
    """Return the highest free slot for two variants of `share` of all units; None where none is.

    In a transaction that holds the surface's lock: the layer is made here if there is none.
    """
    width = round(2 * share, BUCKET_DIGITS)
    if width <= 0:
        return None
    layer, _ = Layer.objects.get_or_create(project=surface.project, key=layer_key(surface))
    # A start in this layer, of whatever surface, waits until the slot is taken.
    Layer.objects.select_for_update(no_key=True).get(pk=layer.pk)
    running = Experiment.objects.running().filter(layer=layer).order_by("-slot_low")
    taken = [(1.0, 1.0), *running.values_list("slot_low", "slot_high"), (0.0, 0.0)]
    for (high, _high), (_low, free_from) in pairwise(taken):
        low = round(high - width, BUCKET_DIGITS)
        if low >= max(free_from, MIN_TEST_SHARE):
            return Slot(layer, low, high)
    return None
