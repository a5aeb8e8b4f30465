"""What a recommender's run page shows beside the gate: window, slices, new units, learning, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.encoders.text_length import notes_on_length
from inference.evaluation.ranking import recall_of_items
from inference.plurals import counted, verb
from inference.runs.outcome import CHEAP_SECONDS, LEARNING_SHARES
from inference.runs.rankings import judge_rankings
from inference.training.split import split_at_date

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.runs.ranking_run import RankingRun
    from inference.runs.rankings import JudgedRankings
    from inference.training.split import SplitData

COLD_UNIT, COLD_ITEM = 5, 2  # likes
TEXTUAL = frozenset({"texts", "vectors"})


def ranking_views(
    run: RankingRun, challenger: JudgedRankings, champion: JudgedRankings | None
) -> dict[str, Any]:
    """Return what is shown of the challenger's first seed beside the gate's table."""
    return {
        "window": _window(run.split),
        "slices": [
            *_unit_slices(run, challenger, champion),
            *_item_slices(run, challenger, champion),
            *_refused_slices(run, challenger, champion),
            *_context_slices(run, challenger, champion),
        ],
        "cold_view": _cold_view(run),
        "learning": _learning(run, challenger),
        "off_policy": challenger.off_policy,
    }


def notes_on_ranking_data(run: RankingRun) -> list[str]:
    """Return what a person should know of the data, in sentences."""
    notes = []
    likes, catalogue, encoder = run.likes, run.catalogue, run.plan.place.encoder
    known = set(catalogue.item_ids)
    unknown = sum(item not in known for item in likes.item_ids)
    if unknown:
        notes.append(
            f"{unknown} of {len(likes.item_ids)} likes are of items that are not in the catalogue: "
            "they are not learnt."
        )
    repeats = len(likes.item_ids) - unknown - sum(len(unit.items) for unit in run.split.whole)
    if repeats:
        notes.append(
            f"{repeats} likes repeat what the same user had liked before, and count once. Lists are "
            "judged by items that are new to the user alone."
        )
    masks = (run.split.hidden_from(unit) for unit in run.judged)
    hidden = sum(int(mask.sum()) for mask in masks if mask is not None) / max(len(run.judged), 1)
    if hidden:
        notes.append(
            f"Lists are judged among the items that could be shown at the time of what is held out: "
            f"{hidden:,.0f} of {len(catalogue.item_ids):,} had expired or were not published yet, mean "
            "over the users."
        )
    if other := catalogue.other_widths:
        they = verb(other, "it is", "they are")
        notes.append(
            f"{counted(other, 'vector')} of items {verb(other)} of another width than most: {they} not "
            "read."
        )
    if catalogue.texts and encoder and run.algorithm.reads & TEXTUAL:
        notes += notes_on_length(encoder, catalogue.texts)
    return notes


def _window(split: SplitData) -> dict[str, Any]:
    """Return from when to when the data reach, and how they were split."""
    at = np.concatenate([unit.at for unit in split.whole])
    live = np.concatenate([unit.live for unit in split.whole])
    refused = sum(len(unit.disliked) for unit in split.whole)
    weights = np.concatenate([unit.weight for unit in split.whole])
    return {
        "from": float(at.min()),
        "to": float(at.max()),
        "units": len(split.whole),
        "judged": len(split.judged),
        "likes": len(at),
        "recorded_live": int(live.sum()),
        "gap_seconds": split.gap_seconds,
        **({"dislikes": refused} if refused else {}),
        **({"mean_weight": float(np.mean(weights))} if split.is_weighted else {}),
    }


def _models(
    challenger: JudgedRankings, champion: JudgedRankings | None
) -> list[tuple[str, JudgedRankings]]:
    models = [("challenger", challenger)]
    return models if champion is None else [*models, ("champion", champion)]


def _unit_slices(
    run: RankingRun, challenger: JudgedRankings, champion: JudgedRankings | None
) -> list[dict[str, Any]]:
    """Return how both do for units of which little is known, and for the others."""
    known = np.array([len(run.split.past[i].items) for i in run.judged])
    rows: list[dict[str, Any]] = []
    for name, chosen in (
        (f"units with at most {COLD_UNIT} likes", known <= COLD_UNIT),
        (f"units with more than {COLD_UNIT} likes", known > COLD_UNIT),
    ):
        row: dict[str, Any] = {"slice": name, "metric": "ndcg", "count": int(chosen.sum())}
        for role, model in _models(challenger, champion):
            if chosen.any():
                row[role] = float(model.scores.per_unit["ndcg"][chosen].mean())
        rows.append(row)
    return rows


def _item_slices(
    run: RankingRun, challenger: JudgedRankings, champion: JudgedRankings | None
) -> list[dict[str, Any]]:
    """Return how well both find items that hardly anybody liked yet, and the others."""
    learnt = np.concatenate([unit.items for unit in run.split.past])
    likes: NDArray[np.int64] = np.bincount(learnt, minlength=len(run.split.item_ids))
    wanted = [run.split.later[i] for i in run.judged]
    rows: list[dict[str, Any]] = []
    for name, items in (
        (f"items with at most {COLD_ITEM} likes", likes <= COLD_ITEM),
        (f"items with more than {COLD_ITEM} likes", likes > COLD_ITEM),
    ):
        row: dict[str, Any] = {"slice": name, "metric": "recall"}
        for role, model in _models(challenger, champion):
            row[role], row["count"] = recall_of_items(model.ranked, wanted, k=model.k, of=items)
        rows.append(row)
    return rows


def _refused_slices(
    run: RankingRun, challenger: JudgedRankings, champion: JudgedRankings | None
) -> list[dict[str, Any]]:
    """Return how much both show of what units went on to refuse: less is better."""
    refused = [
        np.setdiff1d(run.split.whole[i].disliked, run.split.past[i].disliked) for i in run.judged
    ]
    if not any(map(len, refused)):
        return []
    every = np.ones(len(run.split.item_ids), dtype=bool)
    row: dict[str, Any] = {"slice": "items that units refused later", "metric": "share_shown"}
    for role, model in _models(challenger, champion):
        row[role], row["count"] = recall_of_items(model.ranked, refused, k=model.k, of=every)
    return [row]


def _context_slices(
    run: RankingRun, challenger: JudgedRankings, champion: JudgedRankings | None
) -> list[dict[str, Any]]:
    """Return how well models that read the request's context do without it, where one does."""
    row: dict[str, Any] = {
        "slice": "without the context of the request",
        "metric": run.plan.rule.primary,
        "count": len(run.judged),
    }
    models = _models(challenger, champion)
    without = {role: one.without_context for role, one in models if one.without_context is not None}
    return [row | without] if without else []


def _cold_view(run: RankingRun) -> dict[str, Any]:
    """Return how one fit does after one date for all: shown, never gated."""
    split = split_at_date(run.likes, run.catalogue.item_ids)
    warm = split.judged
    cold = [i for i, later in enumerate(split.later) if len(later) and not len(split.past[i].items)]
    view: dict[str, Any] = {"units_known_before": len(warm), "units_new": len(cold)}
    if not (warm or cold):
        return view
    draft = run.fit_aside(split.past)
    for name, units in (("ndcg_known_before", warm), ("ndcg_new", cold)):
        if units:
            view[name] = judge_rankings(draft, split, units, run.plan).scores.mean("ndcg")
    return view


def _learning(run: RankingRun, whole: JudgedRankings) -> list[dict[str, float]]:
    """Return the primary metric of fits on growing shares of the units: would more data help?"""
    if run.is_remote or whole.fit_seconds > CHEAP_SECONDS:
        return []
    past, primary = run.split.past, run.plan.rule.primary
    order = np.random.default_rng(run.plan.seed).permutation(len(past))
    points = []
    for share in LEARNING_SHARES:
        units = [past[i] for i in np.sort(order[: max(1, round(share * len(order)))])]
        points.append((units, run.judge(run.fit_aside(units))))
    return [
        {"rows": sum(len(unit.items) for unit in units), primary: judged.scores.mean(primary)}
        for units, judged in [*points, (past, whole)]
    ]
