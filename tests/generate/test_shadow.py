"""Versions in shadow answer copies of requests, redacted, and nobody sees them."""

from __future__ import annotations

import pytest
from django.conf import settings

from experiments.actions.shadow_version import shadow_version
from inference.actions.answer_shadows import answer_shadows
from inference.cache import cache_client
from inference.models import ShadowAnswer, Surface
from inference.serving.keys import shadow_key
from tests.support.provider import refuses, says
from tests.support.waiting import wait_until


@pytest.fixture
def shadowed(chat):
    """Two versions in shadow of which one needs a variable; every request is passed on."""
    for fields in ({"text": "You help {{ name }}.", "variables": {"name": {}}}, {}):
        version = chat.add(model="large", **fields)
        shadow_version(version=version, by="a test", reason="a test")
    Surface.objects.filter(pk=chat.surface.pk).update(shadow_share=1.0)
    chat.lane.refresh()
    return chat


def answers(chat) -> dict[str, ShadowAnswer]:
    """Ask, let a worker answer what was passed on, and return the answers by version."""
    chat.ask(messages=[{"role": "user", "content": "I am anna@example.com"}])
    cache = cache_client()
    wait_until(lambda: cache.llen(shadow_key(chat.surface.pk)))
    answer_shadows(surface=chat.surface, client=cache, artifacts=settings.BAKEOFF.artifacts)
    last = chat.last().recommendation_id
    return {one.version.label: one for one in ShadowAnswer.objects.filter(recommendation_id=last)}


def test_a_shadow_answers_a_redacted_copy(shadowed):
    shadowed.provider.by_model = {"small": says("Hello there."), "large": says("Hello Anna.")}
    compared = answers(shadowed)
    assert "variables.name is missing" in compared["prompt@2"].error
    assert (compared["prompt@3"].error, compared["prompt@3"].overlap) == ("", pytest.approx(7 / 12))
    copies = [one for one in shadowed.provider.requests if one["model"] == "large"]
    assert [one["messages"][-1]["content"] for one in copies] == ["I am [email]"]
    shadowed.provider.by_model["large"] = refuses(500)
    assert "status == 500" in answers(shadowed)["prompt@3"].error
    assert {one.generation["version"] for one in shadowed.slates()} == {"prompt@1"}
