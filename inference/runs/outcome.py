"""What the work of a training run is given and gives back, whatever is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference.options import FitOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from inference.evaluation.gate import GateResult, GateRule
    from inference.training.snapshot import Examples, Likes


LEARNING_SHARES = (0.25, 0.5)
CHEAP_SECONDS = 60.0  # of a fit: a dearer one is not repeated on parts of the data


class RunError(Exception):
    """A run that cannot be finished; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a version is made: by which model, with which parameters."""

    algorithm: str
    params: Mapping[str, Any]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a run works.

    Attributes:
        artifacts: where artifacts are kept.
        checkpoints: where checkpoints of this run are kept, or None.
        encoder: where the encoder lies; empty when nothing reads it.
        device: "auto", "cpu" or "cuda".
    """

    artifacts: Path
    checkpoints: Path | None = None
    encoder: str = ""
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """The artifact that serves the surface now.

    Attributes:
        label: the version's.
        digest: of its artifact.
        algorithm: by which algorithm it was made.
        seen: what it has learnt from, or None when nobody knows any more.
    """

    label: str
    digest: str
    algorithm: str
    seen: Likes | Examples | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run is to do, apart from its data.

    Attributes:
        recipe: what is trained.
        champion: how the champion was made, or None.
        rule: the gate's.
        place: where it works.
        served: what serves now, or None.
        about: what the manifest must name: encoder, snapshot.
        seed: of everything random.
    """

    recipe: Recipe
    champion: Recipe | None
    rule: GateRule
    place: Workplace
    served: ServedVersion | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def options(self, recipe: Recipe, seed: int, rows: int, progress: RunProgress) -> FitOptions:
        """Return how one fit is done; its checkpoints are its own.

        Args:
            recipe: what is fitted.
            seed: of this fit.
            rows: how many it learns from: a fit on other rows must not resume from this one.
            progress: who is told.
        """
        folder = self.place.checkpoints
        return FitOptions(
            seed=seed,
            params=recipe.params,
            report=progress.report,
            curve=lambda step, loss: progress.curve("", step, loss),
            checkpoint=folder and folder / f"{recipe.algorithm}-seed-{seed}-rows-{rows}",
            device=self.place.device,
            encoder=self.place.encoder,
        )


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Who is told how a run goes on.

    Attributes:
        report: the share done and a line about it.
        curve: which fit, a step, and the loss there.
    """

    report: Callable[[float, str], None] = lambda _share, _line: None
    curve: Callable[[str, int, float], None] = lambda _fit, _step, _loss: None

    def part(self, index: int, parts: int, name: str) -> RunProgress:
        """Return what fills one part of the whole."""
        return RunProgress(
            report=lambda share, line: self.report((index + share) / parts, f"{name}: {line}"),
            curve=lambda _fit, step, loss: self.curve(name, step, loss),
        )


@dataclass(frozen=True, slots=True)
class RunResult:
    """The artifact and the gate's verdict on it."""

    artifact_sha256: str
    gate: GateResult
