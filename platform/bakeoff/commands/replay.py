"""`bakeoff replay`: the loop on a user's own logs."""

from __future__ import annotations

import json
import random
import socket
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands import terminal
from bakeoff.commands.old_options import CommandWithOldOptions
from bakeoff.commands.terminal import echo, fail
from bakeoff.data_files.labelled import LabelledColumns
from bakeoff.data_files.rows import DatasetError
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.supervisor import Platform, stop_on_terminate, with_tick
from bakeoff.environment import read_environment
from bakeoff.replay.log_files import Columns, read_dataset, read_labelled, shuffle_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bakeoff.data_files.labelled import LabelledRow
    from bakeoff.replay.dataset import Dataset
    from bakeoff.replay.engine import ReplayResult

FAVOURITE_PORT = 8000
# The loop looks for work this often: a demonstration should not wait for a schedule.
TICK_SECONDS = 0.5


@click.command(cls=CommandWithOldOptions, old_options={"--most-users": "--max-users"})
@click.option("--items", type=Path, help="Catalogue: CSV, TSV or Parquet.")
@click.option("--interactions", type=Path, help="Log: CSV, TSV or Parquet.")
@click.option("--item-id", help="Column of the item's id, in both files.")
@click.option("--text", multiple=True, help="Column of the item's text; may be repeated.")
@click.option("--user-id", help="Column of the user's id.")
@click.option("--rating", help="Column of the rating; without one every row counts as liked.")
@click.option("--timestamp", help="Column of the time; without one the file's order counts.")
@click.option(
    "--positive", default=4.0, show_default=True, help="Ratings from this value on are positive."
)
@click.option("--labelled", type=Path, help="Instead of both: labelled texts, in order of time.")
@click.option("--label", help="Column of the label.")
@click.option(
    "--challenger", default="frozen-head", show_default=True, help="Algorithm to test against tfidf."
)
@click.option(
    "--visitors", type=Path, help="Labelled texts to use as visitors; default: the last third."
)
@click.option(
    "--shuffle-labels", is_flag=True, help="Shuffle the labels: nothing may be promoted then."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the split and the assignment.")
@click.option("--visits", default=3, show_default=True, help="Slates per visitor.")
@click.option("--max-users", default=5000, show_default=True, help="At most this many visitors.")
@click.option("--port", type=int, help=f"Port; {FAVOURITE_PORT} or a free one by default.")
@click.option("--exit", "leave", is_flag=True, help="Stop after the verdict.")
@click.option("--json", "json_file", type=Path, help="Write the verdicts to this file.")
def replay(**options: Any) -> None:
    """Would this have helped me? Replay your own log as live traffic."""
    flags = RunFlags.take_from(options)
    if options["labelled"] is not None:
        _replay_labelled(options, flags)
        return
    if options["items"] is None or options["interactions"] is None:
        raise click.UsageError("give --items and --interactions, or --labelled.")
    columns = Columns(
        item_id=options["item_id"],
        text=options["text"],
        user_id=options["user_id"],
        rating=options["rating"],
        timestamp=options["timestamp"],
    )
    try:
        dataset = read_dataset(
            options["items"], options["interactions"], columns, positive=options["positive"]
        )
    except DatasetError as error:
        raise click.UsageError(str(error)) from error
    for note in dataset.notes:
        echo(note)
    with replayed(dataset, flags) as (_, wait):
        if not flags.leave:
            wait()


def _replay_labelled(options: dict[str, Any], flags: RunFlags) -> None:
    """Replay labelled texts."""
    past, visitors = _read_labelled(options)
    if not visitors:
        rows = random.Random(flags.seed).sample(past, len(past))  # noqa: S311  a split, no secret
        past, visitors = rows[: 2 * len(rows) // 3], rows[2 * len(rows) // 3 :]
    if options["shuffle_labels"]:
        past = shuffle_labels(past, flags.seed)
    _require_enough(past)
    with platform_for(flags) as platform:
        from bakeoff.replay.labelled import LabelledReplay

        result = LabelledReplay(
            past,
            visitors,
            url=platform.url,
            challenger=options["challenger"],
            seed=flags.seed,
            reporter=terminal,
        ).run()
        if flags.json_file is not None:
            flags.json_file.write_text(json.dumps(result.as_json(), indent=2) + "\n")
        echo(f"Champion now: {result.champion or 'none'}")
        for difference in result.differences:
            echo(f"NOT EQUAL: {difference}")
        if not flags.leave:
            platform.wait()


def _require_enough(past: Sequence[LabelledRow]) -> None:
    """Refuse what no model could be judged by, before a platform is started for it.

    Raises:
        click.UsageError: too few are held out.
    """
    from inference.training.clean_examples import RawExample, clean_examples
    from inference.training.split import why_too_few

    rows = [
        RawExample("", row.text, row.features, row.label, 0.0, trusted=True, approved=False)
        for row in past
    ]
    examples = clean_examples(rows, [], latest=0.0)
    if why := why_too_few(examples):
        raise click.UsageError(" ".join([why, *examples.notes]))


def _read_labelled(options: dict[str, Any]) -> tuple[list[LabelledRow], list[LabelledRow]]:
    """Return the past, and the visitors where a file has them.

    Raises:
        click.UsageError: a file cannot be used, or an option of the other kind of log is given.
    """
    for name in ("items", "interactions", "item_id", "user_id", "rating", "timestamp"):
        if options[name] is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} must be left out with --labelled.")
    if len(options["text"]) > 1:
        raise click.UsageError("--text must be given once with --labelled.")
    text = options["text"][0] if options["text"] else None
    try:
        past, visitors = (
            read_labelled(file, LabelledColumns(text, options["label"]), echo) if file else []
            for file in (options["labelled"], options["visitors"])
        )
    except DatasetError as error:
        raise click.UsageError(str(error)) from error
    return past, visitors


@dataclass(frozen=True, slots=True)
class RunFlags:
    """What `demo` and `replay` have in common."""

    seed: int
    visits: int
    port: int | None
    leave: bool
    json_file: Path | None
    max_users: int = 5000

    @classmethod
    def take_from(cls, options: dict[str, Any]) -> RunFlags:
        """Read the options of a command."""
        return cls(**{f.name: options[f.name] for f in fields(cls) if f.name in options})


@contextmanager
def replayed(
    dataset: Dataset, flags: RunFlags, *, with_autopilot: bool = False
) -> Iterator[tuple[ReplayResult, Callable[[], None]]]:
    """Run a replay on a platform started for it, which stays up for the length of the block.

    Args:
        dataset: what is replayed.
        flags: how.
        with_autopilot: whether the ramp, the breaker and the holdback are shown besides.
    """
    with platform_for(flags) as platform:
        from bakeoff.replay.autopilot import AutopilotReplay
        from bakeoff.replay.engine import Replay, ReplayOptions

        options = ReplayOptions(
            platform.url, seed=flags.seed, visits=flags.visits, max_users=flags.max_users
        )
        replay = AutopilotReplay if with_autopilot else Replay
        result = replay(dataset, options, terminal).run()
        if flags.json_file is not None:
            flags.json_file.write_text(json.dumps(result.as_json(), indent=2) + "\n")
        _print_result(platform, result, leaves=flags.leave)
        yield result, platform.wait


@contextmanager
def platform_for(flags: RunFlags) -> Iterator[Platform]:
    """Start a platform, set Django up, and stop it whatever happens.

    Raises:
        SystemExit: 1, somebody asked to stop before the end.
    """
    stop_on_terminate()
    if flags.json_file is not None and not flags.json_file.absolute().parent.is_dir():
        raise click.UsageError(f"folder of '{flags.json_file}' does not exist.")
    environment = with_tick(read_environment(), TICK_SECONDS)
    platform = Platform(environment, port=flags.port or free_port(FAVOURITE_PORT), log=echo)
    try:
        platform.start_servers()
        import django

        django.setup()
        from bakeoff.replay.following import ReplayError

        platform.start_processes()
        echo(f"The platform is up at {platform.url}.")
        try:
            yield platform
        except ReplayError as error:
            raise fail(str(error)) from error
    except StartError as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt:
        echo("Stopping …")
        # Raised on: before the block is entered there is no other way to leave it.
        raise SystemExit(1) from None
    finally:
        platform.stop()


def free_port(favourite: int = 0) -> int:
    """Return a port if it is free, else any free port."""
    for port in (favourite, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise fail("no port is free on 127.0.0.1.")


def print_places(platform: Platform, project: str, experiments: Sequence[str]) -> None:
    """Say where the reports are, and how to sign in."""
    for key in experiments:
        echo(f"Report: {platform.url}/experiments/{project}/{key}/")
    echo(f"Dashboard: {platform.url}/   login: {_reset_login(project)}")


def _print_result(platform: Platform, result: ReplayResult, *, leaves: bool) -> None:
    """Print the verdicts; where the platform stays up, also where to look at them."""
    project = result.project
    echo("")
    for experiment, verdict in result.experiments:
        echo(f"Verdict on {experiment.key}: {verdict.sentence}")
        if not leaves:
            echo(f"  report: {platform.url}/experiments/{project}/{experiment.key}/")
    echo(f"Champion now: {result.champion}")
    for line in result.summary:
        echo(line)
    if leaves:
        echo(f"The platform stops. `bakeoff up` serves the reports of project {project} again.")
    else:
        echo(f"Dashboard: {platform.url}/   login: {_reset_login(project)}")
        echo(f"Sample page: {platform.url}/demo/?surface={project}/home-feed&key={result.public_key}")
    for difference in result.differences:
        echo(f"NOT EQUAL: {difference}")


def _reset_login(slug: str) -> str:
    from bakeoff.accounts.models import Project
    from bakeoff.accounts.reset_login import reset_login

    project = Project.objects.get(slug=slug)
    return f"demo / {reset_login(username='demo', project=project, by=OPERATOR)}"
