"""Fixtures of surfaces that generate."""

from tests.support.generating import one_provider, provider  # noqa: F401  fixtures
