"""Loads of files: what the audit trail says of them, also of one that was interrupted."""

from __future__ import annotations

import pytest

from bakeoff.accounts.models import AuditEntry
from experiments.actions.load_catalogue import load_catalogue, write_items
from experiments.actions.load_units import load_units
from inference.actions.load_items import CHUNK, ItemDraft
from inference.models import Item


def loads_of(project):
    return list(AuditEntry.objects.filter(project=project).values_list("actor", "action", "subject"))


def test_an_interrupted_load_records_what_it_wrote(project):
    def items():
        yield from (ItemDraft(f"i{n}") for n in range(CHUNK))
        yield ItemDraft("lost with its chunk")
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        load_catalogue(project_id=project.pk, items=items(), by="ann")
    assert Item.objects.filter(project=project).count() == CHUNK
    assert loads_of(project) == [("ann", "load", f"{CHUNK} items")]


def test_a_load_of_nothing_records_nothing(project):
    assert load_units(project_id=project.pk, units=[], by="ann") == 0
    assert loads_of(project) == []


def test_items_that_a_product_sends_are_data(project):
    assert write_items(project_id=project.pk, items=[ItemDraft("a"), ItemDraft("b")]) == 2
    assert loads_of(project) == []
