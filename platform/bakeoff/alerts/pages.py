"""Paths of the pages that alerts link to, below the platform's address.

Written out: actions and workers load neither pages nor their addresses. A test compares the two.
"""

from __future__ import annotations


def experiment_path(project: str, key: str) -> str:
    """Return the path of an experiment's report."""
    return f"/experiments/{project}/{key}/"


def surface_path(project: str, key: str) -> str:
    """Return the path of a surface's page."""
    return f"/p/{project}/surfaces/{key}/"


def themes_path(project: str, surface: str) -> str:
    """Return the path of what users of a surface write."""
    return f"/p/{project}/feedback/themes/?surface={surface}"


def run_path(run_id: int) -> str:
    """Return the path of a training run's page."""
    return f"/runs/{run_id}/"


def health_path() -> str:
    """Return the path of the platform's health."""
    return "/health/"


def alerts_path(project: str) -> str:
    """Return the path of a project's subscriptions and deliveries."""
    return f"/p/{project}/alerts/"


def usage_path(project: str) -> str:
    """Return the path of what a project used, by month."""
    return f"/p/{project}/usage/"
