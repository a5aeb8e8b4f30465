"""Surfaces that choose among actions, their decisions and rewards."""

from __future__ import annotations

from inference.models import Surface

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


def reward(lane, shop, decision, value, *, key=None):
    """Send the reward of a decision; return the response."""
    body = {"recommendation_id": decision["recommendation_id"], "value": value}
    return lane.post("/v1/reward", body, key or shop.public)
