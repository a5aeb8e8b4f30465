from __future__ import annotations

import pytest

from tests.support.embed_page import opened  # noqa: F401  a fixture
from tests.support.generating import chat, one_provider, provider  # noqa: F401  fixtures
from tests.support.npm import install_packages


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """Our npm packages, packed and installed in an empty project."""
    return install_packages(tmp_path_factory.mktemp("packages"))
