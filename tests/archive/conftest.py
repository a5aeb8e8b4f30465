"""Each test begins with an archive of its own: what is left of another's would be checked and deleted."""

from __future__ import annotations

import pytest

from experiments.models import ArchivedMonth


@pytest.fixture(autouse=True)
def empty_archive(tables):
    ArchivedMonth.objects.all().delete()
