"""Build the indexes over items that versions lack: they are older than indexes, or theirs was damaged.

A run builds its version's own. Meanwhile all items are scored.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from inference.models import ModelVersion
from inference.serving.artifact import ArtifactError
from inference.serving.index_building import build_indexes

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
_ALIASES = (
    ModelVersion.Alias.CHAMPION,
    ModelVersion.Alias.CHALLENGER,
    ModelVersion.Alias.SHADOW,
)


def build_missing_indexes(*, artifacts: Path) -> int:
    """Build what versions in use or under test lack; return how many indexes that were.

    Args:
        artifacts: the store.
    """
    built = 0
    versions = ModelVersion.objects.filter(alias__in=_ALIASES, surface__kind="recommend")
    for digest in versions.values_list("artifact_sha256", flat=True).distinct():
        try:
            built += len(build_indexes(artifacts, digest))
        except (ArtifactError, OSError, ValueError) as error:
            # The version's own page says that it cannot be served; others must get theirs.
            logger.warning("no index of version %s: %s", digest[:12], error)
    return built
