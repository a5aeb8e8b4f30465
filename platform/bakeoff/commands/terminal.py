"""How commands speak: progress bars on a terminal, plain lines in a pipe, one-sentence errors."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A log of an hour-long load has 720 lines then.
PLAIN_EVERY_SECONDS = 5.0
console = Console(highlight=False, soft_wrap=True)


def echo(line: str) -> None:
    """Print one line."""
    console.print(line, markup=False)
    sys.stdout.flush()


def fail(message: str) -> click.ClickException:
    """Return an error that ends the command with status 1."""
    return click.ClickException(message)


class Refusal(click.ClickException):
    """Input that breaks a rule: one sentence, exit status 2."""

    exit_code = 2


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show the progress of something long.

    Args:
        label: what is done.
        total: how many steps there are, or None when that is not known.

    Yields:
        A function that is told how many steps were done since its last call.
    """
    if not console.is_terminal:
        yield from _plain(label, total)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


def _plain(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Print a line now and then: for logs, where a bar would be noise."""
    start = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= PLAIN_EVERY_SECONDS:
            last = time.monotonic()
            echo(f"{label}: {done}{f' of {total}' if total else ''}")

    yield advance
    echo(f"{label}: {done}{f' of {total}' if total else ''}, {time.monotonic() - start:.1f} s")
