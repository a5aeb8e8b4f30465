"""`bakeoff demo`: the loop on MovieLens-100k; exits 0 only if the fates were as they must be."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.commands import terminal
from bakeoff.commands.replay import RunFlags, free_port, platform_for, print_places, replayed
from bakeoff.commands.terminal import echo, fail
from bakeoff.environment import read_environment
from bakeoff.local_llm.engine import MissingExtraError, check_installed
from bakeoff.local_models import ADDRESS
from bakeoff.replay.dataset import read_movielens
from inference.encoders.locate import NotFoundError, fetch_from_wheel
from inference.outgoing import allow_outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.embedded.supervisor import Platform
    from bakeoff.replay.support_chat import ChatResult

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
@click.option("--generate", is_flag=True, help="Show two prompts of a support chat instead.")
def demo(**options: Any) -> None:
    """Show the loop close: real users, a ramp, a verdict, a promotion, a holdback, a breaker.

    MovieLens-100k is GroupLens's, for non-commercial use; it is read from a package on the index
    and not part of Bakeoff. With --generate: two prompts compete on a small language model, which runs
    on this machine.
    """
    if options["generate"]:
        _show_chat(RunFlags.take_from(options))
        return
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


def _show_chat(flags: RunFlags) -> None:
    """Let two prompts of a support chat compete on the embedded model."""
    began = time.monotonic()
    try:
        check_installed()
    except MissingExtraError as error:
        raise fail(str(error)) from error
    if not read_environment().local_models.port:
        os.environ[ADDRESS] = f"127.0.0.1:{free_port()}"
    local = read_environment().local_models
    with platform_for(flags) as platform:
        from bakeoff.replay.support_chat import SupportChat

        result = SupportChat(
            url=platform.url,
            local=f"http://{local.host}:{local.port}",
            model=next(iter(local.sources)),
            seed=flags.seed,
            began=began,
            reporter=terminal,
        ).run(open_another=not flags.leave)
        if flags.json_file is not None:
            flags.json_file.write_text(json.dumps(result.as_json(), indent=2) + "\n")
        wrong = list(result.differences)
        if result.champion != result.winner:
            wrong.append(f"champion == '{result.champion}', must be '{result.winner}'")
        for sentence in wrong:
            echo(f"NOT AS IT MUST BE: {sentence}.")
        echo("The loop did NOT close." if wrong else "The loop closed.")
        if not flags.leave:
            _print_chat(platform, result)
            platform.wait()
        if wrong:
            raise SystemExit(1)


def _print_chat(platform: Platform, result: ChatResult) -> None:
    """Say where the report and the chat page are: of a platform that stays up."""
    print_places(platform, result.project, [result.experiment["key"]])
    place = f"surface={result.project}/support&key={result.public_key}"
    echo(f"Chat page: {platform.url}/demo/?{place}")


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
