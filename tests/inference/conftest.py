"""Fixtures of models: a surface that labels texts, an endpoint."""

from __future__ import annotations

import pytest

from inference.actions.load_examples import load_examples
from inference.models import Surface
from tests.support import builders
from tests.support.endpoint import Endpoint
from tests.support.fast_lane import test_database_url
from tests.support.learning import make_examples


@pytest.fixture
def desk(tables, lane, tiny_bert, monkeypatch):
    """A project whose surface labels texts, with examples."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    shop = builders.make_shop()
    shop.surface = Surface.objects.create(
        project=shop.project, key="intents", kind="classify", static_list=["other"]
    )
    load_examples(surface_id=shop.surface.pk, examples=make_examples())
    lane.refresh()
    return shop


@pytest.fixture
def endpoint():
    endpoint = Endpoint()
    yield endpoint
    endpoint.stop()
