"""A folder that cannot be written is said in the API's one shape, and leaves nothing behind."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from experiments.ingest.load_events import PastEvent, load_events
from inference.models import TrainingRun
from tests.support import builders


@pytest.fixture
def no_snapshots():
    """A file where the snapshots' folder was."""
    folder = settings.BAKEOFF.snapshots
    aside = folder.with_name("snapshots.aside")
    if folder.exists():
        folder.rename(aside)
    folder.write_text("")
    yield folder
    folder.unlink()
    if aside.exists():
        aside.rename(folder)


def test_a_snapshot_that_cannot_be_written_is_one_sentence(tables, no_snapshots):
    shop = builders.make_shop()
    connection.ensure_connection()
    past = [PastEvent(f"e{n}", "click", f"u{n}", "i1", None, builders.now()) for n in range(5)]
    load_events(connection.connection, shop.project.pk, past)
    answer = Client().post(
        "/v1/surfaces/home-feed/training-runs",
        {"algorithm": "popularity"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop.secret}"},
    )
    assert answer.status_code == 422, answer.content
    error = answer.json()["error"]
    assert error["code"] == "cannot_train"
    assert f"cannot be written to {no_snapshots}: File exists." in error["message"]
    assert not TrainingRun.objects.filter(surface=shop.surface).exists()
