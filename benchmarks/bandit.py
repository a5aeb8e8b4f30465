"""Bandits: false verdicts of both rules, also of late rewards, and what learning costs beside other splits.

What learning costs stands beside an equal split and beside MABWiser's Thompson sampling (Strong, Kleynhans
and Kadioglu 2021, International Journal on Artificial Intelligence Tools), which learns after the same
epochs and keeps the same floor, in an environment of its own.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.environment import peer_python
from benchmarks.results import Row, write_between_marks, write_result
from experiments.kinds import Rule
from experiments.stats.bandit_simulation import (
    BanditRuns,
    BanditScenario,
    share_covered,
    simulate_bandits,
)
from experiments.stats.policy import Policy

ALPHA = 0.05
FLOOR = 0.05
RULES: tuple[Rule, ...] = ("always_valid", "exact")
EPOCHS = 30
REQUIREMENTS = ("mabwiser==2.7.4", "numpy==2.4.*")
SCRIPT = Path(__file__).parent / "peers" / "mabwiser_thompson.py"
PAGE = Path(__file__).parent.parent / "docs" / "statistics" / "bandit.md"
PEER = (
    "*MABWiser*: its Thompson sampling (2.7.4), with as many users, which learns after the same updates; "
    "with the floor of 5 %, and without one."
)
MARK = "<!-- made by make bench ONLY=bandit -->"
# No variant differs: rates of the variants, users an epoch, swing of all rates over the epochs.
SAME = (
    ("10%, two variants", (0.10, 0.10), 500, 0.0),
    ("10%, two variants, rates that swing by half", (0.10, 0.10), 500, 0.5),
    ("2%, two variants", (0.02, 0.02), 1000, 0.0),
    ("10%, two variants, few users", (0.10, 0.10), 200, 0.0),
    ("10%, four variants", (0.10,) * 4, 1000, 0.0),
)
# Windows that close later: name, parts of an epoch, parts until a part's windows close.
LATE = (
    ("windows of half an epoch", 2, 1),
    ("windows of two epochs", 1, 2),
    ("windows of five epochs", 1, 5),
)
# Of both rules, with late rewards: rates, users an epoch, swing.
LATE_SAME = ("10%, two variants, rates that swing by half", (0.10, 0.10), 500, 0.5)
DIFFERENT = (
    ("10% and 12%", (0.10, 0.12), 500),
    ("2% and 3%", (0.02, 0.03), 1000),
    ("10%, 10%, 10% and 13%", (0.10, 0.10, 0.10, 0.13), 500),
)


def run(size: str, home: str) -> None:
    full = size == "full"
    rng = np.random.default_rng(21)
    runs, costly = (4_000, 1_000) if full else (100, 20)
    rows, same, different = [], [], []
    for one in SAME:
        row = false_verdicts(*one, runs=runs, rng=rng)
        rows.append(row)
        same.append(f"| {one[0]} | {row.ours:.4f} ± {_error(row.ours, runs):.4f} | {row.peer:.2f} |")
    apart = _simulate((0.10, 0.12), 500, 0.0, runs, rng)
    covered = share_covered(apart, _policy(500), difference=0.02)
    rows.append(Row("interval holds the difference at every look, 10% and 12%", covered, "share", target="ours >= 0.95", spread=f"{runs} runs"))  # fmt: skip
    for name, rates, units in DIFFERENT:
        simulated = _simulate(rates, units, 0.0, costly, rng)
        regret, equal = float(simulated.regret.mean()), simulated.equal_regret
        each = _thompson_by_user(rates, units * EPOCHS, costly // 2, rng)
        published, free = (
            peer_lost(rates, units, floor, runs=max(costly // 5, 20)) for floor in (FLOOR, 0.0)
        )
        shipped = float((simulated.crossed[:, -1, -1] == 1).mean())
        rows.append(Row(f"conversions lost, {name} (peer: an equal split)", regret, "conversions", equal, target="ratio_to_peer >= 1.5", higher_is_better=False, spread=f"{costly} runs; Thompson by user without a floor: {each:.0f}"))  # fmt: skip
        rows.append(beside_published(name, simulated.regret, published, free))
        different.append(f"| {name} | {regret:.0f} | {published.mean():.0f} | {free.mean():.0f} | {equal:.0f} | {each:.0f} | {shipped:.2f} |")  # fmt: skip
    # With a source of their own: the rows above stay what they were.
    late = late_and_exact(runs, np.random.default_rng(22))
    rows += late
    write_result(
        "bandit", size, rows, f"{EPOCHS} epochs; windows close before the next begins, or as rows say."
    )
    if full:
        second = (
            "| rule | no variant differs | false verdicts | pooled z at each look |\n|---|---|---|---|"
        )
        lines = [
            f"| {rule} | {name} | {row.ours:.4f} ± {_error(row.ours, runs):.4f} | {row.peer:.2f} |"
            for row, (rule, name) in zip(late, _late_and_exact_names(), strict=True)
        ]
        head = "| no variant differs | false verdicts | pooled z at each look |\n|---|---|---|"
        cost = (
            "| rates | lost | MABWiser, same floor | MABWiser, no floor | equal split | by user, no floor "
            "| winner found |\n|---|---|---|---|---|---|---|"
        )
        sentence = (
            f"With rates of 10% and 12% the interval holds the difference at all {EPOCHS} looks in "
            f"{covered:.3f} of {runs:,} runs."
        )
        write_between_marks(
            PAGE, MARK, [head, *same, "", second, *lines, "", sentence, "", PEER, "", cost, *different]
        )


def peer_lost(
    rates: Sequence[float], units: int, floor: float, *, runs: int, epochs: int = EPOCHS
) -> NDArray[np.float64]:
    """Return the conversions that MABWiser's Thompson sampling loses, by run.

    Args:
        rates: of the variants.
        units: users an epoch.
        floor: the lowest share of a variant.
        runs: how many, each with users of its own.
        epochs: after each of which it learns.
    """
    scenario = {
        "rates": list(rates), "units": units, "epochs": epochs, "floor": floor, "runs": runs, "seed": 21,
    }  # fmt: skip
    command = [str(peer_python("mabwiser", REQUIREMENTS)), str(SCRIPT), json.dumps(scenario)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return np.array(json.loads(done.stdout))


def beside_published(
    name: str, ours: NDArray[np.float64], published: NDArray[np.float64], free: NDArray[np.float64]
) -> Row:
    """Return what is lost beside the published implementation, with the error of the difference."""
    error = math.sqrt(ours.var(ddof=1) / len(ours) + published.var(ddof=1) / len(published))
    difference = ours.mean() - published.mean()
    return Row(
        f"conversions lost, {name} (peer: MABWiser's Thompson sampling, same updates, same floor)",
        float(ours.mean()), "conversions", float(published.mean()), target="ratio_to_peer >= 0.9",
        higher_is_better=False,
        spread=f"to the peer {difference:+.1f} ± {error:.1f}, {len(ours)} and {len(published)} runs; without a floor it loses {free.mean():.0f}",
    )  # fmt: skip


def late_and_exact(runs: int, rng: np.random.Generator) -> list[Row]:
    """Return false verdicts of rule `exact`, and of both rules where rewards come late."""
    rows = [false_verdicts(*one, runs=runs, rng=rng, rule="exact") for one in SAME]
    for late in LATE:
        rows += [false_verdicts(*LATE_SAME, runs=runs, rng=rng, rule=rule, late=late) for rule in RULES]
    return rows


def _late_and_exact_names() -> list[tuple[str, str]]:
    names = [("exact", one[0]) for one in SAME]
    return names + [(rule, f"{LATE_SAME[0]}, {late[0]}") for late in LATE for rule in RULES]


def false_verdicts(
    name: str,
    rates: tuple[float, ...],
    units: int,
    drift: float,
    *,
    runs: int,
    rng: np.random.Generator,
    rule: Rule = "always_valid",
    late: tuple[str, int, int] = ("", 1, 0),
) -> Row:
    """Return how often a bandit without a difference has a verdict at any look.

    Args:
        name: of the scenario.
        rates: of the variants.
        units: users an epoch.
        drift: swing of all rates over the epochs.
        runs: how many.
        rng: where chance comes from.
        rule: that decides.
        late: name of the windows, parts of an epoch, parts until a part's windows close.
    """
    words, parts, delay = late
    scenario = BanditScenario(rates, units=units, epochs=EPOCHS, drift=drift, parts=parts, delay=delay)
    simulated = simulate_bandits(scenario, _policy(units, rule), runs=runs, rng=rng)
    share, error = simulated.share_with_a_verdict()
    naive = _pooled_and_read_at_every_look(simulated)
    allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)
    head = f"false verdicts, {EPOCHS} looks, floor 5 %"
    return Row(
        ", ".join(filter(None, (head if rule == "always_valid" else f"{head}, rule exact", words)))
        + f": {name}",
        share, "share", naive, target=f"ours <= {allowed:.4f}", higher_is_better=False,
        spread=f"± {error:.4f}, {runs} runs; peer: pooled z at each look",
    )  # fmt: skip


def _error(share: float, runs: int) -> float:
    return math.sqrt(share * (1 - share) / runs)


def _simulate(
    rates: tuple[float, ...], units: int, drift: float, runs: int, rng: np.random.Generator
) -> BanditRuns:
    scenario = BanditScenario(rates, units=units, epochs=EPOCHS, drift=drift)
    return simulate_bandits(scenario, _policy(units), runs=runs, rng=rng)


def _policy(units: int, rule: Rule = "always_valid") -> Policy:
    return Policy(rule=rule, floor=FLOOR, alpha=ALPHA, planned_units=units * EPOCHS)


def _pooled_and_read_at_every_look(simulated: BanditRuns) -> float:
    """Return how often a z of pooled totals, read at each look, passes its bound for one look."""
    n, x = simulated.sizes.cumsum(axis=1), simulated.conversions.cumsum(axis=1)
    both = n[..., :1] + n[..., 1:]
    pooled = (x[..., :1] + x[..., 1:]) / both
    se = np.sqrt(pooled * (1 - pooled) * (1 / n[..., :1] + 1 / n[..., 1:]))
    apart = x[..., 1:] / n[..., 1:] - x[..., :1] / n[..., :1]
    z = np.divide(apart, se, out=np.zeros_like(apart), where=se > 0)
    return float((np.abs(z) > 1.96).any(axis=(1, 2)).mean())


def _thompson_by_user(
    rates: tuple[float, ...], users: int, runs: int, rng: np.random.Generator
) -> float:
    """Return conversions lost by Beta-Bernoulli Thompson sampling that learns at once from each user.

    The published form: Chapelle & Li (2011), algorithm 2, with a uniform prior.
    """
    chance = np.array(rates)
    good: NDArray[np.float64] = np.ones((runs, len(rates)))
    bad, lost, at = np.ones_like(good), np.zeros(runs), np.arange(runs)
    for _ in range(users):
        chosen = rng.beta(good, bad).argmax(axis=1)
        converted = rng.random(runs) < chance[chosen]
        good[at, chosen] += converted
        bad[at, chosen] += ~converted
        lost += chance.max() - chance[chosen]
    return float(lost.mean())
