"""Fixtures of models: a surface that labels texts, what is trained on one, an endpoint."""

from __future__ import annotations

import pytest

from inference.actions.load_examples import load_examples
from inference.models import Surface, TrainingRun
from tests.support import builders
from tests.support.endpoint import Endpoint
from tests.support.fast_lane import test_database_url
from tests.support.learning import make_examples, train


def make_desk():
    shop = builders.make_shop()
    shop.surface = Surface.objects.create(
        project=shop.project, key="intents", kind="classify", static_list=["other"]
    )
    load_examples(surface_id=shop.surface.pk, examples=make_examples())
    return shop


@pytest.fixture
def desk(tables, lane, tiny_bert, monkeypatch):
    """A project whose surface labels texts, with examples."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    shop = make_desk()
    lane.refresh()
    return shop


@pytest.fixture(scope="module")
def trained(tables, tiny_bert):
    """Train on a surface of the file's own; the same algorithm and parameters are trained once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", test_database_url())
        desk = make_desk()
        runs: dict[str, TrainingRun] = {}

        def run_of(algorithm: str, **params) -> TrainingRun:
            name = f"{algorithm} {params}"
            if name not in runs:
                runs[name] = train(desk.surface, algorithm, **params)
            return runs[name]

        yield run_of


@pytest.fixture
def endpoint():
    endpoint = Endpoint()
    yield endpoint
    endpoint.stop()
