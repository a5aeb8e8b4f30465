from __future__ import annotations

from tests.support.generating import one_provider, provider  # noqa: F401  fixtures
