"""How commands speak: progress bars on a terminal, plain lines in a pipe, one-sentence errors."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# A log of an hour-long load has 720 lines then.
PLAIN_EVERY_SECONDS = 5.0
console = Console(highlight=False, soft_wrap=True)
# For what is no result: standard output is another program's input then.
error_console = Console(highlight=False, soft_wrap=True, stderr=True)


class Advance(Protocol):
    """Is told how many steps were done since its last call, and in which phase."""

    def __call__(self, count: int, phase: str = "") -> None:
        """Move on by a number of steps."""


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
def progress(label: str, total: int | None, *, to: Console = console) -> Iterator[Advance]:
    """Show the progress of something long, and the time that is left.

    Args:
        label: what is done.
        total: how many steps there are, or None when that is not known.
        to: where it is shown.

    Yields:
        A function that is told how many steps were done since its last call.
    """
    if not to.is_terminal:
        yield from _plain(label, total, to)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=to) as bar:
        task = bar.add_task(label, total=total)

        def advance(count: int, phase: str = "") -> None:
            bar.update(task, advance=count, description=_with_phase(label, phase))

        yield advance


def _with_phase(label: str, phase: str) -> str:
    return f"{label} ({phase})" if phase else label


def _plain(label: str, total: int | None, to: Console) -> Iterator[Advance]:
    """Print a line now and then: for logs, where a bar would be noise."""
    start = last = time.monotonic()
    done = 0

    def advance(count: int, phase: str = "") -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= PLAIN_EVERY_SECONDS:
            last = now
            left = (
                f", about {(now - start) / done * (total - done):.0f} s left" if total and done else ""
            )
            line = f"{_with_phase(label, phase)}: {done}{f' of {total}' if total else ''}{left}"
            to.print(line, markup=False)

    yield advance
    seconds = time.monotonic() - start
    to.print(f"{label}: {done}{f' of {total}' if total else ''}, {seconds:.1f} s", markup=False)
