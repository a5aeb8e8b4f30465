"""A policy's run, free of Django: split by time, fit, judge off-policy, fit on all, gate.

What is held out are the last decisions. Of those with all actions known, the policy's own chance of
what was taken, over the logged propensity, weighs the reward (inference/evaluation/off_policy.py).
The gate refuses what is worse than what was served for certain: whether it is better, its experiment
says. An apprentice must predict the default action often enough.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.algorithms import policies
from inference.evaluation.gate import GateResult, GateRule, Serving, cost_reasons
from inference.evaluation.off_policy import OffPolicyError, refuse_without_support, weighted_value
from inference.runs.outcome import RunError, RunResult
from inference.serving.action_set import ActionSet
from inference.serving.artifact import artifact_bytes, save_artifact
from inference.serving.choice import chances_of
from inference.serving.linear_policy import LinearPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.runs.outcome import RunPlan, RunProgress
    from inference.serving.rank_settings import RankSettings
    from inference.training.decisions import Decisions

HELD_OUT = 0.2  # of the decisions, the last ones
MIN_DECISIONS = 200
MIN_JUDGED = 20  # held-out decisions with all actions: an apprentice is judged by them alone
MAX_JUDGED = 5000
# A choice takes a third of a millisecond; a worker that shares its cores must not refuse it for theirs.
RULE = GateRule(primary="reward", guardrails=(), margin=0.0, most_latency_ms=200.0)


def policy_and_judge(
    plan: RunPlan, rows: Decisions, progress: RunProgress, *, settings: RankSettings
) -> RunResult:
    """Train a policy and put it through the gate.

    Args:
        plan: what is trained.
        rows: the snapshot.
        progress: receives the share done.
        settings: of the surface.

    Raises:
        RunError: too few decisions.
    """
    imitates = settings.apprentice > 0 and plan.champion is None
    usable = rows.rows(rows.sampled) if imitates else rows
    if len(usable) < MIN_DECISIONS:
        what = "decisions with all actions" if imitates else "decisions"
        raise RunError(f"{what} == {len(usable)}, must be at least {MIN_DECISIONS}.")
    cut = round(len(usable) * (1 - HELD_OUT))
    learnt, held_out = (usable.rows(part) for part in np.split(np.arange(len(usable)), [cut]))
    policy = policies()[plan.recipe.algorithm]
    progress.report(0.0, "training: fitting the earlier decisions")
    options = plan.options(plan.recipe, plan.seed, len(learnt), progress.span(0.0, 0.5))
    draft = policy.fit(learnt, options, imitates=imitates)
    judged = _digest(plan, draft)
    progress.report(0.5, "judging")
    draft_policy = LinearPolicy.load(plan.place.artifacts, judged)
    judged_rows, notes = _readable(draft_policy, held_out.rows(held_out.sampled[-MAX_JUDGED:]))
    gate = _gate(draft_policy, judged_rows, settings, plan.seed)
    gate = replace(gate, about={**gate.about, "notes": notes})
    if imitates:
        gate = _of_apprentice(gate, len(judged_rows), settings)
    progress.report(0.7, "training: fitting all decisions")
    options = plan.options(plan.recipe, plan.seed, len(usable), progress.span(0.7, 1.0))
    digest = _digest(plan, policy.fit(usable, options, imitates=imitates))
    return RunResult(digest, _served(gate, plan.place.artifacts, digest, judged_rows, len(learnt)))


def _digest(plan: RunPlan, draft: Any) -> str:
    about = {**draft.about, **plan.manifest}
    return save_artifact(plan.place.artifacts, replace(draft, about=about))


def _readable(policy: LinearPolicy, rows: Decisions) -> tuple[Decisions, list[str]]:
    """Return the decisions that serving would not refuse to the policy, and what is said of others."""
    why = [policy.space.why_not(_actions_of(rows, i)) for i in range(len(rows))]
    refused = [one for one in why if one]
    if not refused:
        return rows, []
    note = f"{len(refused)} decisions were not judged: {refused[0]}."
    return rows.rows(np.flatnonzero([not one for one in why])), [note]


def _gate(policy: LinearPolicy, rows: Decisions, settings: RankSettings, seed: int) -> GateResult:
    """Judge a policy on held-out decisions, all of them with all actions."""
    rng = np.random.default_rng(seed)
    wanted, match = np.zeros(len(rows)), np.zeros(len(rows))
    for i in range(len(rows)):
        actions = _actions_of(rows, i)
        default = list(actions.ids).index(rows.default[i])
        shares = policy.prefer(actions, rng).shares
        chances = chances_of(shares, default, settings)
        wanted[i] = chances[list(actions.ids).index(rows.chosen[i])]
        match[i] = float(np.argmax(shares) == default)
    logged, reward = np.array(rows.propensity), np.array(rows.reward, dtype=float)
    table: dict[str, dict[str, Any]] = {}
    about: dict[str, Any] = {"decisions": len(rows)}
    reasons = []
    if len(rows):
        table["match"] = {"challenger": float(match.mean())}
        try:
            value = weighted_value(logged, wanted, reward)
            refuse_without_support(value)
        except OffPolicyError as error:
            about["off_policy"] = {"refused": str(error)}
        else:
            about["off_policy"] = value._asdict()
            table["reward"] = _reward_row(wanted / logged, reward)
            high = table["reward"]["interval"][1]
            if high < 0:
                reasons.append(
                    f"reward is lower than that of what was served by {-high:.4f} at least, must not "
                    "be lower for certain"
                )
    return GateResult(
        passed=not reasons,
        superior=bool(table.get("reward", {}).get("interval", [0])[0] > 0),
        reasons=reasons,
        units=len(rows),
        rows=table,
        seeds=[],
        rule=RULE,
        rival="what was served",
        about=about,
    )


def _actions_of(rows: Decisions, index: int) -> ActionSet:
    actions = rows.actions[index]
    assert actions is not None  # noqa: S101  rows were picked by that
    return ActionSet.from_json(actions, rows.context[index])


def _reward_row(weights: NDArray[np.float64], reward: NDArray[np.float64]) -> dict[str, Any]:
    """Return the policy's reward by self-normalised weights, beside what was served, with 95 %."""
    ours, served = float((weights * reward).sum() / weights.sum()), float(reward.mean())
    # Linearised, decision by decision: both are means of the same rows.
    each = weights * (reward - ours) / weights.mean() - (reward - served)
    half = 1.96 * float(each.std(ddof=1)) / np.sqrt(len(each))
    difference = ours - served
    return {
        "challenger": ours,
        "champion": served,
        "difference": difference,
        "interval": [difference - half, difference + half],
    }


def _of_apprentice(gate: GateResult, judged: int, settings: RankSettings) -> GateResult:
    """Refuse an apprentice that does not predict the default action often enough."""
    if judged < MIN_JUDGED:
        return gate.refused_for(f"held-out decisions == {judged}, must be at least {MIN_JUDGED}")
    match = gate.rows["match"]["challenger"]
    if match < settings.apprentice:
        return gate.refused_for(
            f"match with the default action == {match:.3f}, must be at least {settings.apprentice:g}"
        )
    return gate


def _served(gate: GateResult, artifacts: Path, digest: str, rows: Decisions, learnt: int) -> GateResult:
    """Return the verdict with what serving the artifact costs."""
    policy, rng, times = LinearPolicy.load(artifacts, digest), np.random.default_rng(0), []
    rows, _ = _readable(policy, rows.rows(np.arange(min(len(rows), 200))))
    for i in range(len(rows)):
        actions = _actions_of(rows, i)
        start = time.perf_counter()
        policy.prefer(actions, rng)
        times.append(1000 * (time.perf_counter() - start))
    latency = float(np.quantile(times, 0.95)) if times else 0.0
    serving = Serving(latency, artifact_bytes(artifacts, digest))
    reasons = [*gate.reasons, *cost_reasons(serving, gate.rule)]
    table: Mapping[str, Any] = {
        **gate.rows,
        "latency_p95_ms": {"challenger": latency},
        "bytes": {"challenger": serving.bytes},
    }
    about = {**gate.about, "window": {"learnt": learnt, "held_out": gate.units}}
    return replace(gate, rows=dict(table), reasons=reasons, passed=not reasons, about=about)
