"""What a training run works from and returns, whatever is trained: plan, progress, result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference.encoders.locate import sha256_of_encoder
from inference.options import FitOptions
from inference.serving.label_costs import NO_COSTS, LabelCosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from inference.algorithms import Portfolio
    from inference.evaluation.gate import GateResult, GateRule
    from inference.evaluation.scores import Scores
    from inference.training.snapshot import Examples, Likes


LEARNING_SHARES = (0.25, 0.5)  # of the units or examples; the whole is judged anyway
ENCODER = "encoder"  # the parameter of every recipe that reads texts
CHEAP_SECONDS = 60.0  # of a fit: a dearer one is not repeated on parts of the data


class RunError(Exception):
    """A run that cannot be finished; the message says where and why."""


class OutOfTimeError(Exception):
    """What was fitted has used its share of the time."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An algorithm with its parameters; label: of the version that it made, if any."""

    algorithm: str
    params: Mapping[str, Any]
    label: str = ""

    @property
    def encoder(self) -> str:
        """The version whose encoder it reads texts by; empty for the configured one."""
        return str(self.params.get(ENCODER, ""))

    @property
    def hyper_params(self) -> dict[str, Any]:
        """What the algorithm itself reads of the parameters."""
        return {name: value for name, value in self.params.items() if name != ENCODER}

    @property
    def key(self) -> str:
        """A name that no other algorithm or parameters have."""
        content = json.dumps(self.params, sort_keys=True).encode()
        return f"{self.algorithm}-{hashlib.sha256(content).hexdigest()[:8]}"

    def is_as(self, other: Recipe | None) -> bool:
        """Whether another is the same, whatever version it made."""
        return other is not None and self.key == other.key


def cheap_recipe(recipe: Recipe, algorithms: Mapping[str, Any]) -> Recipe:
    """Return a recipe with its algorithm's `probe_params`, and those of a blend's parts with theirs.

    Args:
        recipe: what is to be fitted in short.
        algorithms: by name.
    """
    params = {**recipe.params, **getattr(algorithms[recipe.algorithm], "probe_params", {})}
    if "parts" in params:
        parts = [one if isinstance(one, dict) else {"algorithm": one} for one in params["parts"]]
        cheap = [
            cheap_recipe(Recipe(part["algorithm"], part.get("params", {})), algorithms)
            for part in parts
        ]
        params["parts"] = [{"algorithm": part.algorithm, "params": dict(part.params)} for part in cheap]
    return Recipe(recipe.algorithm, params, recipe.label)


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a run works.

    Attributes:
        artifacts: folder of artifacts.
        checkpoints: folder of this run's checkpoints, or None.
        encoder: where the encoder lies; empty when nothing reads it.
        language_model: folder of the causal model that a generator trains; empty for others.
        encoders: where those lie that recipes name, by version.
        no_encoder: why the configured encoder cannot be had, where a portfolio goes on without it.
        device: "auto", "cpu" or "cuda".
    """

    artifacts: Path
    checkpoints: Path | None = None
    encoder: str = ""
    language_model: str = ""
    encoders: Mapping[str, str] = field(default_factory=dict)
    no_encoder: str = ""
    device: str = "auto"

    def encoder_of(self, recipe: Recipe) -> str:
        """Return where a recipe's encoder lies."""
        return self.encoders[recipe.encoder] if recipe.encoder else self.encoder

    def encoder_sha256(self, recipe: Recipe) -> str:
        """Return the hash of a recipe's encoder; empty where nothing of the run reads any."""
        path = self.encoder_of(recipe)
        return sha256_of_encoder(path) if path else ""


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """The artifact that serves the surface now.

    Attributes:
        label: the version's.
        digest: of its artifact.
        algorithm: that made it.
        seen: what it has learnt from; None when its snapshot is gone.
    """

    label: str
    digest: str
    algorithm: str
    seen: Likes | Examples | None = None


@dataclass(frozen=True, slots=True)
class RefitRival:
    """The version that a refit of the champion must not be worse than.

    Attributes:
        label: the version's.
        digest: of its artifact.
        algorithm: that made it.
        learnt_until: of its training data, seconds since 1970; None where that is not known.
    """

    label: str
    digest: str
    algorithm: str
    learnt_until: float | None


@dataclass(frozen=True, slots=True)
class Labelling:
    """What a surface that labels text asks of its models.

    Attributes:
        costs: of mistakes, and of asking a person.
        slices: features by which groups are compared.
        max_gap: between two groups' rates; None for no limit.
    """

    costs: LabelCosts = NO_COSTS
    slices: tuple[str, ...] = ()
    max_gap: float | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run is to do, apart from its data.

    Attributes:
        recipe: what is trained.
        champion: the champion's recipe, or None.
        rule: the gate's.
        place: where it works.
        served: what serves now, or None.
        tested: what a refit is compared with; None when the run is no refit of the champion.
        portfolio: what is tried before the recipe is known; None where the recipe is what is trained.
        about: what the manifest must say besides the encoder: the snapshot.
        labelling: what the surface asks of a classifier.
        seed: of everything random.
    """

    recipe: Recipe
    champion: Recipe | None
    rule: GateRule
    place: Workplace
    served: ServedVersion | None = None
    tested: RefitRival | None = None
    portfolio: Portfolio | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    labelling: Labelling = Labelling()
    seed: int = 0

    @property
    def manifest(self) -> dict[str, Any]:
        """What the manifest says besides what the fit does."""
        return {**self.about, "encoder": self.place.encoder_sha256(self.recipe)}

    def options(self, recipe: Recipe, seed: int, rows: int, progress: RunProgress) -> FitOptions:
        """Return the options of one fit, with checkpoints of its own.

        Args:
            recipe: what is fitted.
            seed: of this fit.
            rows: how many it learns from: a fit on other rows must not resume from this one.
            progress: receives the share done and losses.
        """
        folder = self.place.checkpoints
        return FitOptions(
            seed=seed,
            params=recipe.hyper_params,
            report=progress.report,
            curve=lambda step, loss: progress.curve("", step, loss),
            steps=lambda steps: progress.steps("", steps),
            checkpoint=folder and folder / f"{recipe.key}-seed-{seed}-rows-{rows}",
            device=self.place.device,
            encoder=self.place.encoder_of(recipe),
            language_model=self.place.language_model,
            artifacts=self.place.artifacts,
        )


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Receives how a run goes on.

    Attributes:
        report: the share done and a line about it, which begins with its phase and a colon.
        curve: which fit, a step, and the loss there.
        steps: which fit, and how many steps it takes.
    """

    report: Callable[[float, str], None] = lambda _share, _line: None
    curve: Callable[[str, int, float], None] = lambda _fit, _step, _loss: None
    steps: Callable[[str, int], None] = lambda _fit, _steps: None

    def span(self, start: float, end: float) -> RunProgress:
        """Return the progress of a stage that takes this part of the whole."""
        return RunProgress(
            report=lambda share, line: self.report(start + (end - start) * share, line),
            curve=self.curve,
            steps=self.steps,
        )

    def part(self, index: int, parts: int, name: str) -> RunProgress:
        """Return the progress of one part of the whole, of `parts` equal ones."""
        return RunProgress(
            report=lambda share, line: self.report((index + share) / parts, f"{name}: {line}"),
            curve=lambda _fit, step, loss: self.curve(name, step, loss),
            steps=lambda _fit, steps: self.steps(name, steps),
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate of a portfolio, fitted and judged on the held-out rows.

    Attributes:
        recipe: with what its fit has decided, as the weights of a blend.
        seconds: how long its fit took.
        value: of the metric that decides; higher is better.
        figures: what is shown of it, by metric.
        scores: of each held-out row, where the gate's rule is applied to candidates too.
    """

    recipe: Recipe
    seconds: float
    value: float
    figures: Mapping[str, float]
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """Judges draws of hyper-parameters on a part of what is learnt from.

    Attributes:
        metric: that decides.
        value_of: of a recipe that learns from a share of the rows, telling its progress; higher is
            better.
    """

    metric: str
    value_of: Callable[[Recipe, float, RunProgress], float]


@dataclass(frozen=True, slots=True)
class RunResult:
    """The artifact, the gate's verdict on it, and what was trained; None: what the run names."""

    artifact_sha256: str
    gate: GateResult
    recipe: Recipe | None = None
