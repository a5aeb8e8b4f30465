"""Users who are signed in, and where pages are."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx2
from django.contrib.auth.models import User
from django.test import Client
from uuid_utils import uuid7

from bakeoff.accounts.models import Membership, Project
from experiments.models import Experiment
from tests.support.fast_lane import FastLane


def make_user(project: Project | None = None, *, role: str = "viewer", **fields) -> User:
    """A user who is a member of the project, if one is named."""
    user = User.objects.create_user(f"{role}-{str(uuid7())[-12:]}", **fields)
    if project is not None:
        Membership.objects.create(user=user, project=project, role=role)
    return user


def sign_in(project: Project | None = None, *, role: str = "viewer", **fields) -> Client:
    """The browser of a new user."""
    client = Client()
    client.force_login(make_user(project, role=role, **fields))
    return client


class LaneVisit:
    """Somebody of the team who reads pages from the process that serves, where the fast lane is."""

    def __init__(self, lane: FastLane, project: Project, *, role: str = "viewer") -> None:
        session = sign_in(project, role=role).cookies["sessionid"].value
        token = "t" * 32
        cookies = {"sessionid": session, "csrftoken": token}
        self._client = httpx2.Client(
            base_url=lane.url, cookies=cookies, headers={"X-CSRFToken": token}, timeout=20
        )

    def post(self, address: str, body: Mapping[str, str]) -> httpx2.Response:
        return self._client.post(address, data=body)

    def close(self) -> None:
        self._client.close()


def report_path(experiment: Experiment, tail: str = "") -> str:
    """Where an experiment's report is, or what lies below it."""
    return f"/experiments/{experiment.project.slug}/{experiment.key}/{tail}"


def plan_address(shop, **fields) -> str:
    """Where the planner shows a plan, with the fields of its form."""
    filled = {
        "surface": shop.surface.pk, "primary": shop.metric.pk, "change": 40, "allocation": 100,
        "treatment_share": 50, "rule": "group_sequential",
    } | fields  # fmt: skip
    query = "&".join(f"{name}={value}" for name, value in filled.items())
    return f"/p/{shop.project.slug}/plan/?{query}"


def shared_copy(experiment: Experiment) -> str:
    """Return what a stranger reads who has a link to a frozen copy of a report."""
    analyst = sign_in(experiment.project, role="analyst")
    done = analyst.post(report_path(experiment, "share/"), {"days": "3"}, follow=True)
    link = re.search(r"/shared/[\w-]+/", done.content.decode())
    return Client().get(link[0]).content.decode()
