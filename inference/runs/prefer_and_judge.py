"""A generator's run, free of Django: split, fit, export, read the exported file back, gate.

What is judged is the file that is served: its 8-bit weights are read back and score the held-out
answers. The rival is the champion where its model is an artifact of this platform, else the base.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.algorithms import generators
from inference.evaluation.gate import GateRule, Rival, Serving, judge
from inference.evaluation.scores import Scores
from inference.generators.protocol import MODEL_FILE
from inference.providers import LOCAL
from inference.runs.outcome import RunError, RunPlan, RunProgress, RunResult
from inference.serving.artifact import ArtifactError, artifact_bytes, check_artifact, save_artifact
from inference.serving.models import open_model
from inference.serving.prompts import MAX_FALLBACKS, Prompt
from inference.training.preferences import PreferenceData, split_preferences

if TYPE_CHECKING:
    from inference.generators.causal_model import CausalModel
    from inference.generators.protocol import Generator
    from inference.serving.artifact import Floats
    from inference.training.snapshot import Preferences

MIN_JUDGED = 20  # held-out rows; fewer cannot tell a model from its base
MAX_JUDGED = 500  # each is read by up to three models
FITTING = 0.8  # of a run's progress, before what was fitted is judged
MAX_LATENCY_MS = 60_000.0  # of reading one conversation with its answer on one thread
MAX_TOKENS = 512


def prefer_and_judge(plan: RunPlan, rows: Preferences, progress: RunProgress) -> RunResult:
    """Train a generator and put it through the gate.

    Args:
        plan: what is trained.
        rows: the snapshot.
        progress: receives the share done and losses.

    Raises:
        RunError: too little data.
    """
    generator = generators()[plan.recipe.algorithm]
    learnt, held_out = _split(PreferenceData.of(rows), generator)
    fits = progress.span(0.0, FITTING).part(0, 1, "training")
    draft = generator.fit(learnt, plan.options(plan.recipe, plan.seed, len(learnt), fits))
    about = {**draft.about, "algorithm": generator.name, **plan.manifest}
    model = save_artifact(plan.place.artifacts, replace(draft, about=about))
    progress.report(FITTING, "judging")
    judging = _Judging.of(plan, held_out)
    base = judging.scores()
    served, latency = judging.timed(plan.place.artifacts, model)
    rival = judging.champion(plan) or Rival("the base model", base, beaten=generator.primary)
    gate = judge(
        rival,
        [served],
        Serving(latency, artifact_bytes(plan.place.artifacts, model)),
        _rule(generator),
        random_seed=plan.seed,
        about={
            "base": _means(base),
            "window": {"learnt": len(learnt), "held_out": len(held_out)},
        },
    )
    progress.report(1.0, "judged")
    prompt = _prompt_for(plan, model)
    return RunResult(save_artifact(plan.place.artifacts, prompt.as_draft()), gate)


def _prompt_for(plan: RunPlan, model: str) -> Prompt:
    """Return the version: the champion's prompt, which asks another model first.

    Raises:
        RunError: the champion is no prompt.
    """
    if plan.served is None:
        return Prompt(provider=LOCAL, model=model)
    served = open_model(plan.place.artifacts, plan.served.digest).prompt
    if served is None:
        raise RunError(f"the champion {plan.served.label} is no prompt.")
    return replace(served, provider=LOCAL, model=model, fallbacks=served.chain[:MAX_FALLBACKS])


def _split(data: PreferenceData, generator: Generator) -> tuple[PreferenceData, PreferenceData]:
    """Return what is learnt from and what is judged by.

    Raises:
        RunError: one of them has too few rows.
    """
    data = data.pairs if generator.reads_pairs else data
    learnt, held_out = split_preferences(data)
    if len(held_out) < MIN_JUDGED:
        kind = "pairs" if generator.reads_pairs else "answers"
        raise RunError(f"held-out {kind} == {len(held_out)}, must be at least {MIN_JUDGED}.")
    if not len(learnt):
        raise RunError("every conversation is held out: there must be different ones.")
    return data.rows(learnt), data.rows(held_out[-MAX_JUDGED:])


def _rule(generator: Generator) -> GateRule:
    other = {"log_likelihood", "preference_accuracy"} - {generator.primary}
    return GateRule(
        primary=generator.primary,
        margin=0.05,
        # Likely answers become less so where pairs alone are learnt; far less is another language.
        guardrails=tuple(other) if generator.reads_pairs else (),
        guardrail_margin=0.5,
        most_latency_ms=MAX_LATENCY_MS,
    )


def _means(scores: Scores) -> dict[str, float]:
    return {name: scores.mean(name) for name in scores.per_unit}


@dataclass(frozen=True, slots=True)
class _Judging:
    """The held-out answers in tokens, and a model that takes one set of weights after another."""

    model: CausalModel
    chosen: list[tuple[list[int], list[int]]]
    rejected: list[tuple[list[int], list[int]]]

    @classmethod
    def of(cls, plan: RunPlan, data: PreferenceData) -> _Judging:
        """Load the base."""
        # torch enters the training subprocess alone, when it gets here.
        from inference.encoders.device import pick_device  # noqa: PLC0415
        from inference.generators.causal_model import CausalModel  # noqa: PLC0415

        model = CausalModel(Path(plan.place.language_model), pick_device(plan.place.device))
        limit = int(plan.recipe.params.get("max_tokens", MAX_TOKENS))

        def encoded(answers: Any) -> list[tuple[list[int], list[int]]]:
            return [
                model.encode(messages, answer, max_tokens=limit)
                for messages, answer in zip(data.messages, answers, strict=True)
            ]

        return cls(model, encoded(data.chosen), encoded(data.rejected) if all(data.rejected) else [])

    def scores(self) -> Scores:
        """Score the held-out answers by the weights that the model has now."""
        chosen = self.model.score(self.chosen)
        lengths = np.array([len(answer) for _, answer in self.chosen])
        scores = {"log_likelihood": chosen / lengths}
        if self.rejected:
            scores["preference_accuracy"] = _preferred(chosen, self.model.score(self.rejected))
        return Scores(scores)

    def timed(self, artifacts: Path, digest: str) -> tuple[Scores, float]:
        """Score by an artifact's file; return the 95th percentile of one answer's reading, in ms, too.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        folder, _ = check_artifact(artifacts, digest)
        self.model.load_gguf(folder / MODEL_FILE)
        times = []
        for row in self.chosen[:MIN_JUDGED]:
            start = time.perf_counter()
            self.model.score([row])
            times.append(1000 * (time.perf_counter() - start))
        return self.scores(), float(np.quantile(times, 0.95))

    def champion(self, plan: RunPlan) -> Rival | None:
        """Score what serves now; None where its model is no artifact of this platform."""
        if plan.served is None:
            return None
        with contextlib.suppress(ArtifactError, ValueError):
            model = _model_of(plan.place.artifacts, plan.served.digest)
            return Rival(plan.served.label, self.timed(plan.place.artifacts, model)[0])
        return None


def _preferred(chosen: Floats, rejected: Floats) -> Floats:
    """Return 1 where the better answer is the more probable one, half for equals, (n,)."""
    shares: Floats = ((chosen > rejected) + 0.5 * (chosen == rejected)).astype(np.float32)
    return shares


def _model_of(artifacts: Path, digest: str) -> str:
    """Return the artifact whose file a prompt is answered by.

    Raises:
        ArtifactError: it is answered by a model that is none of this platform's artifacts.
    """
    prompt = open_model(artifacts, digest).prompt
    if prompt is None or not (artifacts / prompt.model / MODEL_FILE).is_file():
        raise ArtifactError(f"what answers {digest[:12]} is no artifact here.")
    return prompt.model
