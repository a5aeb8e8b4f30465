"""Every reason against a file at once: where its shape is wrong, the rest is tried, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.config_file.apply import apply_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.accounts.models import Project
    from bakeoff.config_file.read_file import Fault, FileFaultsError, Path


def every_fault(
    *, project: Project, error: FileFaultsError, by: str, environment: Mapping[str, str]
) -> Sequence[Fault]:
    """Return the faults of a file's shape, and the rules that its readable part breaks.

    A person mends a file once, not once for each kind of check. Nothing is changed. A rule that is only
    broken because a part was left out, or because what it names was refused itself, is not named.
    """
    if error.rest is None:
        return error.faults
    outcome = apply_config(
        project=project, file=error.rest, by=by, environment=environment, dry_run=True
    )
    refused = [one for one in outcome.refusals if not _of_what_is_left_out(one.path, error.left_out)]
    named = {str(one.path[1]) for one in (*error.faults, *refused) if len(one.path) > 1}
    own = [one for one in refused if not any(f"'{key}', not found" in one.message for key in named)]
    return sorted([*error.faults, *own], key=lambda one: (one.line, one.column))


def _of_what_is_left_out(path: Path, left_out: Sequence[Path]) -> bool:
    return any(path == one[: len(path)] or one == path[: len(one)] for one in left_out)
