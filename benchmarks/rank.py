"""Choosing an action: latency beside a plain recommend, what a policy loses, coverage of its value."""

from __future__ import annotations

import itertools
import math
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import Row, median_of, write_result
from experiments.stats.policy_value import add_up, value_of
from inference.options import FitOptions
from inference.policies import POLICIES
from inference.serving.action_set import ActionSet
from inference.serving.artifact import save_artifact
from inference.serving.choice import chances_of, choose
from inference.serving.linear_policy import LinearPolicy
from inference.serving.rank_settings import RankSettings
from inference.training.decisions import Decisions

ALPHA = 0.05
SETTINGS = RankSettings(control_share=0.05, explore=0.05, sample=0.0)


@dataclass(frozen=True)
class World:
    """Decisions between random actions; what one earns is a product of context and features.

    Attributes:
        weights: (context, features).
        actions: of each decision.
    """

    weights: NDArray[np.float64]
    actions: int

    @classmethod
    def make(cls, rng: np.random.Generator, *, context: int, features: int, actions: int) -> World:
        """Draw a world."""
        return cls(rng.normal(size=(context, features)), actions)

    def draw(self, rng: np.random.Generator) -> tuple[ActionSet, NDArray[np.float64]]:
        """Return a decision and the chance of a reward of each action."""
        context, features = self.weights.shape
        about = rng.normal(size=context)
        numbers = rng.normal(size=(self.actions, features))
        scale = 0.15 / math.sqrt(context * features) * 2
        means = np.clip(0.3 + numbers @ (self.weights.T @ about) * scale, 0.0, 1.0)
        names = tuple(f"feature_{n}" for n in range(features))
        ids = [f"action-{n}" for n in range(self.actions)]
        return ActionSet(
            ids, names, numbers, {}, {f"context_{n}": v for n, v in enumerate(about.tolist())}
        ), means


def run(size: str, home: str) -> None:
    full = size == "full"
    rng = np.random.default_rng(21)
    runs, batches, each = (1_000, 10, 400) if full else (50, 3, 100)
    rows = [_coverage(runs, rng)]
    rows += [_lost(name, batches, each, Path(home)) for name in sorted(POLICIES)]
    rows += _latency(home, full=full)
    notes = (
        f"Lost: the reward of the best action less that of what was served, a decision, over {batches} "
        f"batches of {each} decisions between 10 actions; the policy is trained after each batch, the "
        "first one is served without. A twentieth of the decisions takes the default, another is "
        "uniform. 64 features of 50 actions and 8 of the decision; one web process, the load generator "
        "and PostgreSQL on the same cores."
    )
    write_result("rank", size, rows, notes)


def _coverage(runs: int, rng: np.random.Generator) -> Row:
    """Return the share of runs whose interval holds the mean difference at every one of 200 looks."""
    n = 4_000
    steps = np.arange(n)
    chances = np.where(steps % 3 == 0, 0.5, 0.1)
    policy = 0.15 + 0.1 * np.sin(steps / 400) + 0.05 * (steps > n / 2)
    control = 0.15 - 0.05 * np.sin(steps / 700)
    truth = np.cumsum((1 - chances) * (policy - control)) / (steps + 1)
    looks = np.arange(20, n + 1, 20)
    held = 0
    for _ in range(runs):
        taken = rng.random(n) < chances
        rewards = (rng.random(n) < np.where(taken, control, policy)).astype(float)
        values = [
            value_of(one, alpha=ALPHA) for one in add_up(rewards, taken, chances, until=looks.tolist())
        ]
        low, high = np.array([one.interval for one in values]).T
        held += bool(((low <= truth[looks - 1]) & (truth[looks - 1] <= high)).all())
    return Row(f"interval of the value holds it at all {len(looks)} looks, drifting rewards", held / runs, "share", target="ours >= 0.95", spread=f"{runs} runs of {n:,} decisions")  # fmt: skip


def _lost(name: str, batches: int, each: int, home: Path) -> Row:
    rng = np.random.default_rng(5)
    world = World.make(rng, context=5, features=5, actions=10)
    rows: list[tuple[Any, ...]] = []
    lost, uniform, policy = [], [], None
    for _ in range(batches):
        for _ in range(each):
            actions, means = world.draw(rng)
            first = np.full(len(means), 1 / len(means))
            shares = first if policy is None else policy.prefer(actions, rng).shares
            choice = choose(shares, 0, SETTINGS, rng)
            reward = float(rng.random() < means[choice.index])
            lost.append(float(means.max() - chances_of(shares, 0, SETTINGS) @ means))
            uniform.append(float(means.max() - means.mean()))
            rows.append(("u", float(len(rows)), str(choice.index), "0", choice.propensity, reward, actions.features_of(choice.index), actions.context, None))  # fmt: skip
        draft = POLICIES[name].fit(Decisions(*map(list, zip(*rows, strict=True))), FitOptions())
        policy = LinearPolicy.load(home, save_artifact(home, draft))
        last = sum(lost[-each:]) / each
    ours, peer = float(np.mean(lost)), float(np.mean(uniform))
    return Row(f"{name}: reward lost a decision (peer: a uniform choice)", ours, "reward", peer, target="ratio_to_peer >= 1.5", higher_is_better=False, spread=f"{batches * each:,} decisions; in the last batch {last:.4f}")  # fmt: skip


def _latency(home: str, *, full: bool) -> list[Row]:
    """Return the median of a decision of 50 actions with 64 features beside a plain recommend."""
    from benchmarks.load import measure, request_bytes
    from benchmarks.stage import UNITS, body, staged

    seconds, repeats = (5.0, 5) if full else (1.0, 2)
    with staged(home, peer=False) as stage:
        requests = serve_policy(stage.project_id)
        numbers = itertools.count()
        asks = [
            request_bytes("POST", "/v1/rank", body(one | {"unit_id": f"user-{n}"}), stage.public)
            for n, one in enumerate(requests)
        ]
        plain = [
            request_bytes("POST", "/v1/recommend", body({"surface": stage.plain_surface, "unit_id": f"user-{n}", "k": 10}), stage.public)
            for n in range(UNITS)
        ]  # fmt: skip
        _wait_until_served(stage.port, asks[0])
        ours, peer = [], []
        for _ in range(repeats):  # in turn, so that what else happens on the machine hits both alike
            ours.append(measure(stage.port, lambda: asks[next(numbers) % len(asks)], connections=1, seconds=seconds).p50_ms)  # fmt: skip
            peer.append(measure(stage.port, lambda: plain[next(numbers) % UNITS], connections=1, seconds=seconds).p50_ms)  # fmt: skip
        one, every = _bytes_of(stage.project_id)
    (own, spread), beside = median_of(ours), median_of(peer)[0]
    return [
        Row("decision of 50 actions × 64 features, committed, median at 1 connection (peer: plain recommend, same run)", own, "ms", beside, target="ratio_to_peer >= 0.667", higher_is_better=False, spread=spread),
        Row("bytes of a stored decision, mean of the default sample (limit: the request's)", 0.9 * one + 0.1 * every, "bytes", limit=float(len(asks[0])), higher_is_better=False, spread=f"{one:,.0f} with the action taken, {every:,.0f} with all"),
    ]  # fmt: skip


def _wait_until_served(port: int, request: bytes) -> None:
    """Wait until the web process has read the surface and its version."""
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
            answer = connection.recv(65_536)
        if b'"model":"linear-thompson@1"' in answer and b'"fallback":null' in answer:
            return
        time.sleep(0.5)
    raise RuntimeError(f"the policy does not serve: {answer[-500:]!r}")


def serve_policy(project_id: int) -> list[dict[str, Any]]:
    """Make a surface whose champion is a policy; return bodies of requests."""
    from django.conf import settings

    from inference.cache import cache_client
    from inference.models import ModelVersion, Surface
    from inference.serving.changes import announce_change

    rng = np.random.default_rng(0)
    world = World.make(rng, context=8, features=64, actions=50)
    drawn = [world.draw(rng)[0] for _ in range(300)]
    rows = [("u", float(n), "0", "0", 0.02, float(n % 2), one.features_of(0), one.context, None) for n, one in enumerate(drawn)]  # fmt: skip
    draft = POLICIES["linear-thompson"].fit(
        Decisions(*map(list, zip(*rows, strict=True))), FitOptions()
    )
    surface = Surface.objects.create(project_id=project_id, key="offers", kind="rank")
    ModelVersion.objects.create(
        surface=surface, algorithm="linear-thompson", number=1, alias="champion",
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, draft), gate={"passed": True},
    )  # fmt: skip
    announce_change(cache_client())
    return [
        {
            "surface": "offers",
            "features": one.context,
            "actions": [{"id": action, "features": one.features_of(i)} for i, action in enumerate(one.ids)],
        }
        for one in drawn[:100]
    ]  # fmt: skip


def _bytes_of(project_id: int) -> tuple[float, float]:
    """Return the mean size of a decision as PostgreSQL stores it, and that of one with all actions."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT avg(pg_column_size(s.*)) FILTER (WHERE NOT s.context -> '$rank' ? 'actions'), "
            "avg(pg_column_size(s.*)) FILTER (WHERE s.context -> '$rank' ? 'actions') "
            "FROM experiments_slate AS s JOIN inference_surface AS f "
            "ON f.id = s.surface_id WHERE f.project_id = %s AND f.kind = 'rank'",
            [project_id],
        )
        one, every = cursor.fetchone()
    return float(one), float(every)
