"""Serve a version of a surface's rules: what won an experiment, or what a person goes back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.actions.change_surface import patch_surface

if TYPE_CHECKING:
    from experiments.models import RuleVersion


def serve_rules(*, version: RuleVersion, by: str) -> None:
    """Make them the surface's rules."""
    version.surface = patch_surface(surface=version.surface, changes={"rules": version.rules}, by=by)
