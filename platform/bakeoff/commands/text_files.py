"""Text files that options name, read as `bakeoff load` reads its files, or refused."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def text_of(path: Path) -> str:
    """Return what a file says.

    Raises:
        click.UsageError: it cannot be read as a text; the message names file and rule.
    """
    from bakeoff.data_files.text import read_text

    with _refusals():
        return read_text(path)


def lines_of(path: Path, *, with_empty: bool = False) -> Iterator[str]:
    """Yield the lines of a file, one at a time; empty ones are left out, unless wanted.

    Raises:
        click.UsageError: it cannot be read as a text; the message names file and rule.
    """
    from bakeoff.data_files.text import stream_lines

    with _refusals():
        yield from stream_lines(path, with_empty=with_empty)


@contextmanager
def _refusals() -> Iterator[None]:
    from bakeoff.data_files.rows import DatasetError

    try:
        yield
    except DatasetError as error:
        raise click.UsageError(str(error)) from error
