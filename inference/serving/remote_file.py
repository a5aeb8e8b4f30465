"""A file whose parts are downloaded as they are read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class RemoteFile(io.RawIOBase):
    """An object of a known size, read by ranges."""

    def __init__(
        self, read_range: Callable[[int, int], Iterable[bytes]], *, size: int, max_bytes: int
    ) -> None:
        """Remember what reads it; nothing is downloaded yet.

        Args:
            read_range: returns the bytes from a place up to another one, in parts.
            size: of the object, in bytes.
            max_bytes: of one read.
        """
        self._read_range, self._size, self._max_bytes, self._at = read_range, size, max_bytes, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, without a request."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Download the next bytes into a buffer; return how many."""
        end = min(self._at + min(len(buffer), self._max_bytes), self._size)
        content = b"".join(self._read_range(self._at, end))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
