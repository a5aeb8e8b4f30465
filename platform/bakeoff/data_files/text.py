"""Plain texts as people have them: UTF-8, or UTF-16 and UTF-32 by their mark, also packed by gzip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.data_files.rows import named_errors, open_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_text(path: Path) -> str:
    """Read a text as a whole, with one kind of line end.

    Raises:
        DatasetError: it is missing, an archive, or in another encoding; the message names the file.
    """
    with named_errors(path), open_text(path) as file:
        return file.read()


def stream_lines(path: Path, *, with_empty: bool = False) -> Iterator[str]:
    """Read the lines of a text without blanks around them; empty ones are left out, unless wanted.

    A line ends where an editor ends it: an id may hold other characters that separate lines.

    Raises:
        DatasetError: as `read_text`, when the first line is asked for, or a later one.
    """
    with named_errors(path), open_text(path) as file:
        for line in file:
            text = line.strip()
            if text or with_empty:
                yield text
