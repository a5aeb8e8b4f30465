"""`bakeoff demo`: the loop on MovieLens-100k; exits 0 only if the fates were as they must be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.commands.replay import RunFlags, replayed
from bakeoff.commands.terminal import echo, fail
from bakeoff.environment import read_environment
from bakeoff.replay.dataset import read_movielens
from inference.encoders.locate import NotFoundError, fetch_from_wheel
from inference.outgoing import allow_outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOVIELENS = ("recbole==1.2.1", "recbole/dataset_example/ml-100k")
CHAMPION, REFUSED = "two-tower@1", "frozen-text@1"
# What must become of each challenger's test.
FATES = {
    "two-tower@1": ("ship",),
    "endpoint@1": ("roll_back",),
    "frozen-text@1": ("roll_back", "stop_inconclusive"),
}


@click.command()
@click.option("--seed", default=1, show_default=True, help="Seed of the split and the assignment.")
@click.option("--visits", default=3, show_default=True, help="Slates per visitor.")
@click.option("--port", type=int, help="Port; 8000 or a free one by default.")
@click.option("--exit", "leave", is_flag=True, help="Stop after the verdict.")
@click.option("--json", "json_file", type=Path, help="Write the verdicts to this file.")
def demo(**options: Any) -> None:
    """Show the loop close: real users, a ramp, a verdict, a promotion, a holdback, a breaker.

    MovieLens-100k is GroupLens's, for non-commercial use; it is read from a package on the index
    and not part of Bakeoff.
    """
    try:
        folder = fetch_from_wheel(*MOVIELENS, read_environment().home / "cache" / "datasets")
    except (NotFoundError, OSError) as error:
        raise fail(str(error)) from error
    flags = RunFlags.take_from(options)
    # The third challenger answers from this process.
    allow_outgoing("127.0.0.1")
    with replayed(read_movielens(folder), flags, with_autopilot=True) as (result, wait):
        actions = {
            str(experiment.treatments[0].model_version): verdict.action
            for experiment, verdict in result.experiments
        }
        refused = [str(version) for version in result.refused]
        wrong = wrong_fates(actions, champion=result.champion, refused=refused)
        wrong += [*result.missing, *result.differences]
        for sentence in wrong:
            echo(f"NOT AS IT MUST BE: {sentence}.")
        echo("The loop did NOT close." if wrong else "The loop closed.")
        if not flags.leave:
            wait()
        if wrong:
            raise SystemExit(1)


def wrong_fates(actions: Mapping[str, str], *, champion: str, refused: Sequence[str]) -> list[str]:
    """Return which verdicts, champion and refusals are not as these data make them.

    Args:
        actions: that ended the tests, by the challenger.
        champion: at the end.
        refused: by their gate.
    """
    wrong = [
        f"{version} ended with '{actions.get(version, 'no test')}', must be one of {list(allowed)}"
        for version, allowed in FATES.items()
        if actions.get(version) not in allowed
    ]
    if champion != CHAMPION:
        wrong.append(f"champion == '{champion}', must be '{CHAMPION}'")
    if REFUSED not in refused:
        wrong.append(f"the gate let {REFUSED} through, must refuse it")
    return wrong
