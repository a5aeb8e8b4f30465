"""Choosing an action beside vowpalwabbit: regret where the optimum is known, value on the Open Bandit logs.

Both sides get the same decisions, features, floors, and draws of action and reward, and learn in the
same batches. vowpalwabbit learns in one pass with products of context and action; it runs in an
environment of its own.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.bandit_logs import CAMPAIGNS, BanditLog, open_bandit_log
from benchmarks.peers.environment import peer_python
from benchmarks.results import Row, write_result
from benchmarks.worlds import KINDS, World, draw_world
from inference.evaluation.off_policy import weighted_value
from inference.options import FitOptions
from inference.policies import POLICIES
from inference.serving.artifact import save_artifact
from inference.serving.choice import chances_of
from inference.serving.linear_policy import LinearPolicy
from inference.serving.rank_settings import RankSettings
from inference.training.decisions import Decisions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.serving.action_set import ActionSet

REQUIREMENTS = ("vowpalwabbit==9.11.9", "numpy==2.4.*")
SCRIPT = Path(__file__).parent / "peers" / "vw_policies.py"
# Greedy by itself where the floors explore: all sides have the same ones.
PEERS = {
    "vw mtr": "--epsilon 0 --cb_type mtr -q CA",
    "vw dr": "--epsilon 0 --cb_type dr -q CA",
    "vw squarecb": "--squarecb --cb_type mtr -q CA",
    "vw rnd": "--rnd 3 --epsilon 0 --cb_type mtr -q CA",
}
FIRST = "vw mtr"  # the peer of each row: what vowpalwabbit does by default
SETTINGS = RankSettings(control_share=0.05, explore=0.05, sample=0.0)
EXPLORE = 0.1  # of a policy that is judged on a log


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: worlds of each kind, decisions of each, and after how many all sides learn."""

    worlds: int
    decisions: int
    batch: int
    campaigns: tuple[str, ...]


SIZES = {"full": Size(20, 4_000, 400, CAMPAIGNS), "small": Size(4, 1_000, 100, CAMPAIGNS)}


def run(size: str, home: str) -> None:
    root, how = Path(home), SIZES[size]
    rows = [row for kind in KINDS for row in _regret(kind, how, root)]
    rows += _values(how, root)
    notes = (
        f"Regret: the chance of a reward of the best of 10 actions less that of what was served, per 1,000 decisions, over {how.worlds} "
        f"worlds of {how.decisions:,} decisions with the standard error over worlds; all sides learn after each {how.batch}, and "
        "decide the first batch uniformly. A twentieth of the decisions takes the default, another is uniform, on every side: these "
        "floors alone cost a tenth of what a uniform choice loses. Value: each half of the log of the random policy (10,000 "
        "decisions a campaign) is judged by a policy of the other half, with a tenth uniform, by self-normalised weights."
    )  # fmt: skip
    write_result("contextual", size, rows, notes)


def _regret(kind: str, how: Size, root: Path) -> list[Row]:
    """Return what each side loses in the same worlds."""
    lost: dict[str, list[NDArray[np.float64]]] = {}
    for seed in range(how.worlds):
        world = draw_world(kind, np.random.default_rng([21, seed]), decisions=how.decisions)
        best = world.means.max(axis=1)
        sides = {name: _decide(name, world, how.batch, root) for name in sorted(POLICIES)}
        sides |= _peer_decides(world, how.batch, root)
        sides["uniform"] = np.full(world.means.shape, 1 / world.means.shape[1])
        for name, shares in sides.items():
            served = np.array([chances_of(one, 0, SETTINGS) for one in shares])
            lost.setdefault(name, []).append(best - (served * world.means).sum(axis=1))
    beside, rows = np.array(lost[FIRST]), []
    for name, each in lost.items():
        mine, ours = np.array(each), name in POLICIES
        difference = 1000 * (mine - beside).mean(axis=1)
        tail = 1000 * mine[:, -how.batch :].mean()
        rows.append(
            Row(
                f"{kind}: {name}, regret per 1,000 decisions (peer: {FIRST})",
                float(1000 * mine.mean()),
                "rewards",
                None if name == FIRST else float(1000 * beside.mean()),
                target="ratio_to_peer >= 1" if ours else "",
                higher_is_better=False,
                spread=f"± {_error(1000 * mine.mean(axis=1)):.1f}; to the peer {difference.mean():+.1f} ± {_error(difference):.1f}; in the last batch {tail:.1f}",
            )
        )  # fmt: skip
    return rows


def _error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _decide(name: str, world: World, batch: int, root: Path) -> NDArray[np.float64]:
    """Return the shares (decisions, actions) of one of our policies, which is trained after each batch."""
    rng = np.random.default_rng(5)
    means, policy = world.means, None
    shares = np.full(means.shape, 1 / means.shape[1])
    rows: list[tuple[Any, ...]] = []
    for n, actions in enumerate(world.decisions):
        if policy is not None:
            shares[n] = policy.prefer(actions, rng).shares
        chances = chances_of(shares[n], 0, SETTINGS)
        index = min(int(np.searchsorted(np.cumsum(chances), world.picks[n], "right")), len(chances) - 1)
        reward = float(world.rewards[n] < means[n, index])
        rows.append(_row(n, actions, index, float(chances[index]), reward))
        if (n + 1) % batch == 0 and n + 1 < len(means):
            policy = _trained(name, rows, root)
    return shares


def _row(n: int, actions: ActionSet, index: int, propensity: float, reward: float) -> tuple[Any, ...]:
    features = actions.features_of(index)
    return ("u", float(n), str(index), "0", propensity, reward, features, actions.context, None)


def _trained(name: str, rows: Sequence[tuple[Any, ...]], root: Path) -> LinearPolicy:
    draft = POLICIES[name].fit(Decisions(*map(list, zip(*rows, strict=True))), FitOptions())
    return LinearPolicy.load(root, save_artifact(root, draft))


def _peer_decides(world: World, batch: int, root: Path) -> dict[str, NDArray[np.float64]]:
    numbers = {
        "means": world.means, "picks": world.picks, "rewards": world.rewards, "batch": batch,
        "control": SETTINGS.control_share, "explore": SETTINGS.explore,
    }  # fmt: skip
    sides = _ask_peer("live", world.decisions, numbers, root)
    once = _ask_peer("live", world.decisions, {**numbers, "batch": 1}, root, only=(FIRST,))
    return sides | {f"{FIRST}, learns at each decision": once[FIRST]}


def _ask_peer(
    mode: str,
    decisions: Sequence[ActionSet],
    numbers: dict[str, Any],
    root: Path,
    *,
    only: Sequence[str] = tuple(PEERS),
) -> dict[str, NDArray[np.float64]]:
    """Return the shares of some of vowpalwabbit's policies, (decisions, actions)."""
    python, examples, file = (
        peer_python("vowpalwabbit", REQUIREMENTS),
        root / "examples.jsonl",
        root / "numbers.npz",
    )
    with examples.open("w") as lines:
        lines.writelines(json.dumps(_example(one)) + "\n" for one in decisions)
    np.savez(file, **numbers)
    answers = {}
    for name in only:
        out = root / "shares.npz"
        command = [str(python), str(SCRIPT), str(examples), str(file), str(out), mode, PEERS[name]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        answers[name] = np.load(out)["shares"]
    return answers


def _example(actions: ActionSet) -> list[str]:
    """Return a decision in vowpalwabbit's text format: its context, then each action."""
    context = " ".join(_feature(name, value) for name, value in actions.context.items())
    lines = [f"shared |C {context}"]
    for index in range(len(actions.ids)):
        features = {
            **dict(zip(actions.names, actions.numbers[index].tolist(), strict=True)),
            **{name: column[index] for name, column in actions.texts.items()},
        }
        lines.append("|A " + " ".join(_feature(name, value) for name, value in features.items()))
    return lines


def _feature(name: str, value: Any) -> str:
    return f"{name}={value}" if isinstance(value, str) else f"{name}:{value:.6g}"


def _values(how: Size, root: Path) -> list[Row]:
    """Return the value of each side's policy on the Open Bandit logs, beside vowpalwabbit's."""
    rows: list[Row] = []
    whole: dict[str, list[NDArray[np.float64]]] = {}
    rewards = []
    for campaign in how.campaigns:
        log = open_bandit_log(campaign, root)
        taken = np.arange(len(log.chosen)), log.chosen
        weights = {
            name: ((1 - EXPLORE) * shares[taken] + EXPLORE / log.actions) / log.propensity
            for name, shares in _judged_shares(log, root).items()
        }
        weights["random"] = np.ones(len(log.chosen))
        rows += _value_rows(campaign, weights, log.reward)
        rewards.append(log.reward)
        for name, one in weights.items():
            whole.setdefault(name, []).append(one)
    together = {name: np.concatenate(parts) for name, parts in whole.items()}
    return rows + _value_rows("all three campaigns", together, np.concatenate(rewards))


def _judged_shares(log: BanditLog, root: Path) -> dict[str, NDArray[np.float64]]:
    """Return each side's shares (decisions, actions): each half's by what was learnt from the other."""
    sides = {name: np.zeros((len(log.chosen), log.actions)) for name in (*sorted(POLICIES), *PEERS)}
    for half in (0, 1):
        learnt = np.arange(len(log.chosen)) % 2 != half
        judged = np.flatnonzero(~learnt)
        rows = [
            _row(int(n), log.decisions[n], int(log.chosen[n]), float(log.propensity[n]), float(log.reward[n]))
            for n in np.flatnonzero(learnt)
        ]  # fmt: skip
        for name in sorted(POLICIES):
            policy, rng = _trained(name, rows, root), np.random.default_rng(7)
            for n in judged:
                sides[name][n] = policy.prefer(log.decisions[n], rng).shares
        numbers = {
            "chosen": log.chosen, "propensity": log.propensity, "reward": log.reward, "learnt": learnt,
        }  # fmt: skip
        for name, shares in _ask_peer("log", log.decisions, numbers, root).items():
            sides[name][judged] = shares[judged]
    return sides


def _value_rows(
    what: str, weights: dict[str, NDArray[np.float64]], reward: NDArray[np.float64]
) -> list[Row]:
    """Return self-normalised values with their errors, and the difference to the peer's on the same rows."""
    values = {name: weighted_value(np.ones(len(reward)), one, reward) for name, one in weights.items()}
    parts = {name: one * (reward - values[name].snips) / one.mean() for name, one in weights.items()}
    rows = []
    for name, value in values.items():
        error = _error(parts[name] - parts[FIRST])
        difference = value.snips - values[FIRST].snips
        spread = f"± {value.snips_se:.5f}; to the peer {difference:+.5f} ± {error:.5f}; effective size {value.effective_size:,.0f}"
        peer = None if name == FIRST else values[FIRST].snips
        rows.append(
            Row(
                f"{what}: {name}, value (peer: {FIRST})", value.snips, "click rate", peer, spread=spread
            )
        )
        if name in POLICIES:
            away = difference / error
            rows.append(
                Row(
                    f"{what}: {name} less {FIRST}, standard errors", away, "errors", target="ours >= -2"
                )
            )
    return rows
