"""Text files as people have them: UTF-8, UTF-16 by its mark, or another encoding that is named."""

from __future__ import annotations

import codecs
import gzip
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from experiments.scorecards.unit_file import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The longer marks first: UTF-32's begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
CHUNK = 1 << 20


@contextmanager
def as_utf8(path: Path, encoding: str | None) -> Iterator[Path]:
    """Yield the file itself, or a copy of it in UTF-8 that lives as long as the block.

    Args:
        path: of a file that need not exist.
        encoding: as Python names it; None for the one that the file's mark tells, or UTF-8.

    Raises:
        FileError: the encoding is unknown, or the file is not written in it.
    """
    if encoding is not None and not _is_known(encoding):
        raise FileError(f"encoding == '{encoding}', must be a known one, such as utf-16 or latin-1.")
    start = _start_of(path)
    if start.startswith(ZIP):
        raise FileError(f"file == '{path}', is a workbook or an archive, must be CSV or Parquet.")
    name = encoding or next((name for mark, name in MARKS if start.startswith(mark)), "utf-8")
    if codecs.lookup(name).name in {"utf-8", "ascii"}:
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="bakeoff-utf8-", suffix=".csv") as copy:
        _recode(path, name, copy)
        yield Path(copy.name)


def _is_known(encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return True


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
            if not start.startswith(GZIP):
                return start
        with gzip.open(path) as unpacked:
            return unpacked.read(4)
    except OSError:
        return b""  # its reader says what is wrong with it


def _recode(path: Path, encoding: str, copy: IO[bytes]) -> None:
    """Write a file in UTF-8, a piece at a time: it may be larger than memory."""
    decode = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as probe:
        packed = probe.read(2) == GZIP
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            while piece := stream.read(CHUNK):
                copy.write(decode.decode(piece).encode())
            copy.write(decode.decode(b"", final=True).encode())
    except (UnicodeError, OSError, EOFError) as error:
        raise FileError(f"file == '{path}', is not written in {encoding}: {error}.") from error
    copy.flush()
