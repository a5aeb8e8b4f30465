"""Fixtures of surfaces that generate."""

from __future__ import annotations

import pytest

from tests.support.generating import make_chat, write_providers
from tests.support.provider import KEY, TestProvider


@pytest.fixture(scope="session")
def one_provider():
    provider = TestProvider()
    yield provider
    provider.stop()


@pytest.fixture
def provider(one_provider, monkeypatch, tmp_path):
    one_provider.reset()
    monkeypatch.setenv("BAKEOFF_PROVIDERS", str(write_providers(tmp_path / "p.yaml", one_provider)))
    monkeypatch.setenv("BAKEOFF_PROVIDER_KEY_TEST", KEY)
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "127.0.0.1")
    return one_provider


@pytest.fixture
def chat(lane, provider):
    """A surface with one version, known to the fast lane."""
    # Breakers remember what other tests did to the provider.
    lane.gateway._chain._breakers.clear()
    chat = make_chat(lane, provider)
    chat.add()
    return chat
