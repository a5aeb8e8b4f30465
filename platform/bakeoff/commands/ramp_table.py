"""A ramp in a shell: its steps, and what the next one needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from bakeoff.commands.terminal import console, echo

if TYPE_CHECKING:
    from experiments.programme.ramp_types import RampState


def show_ramp(ramp: RampState | None) -> None:
    """Print a ramp; nothing where there is none."""
    if ramp is None:
        return
    table = Table("step", "state", "users", "needs", title="Ramp")
    for step in ramp.steps:
        needs = "" if step.required_users is None else f"{step.required_users:,}"
        table.add_row(f"{100 * step.share:.3g}%", step.state, f"{step.users:,}", needs)
    console.print(table)
    for need in ramp.needs:
        echo(f"  {'✓' if need.holds else '✗'} {need.sentence}")
