"""Users who are signed in, and where pages are."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from uuid_utils import uuid7

from bakeoff.accounts.models import Membership, Project
from experiments.models import Experiment


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


def report_path(experiment: Experiment, tail: str = "") -> str:
    """Where an experiment's report is, or what lies below it."""
    return f"/experiments/{experiment.project.slug}/{experiment.key}/{tail}"
