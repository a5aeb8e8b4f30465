"""Holdbacks take slots of the surface's layer from the top; tests take what is left below them."""

from __future__ import annotations

import pytest
from django.db import transaction

from experiments.actions.layer_slots import free_slot, holdback_slot
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.stop_experiment import stop_experiment
from experiments.models import Experiment, Layer
from tests.support import builders


def hold(shop, share, key):
    """Start a holdback of a share in the slot that is free for it."""
    slot = slot_for(shop, share)
    return builders.experiment(
        shop, shop.surface, key, layer=slot.layer, slot=(slot.low, slot.high),
        purpose=Experiment.Purpose.HOLDBACK,
    )  # fmt: skip


@transaction.atomic
def slot_for(shop, share):
    return holdback_slot(shop.surface, share)


def slots(*experiments):
    return [(one.layer.key, one.slot_low, one.slot_high) for one in experiments]


def test_tests_take_what_holdbacks_leave(shop):
    assert free_slot(shop.surface) is None
    first = hold(shop, 0.03, "holdback-1")
    second = hold(shop, 0.05, "holdback-2")
    key = "autopilot-home-feed"
    assert slots(first, second) == [(key, 0.94, 1.0), (key, 0.84, 0.94)]
    rest = free_slot(shop.surface)
    assert (rest.layer.key, rest.low, rest.high) == (key, 0.0, 0.84)
    test = shop.run_experiment()
    assert slots(test) == [(key, 0.0, 0.84)]
    # The gap that the first one leaves is the highest that is free.
    stop_experiment(experiment=first, by="a test")
    assert slots(hold(shop, 0.02, "holdback-3")) == [(key, 0.96, 1.0)]


def test_holdbacks_leave_half_to_tests(shop):
    hold(shop, 0.2, "holdback-1")
    assert slot_for(shop, 0.06) is None
    assert slot_for(shop, 0.05).low == 0.5
    assert slot_for(shop, 0.00001) is None


def test_a_test_in_a_layer_of_its_own_is_told_what_to_do(shop):
    hold(shop, 0.03, "holdback-1")
    own = Layer.objects.create(project=shop.project, key="own")
    draft = builders.draft(shop, shop.surface, "mine", layer=own)
    with pytest.raises(CannotStartError, match="leave out the layer"):
        start_experiment(experiment=builders.define_experiment(draft), by="a test")
