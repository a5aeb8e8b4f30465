"""Surfaces that choose among actions, their decisions and rewards."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import numpy as np

from experiments.actions.count_decisions import count_decisions
from experiments.ingest.rows import Rows
from experiments.reports.policy_report import report_policy
from experiments.sql import min_uuid7
from inference.models import Surface
from inference.serving.action_set import ActionSet
from inference.serving.choice import chances_of, only
from inference.serving.rank_settings import RankSettings
from inference.training.decisions import Decisions
from tests.support import builders

ACTIONS = [
    {"id": "a", "features": {"price": 1.0, "size": 2}},
    {"id": "b", "features": {"price": 2.0, "size": 1}},
    {"id": "c", "features": {"price": 0.5, "size": 0}},
]


def make_rank_surface(project, key="offers", **settings) -> Surface:
    """Make a surface of kind `rank`."""
    return Surface.objects.create(project=project, key=key, kind="rank", rank=settings)


def decide(lane, shop, *, unit="u1", actions=None, surface="offers", **body):
    """Ask for an action; return the answer."""
    whole = {
        "surface": surface, "unit_id": unit, "actions": actions or ACTIONS,
        "context": {"device": "phone"},
    }  # fmt: skip
    answer = lane.post("/v1/rank", whole | body, shop.public)
    assert answer.status_code == 200, answer.text
    return answer.json()


def reward(lane, shop, decision, value, *, key=None, **fields):
    """Send the reward of a decision; return the response."""
    body = {"recommendation_id": decision["recommendation_id"], "value": value, **fields}
    return lane.post("/v1/reward", body, key or shop.public)


def report_counted(surface):
    """Let a worker count a surface's decisions; return what its policy earns."""
    while count_decisions(surface):
        pass
    return report_policy(surface)


TASTES = ({"mobile": 0}, {"mobile": 1})
_FEATURES = ({"size": 0.0, "brand": "x"}, {"size": 1.0, "brand": "y"}, {"size": 2.0, "brand": "y"})


def best_of(context) -> str:
    """The action that earns most: `a` on a desk, `c` on a phone."""
    return "c" if context["mobile"] else "a"


def taste(context) -> ActionSet:
    """The three actions of these decisions."""
    numbers = np.array([[one["size"]] for one in _FEATURES])
    texts = {"brand": [one["brand"] for one in _FEATURES]}
    return ActionSet(["a", "b", "c"], ("size",), numbers, texts, context)


def make_decisions(count, *, seed=0, served="uniform", sample=True, turned_from=None) -> Decisions:
    """Decisions in which the best action earns .8 and each other one .2.

    Args:
        count: how many.
        seed: of the draws.
        served: `uniform` over the actions, by the `floors` of a surface without a champion around the
            best one as default, or always the default, which the product takes by `rule` (the best
            one) or by `chance`.
        sample: whether all actions are known.
        turned_from: from this decision on the best action earns .2, and each other one .8.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(count):
        context = TASTES[rng.integers(2)]
        by_chance, best = "abc"[rng.integers(3)], best_of(context)
        default = {"rule": best, "floors": best, "chance": by_chance}.get(served, "b")
        chances = only("abc".index(default), 3)
        if served == "floors":
            chances = chances_of(chances, "abc".index(default), RankSettings())
        index = int(rng.integers(3)) if served == "uniform" else int(rng.choice(3, p=chances))
        chosen = "abc"[index]
        good = (chosen == best_of(context)) != (turned_from is not None and n >= turned_from)
        earned = float(rng.random() < (0.8 if good else 0.2))
        propensity = 1 / 3 if served == "uniform" else float(chances[index])
        actions = taste(context).as_json() if sample else None
        rows.append(
            (f"u{n:05}", float(n), chosen, default, propensity, earned, _FEATURES[index], context, actions)
        )  # fmt: skip
    return Decisions(*map(list, zip(*rows, strict=True)))


def write_decisions(shop, surface, rows):
    """Commit decisions whose time for rewards is over, with their rewards."""
    slates, events = [], []
    for i in range(len(rows)):
        at = builders.now() - timedelta(seconds=20_000 - i)
        about = {
            "default": rows.default[i], "default_propensity": 1 / 3, "context": rows.context[i],
            "features": rows.features[i], "actions": rows.actions[i],
        }  # fmt: skip
        slate = builders.slate(
            shop, rows.unit_ids[i], slots=[(rows.chosen[i], 0.0, 1, rows.propensity[i], False)],
            context={"$rank": about}, model_version_id=None, surface_id=surface.pk,
            served_at=at.isoformat(),
        )  # fmt: skip
        slates.append(slate)
        events.append(
            builders.event(
                shop.project, unit=rows.unit_ids[i], name="reward", at=at.isoformat(),
                value=rows.reward[i], source="reward", recommendation_id=slate.recommendation_id,
            )
        )  # fmt: skip
    builders.write(Rows(slates=slates, events=events))


def write_hourly_decisions(shop, surface, units, *, begin):
    """Decisions of these users, one after the other, as a web process of that time made them."""
    rng, slates = np.random.default_rng(len(units)), []
    for n, unit in enumerate(units):
        at, chance = begin + timedelta(hours=n), float(rng.choice([0.1, 0.3]))
        slates.append(
            builders.slate(
                shop, unit, model_version_id=None, surface_id=surface.pk,
                served_at=at.isoformat(),
                recommendation_id=str(UUID(int=min_uuid7(at).int + shop.project.pk * 1000 + n)),
                slots=[(str(rng.choice(["a", "b"])), 0.0, 1, 0.5, False)],
                context={"$rank": {"default": "a", "default_propensity": chance}},
            )
        )  # fmt: skip
    builders.write(Rows(slates=slates))
