"""Surfaces are created once, however many ask at the same time."""

from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, connection

from bakeoff.accounts.models import AuditEntry
from experiments.actions.change_surface import SurfaceExistsError, create_surface
from inference.models import Surface


def test_of_two_at_once_one_creates_and_one_is_refused(project):
    both, outcomes = threading.Barrier(2), []

    def create() -> None:
        try:
            both.wait(60)
            create_surface(project=project, key="sidebar", values={"exploration": 0.1}, by="ann")
            outcomes.append("created")
        except SurfaceExistsError as error:
            outcomes.append(error.field)
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["created", "key"]
    assert AuditEntry.objects.filter(project=project, action="make surface").count() == 1


def test_another_rule_of_the_table_is_not_called_a_taken_key(project):
    with pytest.raises(IntegrityError):
        create_surface(project=project, key="sidebar", values={"shadow_share": 2.0}, by="ann")
    assert not Surface.objects.filter(project=project).exists()
    assert not AuditEntry.objects.filter(project=project).exists()
