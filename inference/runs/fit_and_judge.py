"""A recommender's run, free of Django: split, check, fit, gate, fit on all, export."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.encoders.text_length import notes_on_length
from inference.evaluation.gate import Rival, Serving, judge
from inference.evaluation.ranking import recall_of_items
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.runs.outcome import (
    CHEAP_SECONDS,
    LEARNING_SHARES,
    Recipe,
    RunError,
    RunPlan,
    RunProgress,
    RunResult,
)
from inference.runs.rankings import JudgedRankings
from inference.runs.serving_checks import apply_findings, check_export, check_served_ranking
from inference.serving.artifact import ArtifactDraft, Floats, artifact_bytes, save_artifact
from inference.serving.model_worker import open_worker_model
from inference.serving.models import DEADLINE_MS
from inference.serving.ranker import Ranker
from inference.training.data import TrainingData
from inference.training.split import SplitData, UnitLikes, split_at_date, split_by_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.evaluation.gate import GateResult, GateRule
    from inference.runs.off_policy_view import Log
    from inference.runs.serving_checks import Finding
    from inference.training.snapshot import Likes

MIN_JUDGED = 20
MAX_JUDGED_REMOTELY = 300
COLD_UNIT, COLD_ITEM = 5, 2
PROBE = "item-knn"
REMOTE = ("endpoint", "python")
TEXTUAL = frozenset({"texts", "vectors"})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items.

    Attributes:
        item_ids: n of them.
        vectors: of their texts, float32 (n, e), or None.
        texts: of them, or None.
        custom_vectors: that the user supplied, float32 (n, o), or None.
    """

    item_ids: list[str]
    vectors: Floats | None = None
    texts: list[str] | None = None
    custom_vectors: Floats | None = None


def fit_and_judge(
    plan: RunPlan,
    likes: Likes,
    catalogue: Catalogue,
    progress: RunProgress,
    *,
    gap_seconds: float = 0.0,
    log: Log | None = None,
) -> RunResult:
    """Run.

    The champion's recipe is fitted on the same earlier likes as the challenger, so that neither has
    seen what is held out; what is exported has learnt from all.

    Args:
        plan: what is trained, and against whom.
        likes: the snapshot.
        catalogue: the items.
        progress: who is told.
        gap_seconds: the surface's attribution window, for likes that were recorded live.
        log: what was served with exploration, for the value off-policy.

    Raises:
        RunError: too little data, or a leak.
    """
    recommender = RECOMMENDERS[plan.recipe.algorithm]
    split = _split(likes, catalogue, gap_seconds)
    judged = split.judged
    if plan.recipe.algorithm in REMOTE:
        judged = judged[:: max(1, -(-len(judged) // MAX_JUDGED_REMOTELY))]
    data = _data(catalogue, split.past)
    notes = _notes(plan, likes, catalogue)
    checks = _checks(plan, split, data, judged)
    rival = None
    if plan.champion is not None:
        progress.report(0.0, f"scoring the champion ({plan.champion.label}) on {len(judged)} units")
        rival = JudgedRankings(
            _fit(plan, plan.champion, data, plan.seed, RunProgress()), split, judged, plan
        )
    seeds = []
    parts = recommender.seeds + 1
    for seed in range(recommender.seeds):
        start = time.perf_counter()
        draft = _fit(plan, plan.recipe, data, seed, progress.part(seed, parts, f"seed {seed}"))
        fit_seconds = time.perf_counter() - start
        seeds.append(JudgedRankings(draft, split, judged, plan, log if seed == 0 else None))
        seeds[-1].fit_seconds = fit_seconds
    last = progress.part(parts - 1, parts, "on all")
    final = _fit(plan, plan.recipe, _data(catalogue, split.whole), plan.seed, last)
    final = replace(final, about={**final.about, **plan.about})
    digest = save_artifact(plan.place.artifacts, final)
    gate = judge(
        Rival(plan.champion.label, rival.scores) if rival and plan.champion else None,
        [one.scores for one in seeds],
        _measure(Ranker(plan.place.artifacts, digest), plan.place.artifacts, split, judged),
        _rule(plan),
        random_seed=plan.seed,
        about={
            "checks": checks,
            "window": _window(split),
            "slices": _slices(seeds[0], rival, split, judged),
            "cold_view": _cold_view(plan, likes, catalogue),
            "learning": _learning(plan, catalogue, split, seeds[0], judged),
            "off_policy": seeds[0].off_policy,
        },
    )
    findings = _findings(plan, final, split, judged, seeds)
    gate = apply_findings(_bounded(_finite(gate), seeds[0].off_policy), findings)
    return RunResult(artifact_sha256=digest, gate=replace(gate, about={**gate.about, "notes": notes}))


def _findings(
    plan: RunPlan,
    final: ArtifactDraft,
    split: SplitData,
    judged: list[int],
    seeds: list[JudgedRankings],
) -> list[Finding]:
    """Return what the checks beside the gate's rule say of the export."""
    if plan.recipe.algorithm in REMOTE:  # what is asked elsewhere has nothing that the last fit learnt
        return []
    exported = JudgedRankings(final, split, judged, plan)
    return [
        check_export(plan.rule, [one.scores for one in seeds], exported.scores),
        check_served_ranking(plan, split, judged, seeds, exported),
    ]


def _bounded(gate: GateResult, value: Mapping[str, Any] | None) -> GateResult:
    """Refuse what would have earned less than what was served, where the log says so."""
    if value is None or not value.get("worse"):
        return gate
    low, high = value["interval"]
    return gate.refused_for(
        f"off-policy value == {value['estimate']:.4f} a slate over {value['supported']} positions, "
        f"{low:+.4f} to {high:+.4f} beside what was served ({value['earned']:.4f})"
    )


def _rule(plan: RunPlan) -> GateRule:
    """Return the gate's rule: a model that is asked may take as long as its deadline."""
    if plan.recipe.algorithm not in REMOTE:
        return plan.rule
    return replace(plan.rule, most_latency_ms=float(plan.recipe.params.get("deadline_ms", DEADLINE_MS)))


def _notes(plan: RunPlan, likes: Likes, catalogue: Catalogue) -> list[str]:
    """Return what a person should know of the data."""
    notes = []
    known = set(catalogue.item_ids)
    unknown = sum(item not in known for item in likes.item_ids)
    if unknown:
        notes.append(
            f"{unknown} of {len(likes.item_ids)} likes are of items that are not in the catalogue: "
            "they are not learnt."
        )
    if catalogue.texts and plan.place.encoder and RECOMMENDERS[plan.recipe.algorithm].reads & TEXTUAL:
        notes += notes_on_length(plan.place.encoder, catalogue.texts)
    return notes


def _split(likes: Likes, catalogue: Catalogue, gap_seconds: float) -> SplitData:
    """Split with a gap where the log spans it; a log that is younger than the gap has none."""
    split = split_by_time(likes, catalogue.item_ids, gap_seconds=gap_seconds)
    if gap_seconds:
        without = split_by_time(likes, catalogue.item_ids)
        if len(split.judged) < len(without.judged) / 2:
            split = without
    if not split.whole and likes.unit_ids:
        raise RunError(
            f"every liked item is unknown: none of {len(set(likes.item_ids))} is in the catalogue of "
            f"{len(catalogue.item_ids)} items. Load items of these ids with `bakeoff load items` or "
            "PUT /v1/items."
        )
    if len(split.judged) < MIN_JUDGED:
        raise RunError(
            f"units with held-out likes == {len(split.judged)}, must be at least {MIN_JUDGED}."
        )
    return split


def _fit(
    plan: RunPlan, recipe: Recipe, data: TrainingData, seed: int, progress: RunProgress
) -> ArtifactDraft:
    options = plan.options(recipe, seed, sum(map(len, data.liked)), progress)
    return RECOMMENDERS[recipe.algorithm].fit(data, options)


def _data(catalogue: Catalogue, units: list[UnitLikes]) -> TrainingData:
    return TrainingData(
        item_ids=catalogue.item_ids,
        item_vectors=catalogue.vectors,
        item_texts=catalogue.texts,
        custom_vectors=catalogue.custom_vectors,
        liked=[unit.items for unit in units],
        liked_at=[unit.at for unit in units],
        chance=[unit.chance for unit in units],
    )


def _checks(
    plan: RunPlan, split: SplitData, data: TrainingData, judged: list[int]
) -> list[dict[str, str]]:
    """Fail a run that would be judged on what it learnt from; return what was checked.

    Raises:
        RunError: a leak.
    """
    for past, later in zip(split.past, split.later, strict=True):
        if len(np.intersect1d(past.items, later)):
            raise RunError("a unit's held-out items are among those learnt from: leak.")
    for past, whole, later in zip(split.past, split.whole, split.later, strict=True):
        held = whole.at[np.isin(whole.items, later)]
        if len(past.at) and len(held) and past.at.max() > held.min():
            raise RunError("a unit's like that is learnt from is later than a held-out one: leak.")
    shuffled, popular = _shuffled(plan, split, data, judged)
    if shuffled > popular:
        raise RunError(
            f"hit rate after a fit on shuffled likes == {shuffled:.4f}, must be at most "
            f"{popular:.4f} (chance): what is held out can be read from the inputs."
        )
    return [
        {"check": "held-out items are not learnt from", "said": f"{len(judged)} units"},
        {"check": "nothing learnt from is later than what is held out", "said": f"{len(judged)} units"},
        {
            "check": "a fit on shuffled likes is no better than chance",
            "said": f"hit rate {shuffled:.3f}, at most {popular:.3f}",
        },
    ]


def _shuffled(
    plan: RunPlan, split: SplitData, data: TrainingData, judged: list[int]
) -> tuple[float, float]:
    """Return a probe's hit rate after likes were dealt anew, and the most that chance allows."""
    rng = np.random.default_rng(plan.seed)
    _, items = data.pairs
    dealt = rng.permutation(items)
    ends = np.cumsum([len(liked) for liked in data.liked])[:-1]
    mixed = replace(data, liked=np.split(dealt, ends), item_vectors=None, chance=None)
    scores = JudgedRankings(RECOMMENDERS[PROBE].fit(mixed, FitOptions()), split, judged, plan).scores
    plain = JudgedRankings(
        RECOMMENDERS["popularity"].fit(data, FitOptions()), split, judged, plan
    ).scores
    count = len(split.item_ids)
    # Chance is what popularity gets, or a list drawn at random where items are few.
    random = [
        1
        - (1 - plan.rule.k / max(count - len(split.past[i].items), plan.rule.k)) ** len(split.later[i])
        for i in judged
    ]
    share = max(plain.mean("hit_rate"), float(np.mean(random)))
    noise = float(np.sqrt(max(share * (1 - share), 0.05) / len(judged)))
    return scores.mean("hit_rate"), share + 5 * noise


def _window(split: SplitData) -> dict[str, Any]:
    """Return from when to when the data reach, and how they were split."""
    at = np.concatenate([unit.at for unit in split.whole])
    live = np.concatenate([unit.live for unit in split.whole])
    return {
        "from": float(at.min()),
        "to": float(at.max()),
        "units": len(split.whole),
        "judged": len(split.judged),
        "likes": len(at),
        "recorded_live": int(live.sum()),
        "gap_seconds": split.gap_seconds,
    }


def _slices(
    ours: JudgedRankings, rival: JudgedRankings | None, split: SplitData, judged: list[int]
) -> list[dict[str, Any]]:
    """Return how both do on units and items of which little is known."""
    known = np.array([len(split.past[i].items) for i in judged])
    likes = np.bincount(
        np.concatenate([unit.items for unit in split.past]), minlength=len(split.item_ids)
    )
    wanted = [split.later[i] for i in judged]
    rows: list[dict[str, Any]] = []
    for name, chosen in (
        (f"units with at most {COLD_UNIT} likes", known <= COLD_UNIT),
        (f"units with more than {COLD_UNIT} likes", known > COLD_UNIT),
    ):
        row: dict[str, Any] = {"slice": name, "metric": "ndcg", "count": int(chosen.sum())}
        for who, one in (("challenger", ours), ("champion", rival)):
            if one is not None and chosen.any():
                row[who] = float(one.scores.per_unit["ndcg"][chosen].mean())
        rows.append(row)
    for name, of in (
        (f"items with at most {COLD_ITEM} likes", likes <= COLD_ITEM),
        (f"items with more than {COLD_ITEM} likes", likes > COLD_ITEM),
    ):
        row = {"slice": name, "metric": "recall"}
        for who, one in (("challenger", ours), ("champion", rival)):
            if one is not None:
                row[who], row["count"] = recall_of_items(one.ranked, wanted, k=ours.k, of=of)
        rows.append(row)
    return rows


def _cold_view(plan: RunPlan, likes: Likes, catalogue: Catalogue) -> dict[str, Any]:
    """Return how models without randomness do after one date for all: shown, never gated."""
    split = split_at_date(likes, catalogue.item_ids)
    warm = split.judged
    cold = [i for i, later in enumerate(split.later) if len(later) and not len(split.past[i].items)]
    view: dict[str, Any] = {"units_known_before": len(warm), "units_new": len(cold)}
    if RECOMMENDERS[plan.recipe.algorithm].seeds > 1 or not (warm or cold):
        return view
    draft = _fit(
        replace(plan, place=replace(plan.place, checkpoints=None)),
        plan.recipe,
        _data(catalogue, split.past),
        plan.seed,
        RunProgress(),
    )
    for name, units in (("ndcg_known_before", warm), ("ndcg_new", cold)):
        if units:
            view[name] = JudgedRankings(draft, split, units, plan).scores.mean("ndcg")
    return view


def _learning(
    plan: RunPlan, catalogue: Catalogue, split: SplitData, whole: JudgedRankings, judged: list[int]
) -> list[dict[str, float]]:
    """Return the primary metric of fits on growing shares of the units: does more data still help?"""
    if plan.recipe.algorithm in REMOTE or whole.fit_seconds > CHEAP_SECONDS:
        return []
    quiet = replace(plan, place=replace(plan.place, checkpoints=None))
    dealt = np.random.default_rng(plan.seed).permutation(len(split.past))
    points = []
    for share in LEARNING_SHARES:
        past = [split.past[i] for i in np.sort(dealt[: max(1, round(share * len(dealt)))])]
        draft = _fit(quiet, plan.recipe, _data(catalogue, past), plan.seed, RunProgress())
        points.append((past, JudgedRankings(draft, split, judged, plan)))
    return [
        {"rows": sum(len(u.items) for u in past), plan.rule.primary: one.scores.mean(plan.rule.primary)}
        for past, one in [*points, (split.past, whole)]
    ]


def _measure(ranker: Ranker, root: Path, split: SplitData, judged: list[int]) -> Serving:
    """Time what a request does: score 200 candidates for one unit."""
    candidates = ranker.default_order[:200]
    times = []
    model = open_worker_model(root, ranker.folder.name) if ranker.is_remote else None
    names = [ranker.item_ids[i] for i in candidates]
    for i in judged[:200]:
        history = split.past[i].items[::-1][:50].tolist()
        start = time.perf_counter()
        if model is None:
            ranker.score(candidates, history)
        else:
            model.rank(f"unit-{i}", [ranker.item_ids[j] for j in history], names, {})
        times.append((time.perf_counter() - start) * 1000)
    return Serving(
        latency_p95_ms=float(np.quantile(times, 0.95)),
        bytes=artifact_bytes(root, ranker.folder.name),
    )


def _finite(gate: GateResult) -> GateResult:
    """Refuse what did not come out as numbers.

    Raises:
        RunError: a metric is not finite.
    """
    wrong = [name for name, row in gate.rows.items() if not np.isfinite(row["challenger"])]
    if wrong:
        raise RunError(f"metrics {wrong} are not finite: the model has diverged.")
    return gate
