"""`bakeoff demo`: the loop on MovieLens-100k; exits 0 only if the fates were as they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.commands.replay import RunFlags, replayed
from bakeoff.commands.terminal import echo, fail
from bakeoff.environment import read_environment
from bakeoff.replay.dataset import read_movielens
from inference.encoders.locate import NotFoundError, fetch_from_wheel

MOVIELENS = ("recbole==1.2.1", "recbole/dataset_example/ml-100k")


@click.command()
@click.option("--seed", default=1, show_default=True, help="Seed of the split and the assignment.")
@click.option("--visits", default=3, show_default=True, help="Slates per visitor.")
@click.option("--port", type=int, help="Port; 8000 or a free one by default.")
@click.option("--exit", "leave", is_flag=True, help="Stop after the verdict.")
@click.option("--json", "json_file", type=Path, help="Write the verdicts to this file.")
def demo(**options: Any) -> None:
    """Show the loop close: real users, two real models, a valid verdict and a promotion.

    MovieLens-100k is GroupLens's, for non-commercial use; it is read from a package on the index
    and not part of Bakeoff.
    """
    try:
        folder = fetch_from_wheel(*MOVIELENS, read_environment().home / "cache" / "datasets")
    except (NotFoundError, OSError) as error:
        raise fail(str(error)) from error
    flags = RunFlags.take_from(options)
    with replayed(read_movielens(folder), flags) as (result, wait):
        fates = [
            (str(experiment.treatments[0].model_version), verdict.action)
            for experiment, verdict in result.experiments
        ]
        closed = (
            result.champion == "two-tower@1"
            and fates[:1] == [("two-tower@1", "ship")]
            and fates[1:]
            in (
                [("frozen-text@1", "roll_back")],
                [("frozen-text@1", "stop_inconclusive")],
            )
            and any(str(version) == "frozen-text@1" for version in result.refused)
            and not result.differences
        )
        echo("The loop closed." if closed else f"The loop did NOT close: {fates}.")
        if not flags.leave:
            wait()
        if not closed:
            raise SystemExit(1)
