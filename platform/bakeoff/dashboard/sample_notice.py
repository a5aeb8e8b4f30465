"""What the overview says of the sample shop: that it is one, whether visitors come, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.urls import reverse

from bakeoff.sample.status import SampleStatus, read_status
from inference.cache import cache_client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakeoff.accounts.models import Project
    from experiments.models import Experiment


@dataclass(frozen=True, slots=True)
class SampleNotice:
    """Of one sample shop.

    Attributes:
        experiment: its latest test; None before the first.
        status: of its visitors; None where none come.
        page: where its shop can be opened; empty where no visitors come.
    """

    experiment: Experiment | None
    status: SampleStatus | None
    page: str


def sample_notice(projects: Iterable[Project]) -> SampleNotice | None:
    """Return the notice of the first sample shop among some projects; None without one."""
    project = next((one for one in projects if one.is_sample), None)
    if project is None:
        return None
    tests = project.experiments.tests().select_related("project", "surface")
    experiment = tests.exclude(started_at=None).order_by("-started_at").first()
    status = read_status(cache_client(), project.pk)
    if status is None or experiment is None:
        return SampleNotice(experiment, status, "")
    query = urlencode({"surface": f"{project.slug}/{experiment.surface.key}", "key": status.key})
    return SampleNotice(experiment, status, f"{reverse('demo')}?{query}")
