"""Model versions that can serve: artifacts are opened once and shared by all that name them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.serving.models import Model, open_model

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.assignment import VersionReference
    from inference.serving.ranker import Ranker

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServingVersion:
    """A version that can serve.

    Attributes:
        version_id: of the table.
        label: algorithm and number.
        model: None when its artifact cannot be loaded.
        digest: of the artifact.
    """

    version_id: int
    label: str
    model: Model | None
    digest: str = ""

    @property
    def ranker(self) -> Ranker | None:
        """What ranks, if it is a recommender that works."""
        return self.model.ranker if self.model is not None else None

    @property
    def is_impaired(self) -> bool:
        """Whether it serves without a file that only some answers need."""
        return self.ranker is not None and bool(self.ranker.damaged)

    @property
    def cost_per_answer(self) -> float:
        """What an answer costs, in money: of a model elsewhere; our own processes are paid anyway."""
        remote = self.model.remote if self.model is not None else None
        return remote.cost_per_answer if remote is not None else 0.0


class VersionLoader:
    """Keeps the models that are open from one reading of the configuration to the next."""

    def __init__(self, artifacts: Path) -> None:
        """Remember the folder of the artifacts."""
        self._artifacts = artifacts
        self.models: dict[str, Model | None] = {}
        self.problems: dict[str, str] = {}  # why artifacts cannot be loaded, by digest
        self._used: set[str] = set()

    def begin(self) -> None:
        """Begin a reading: what it does not load is closed at its end."""
        self._used.clear()

    def end(self) -> None:
        """Close the models that nothing names any more: they are large."""
        self.models = {digest: m for digest, m in self.models.items() if digest in self._used}

    def load(self, version: VersionReference) -> ServingVersion:
        """Return a version with its model; one that could not be loaded is tried anew."""
        digest = version.digest
        self._used.add(digest)
        # An artifact may be copied to this machine after its version was promoted: try again each time.
        if self.models.get(digest) is None:
            try:
                self.models[digest] = opened = open_model(self._artifacts, digest)
                self.problems.pop(digest, None)
                _log_damage(version, opened)
            except Exception as error:  # noqa: BLE001  whatever an artifact holds, others must load
                # Once, and not with each reading: the heartbeat says that it is still so.
                if self.problems.get(digest) != str(error):
                    logger.error("version %s cannot be served: %s", version.label, error)  # noqa: TRY400
                self.models[digest], self.problems[digest] = None, str(error)
        model = self.models[digest]
        if model is not None and model.ranker is not None:
            model.ranker.seek_indexes()  # a worker may have built one meanwhile
        return ServingVersion(version.version_id, version.label, model, digest)


def _log_damage(version: VersionReference, model: Model) -> None:
    """Say which files a version serves without."""
    if model.ranker is not None and model.ranker.damaged:
        names = ", ".join(model.ranker.damaged)
        logger.error("version %s serves without %s, which was changed", version.label, names)
