"""Refuse a version that cannot serve, before anything is moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis.exceptions
from django.conf import settings

from inference.actions.move_champion import CannotPromoteError, ProcessesUnreachableError
from inference.cache import cache_client
from inference.serving.artifact import ArtifactError
from inference.serving.models import open_model
from inference.serving.probes import CannotServeError, probe_version

if TYPE_CHECKING:
    from inference.models import ModelVersion


def check_servable(version: ModelVersion) -> dict[str, float]:
    """Return per web process the milliseconds in which the version answered a request there.

    The artifact on disk is read first: a process that holds it in memory could not start again.
    Call it outside of a transaction: it waits for other processes.

    Raises:
        CannotPromoteError: the artifact is missing or damaged, a web process cannot load it, or it
            gives no answer in time.
        ProcessesUnreachableError: the cache by which processes are asked is away.
    """
    check_artifact_of(version)
    try:
        return probe_version(cache_client(), version.pk, version.label)
    except CannotServeError as error:
        raise CannotPromoteError(str(error)) from error
    except (redis.exceptions.RedisError, OSError) as error:
        raise ProcessesUnreachableError(
            f"{version.label} is not promoted: the cache does not answer, so web processes cannot be "
            f"asked whether they have loaded it ({error})."
        ) from error


def check_artifact_of(version: ModelVersion) -> None:
    """Load a version's artifact here.

    Raises:
        CannotPromoteError: it is missing or damaged.
    """
    try:
        open_model(settings.BAKEOFF.artifacts, version.artifact_sha256)
    except (ArtifactError, OSError, ValueError) as error:
        raise CannotPromoteError(f"{version.label} cannot be served: {error}") from error
