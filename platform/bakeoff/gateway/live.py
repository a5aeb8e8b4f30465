"""Live configuration: one frozen value that every request reads, rebuilt when something changes.

Guarantees: a request sees one consistent configuration; while PostgreSQL or Redis is away the last
one serves on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import orjson
import psycopg
import redis.asyncio
import redis.exceptions

from bakeoff.gateway.live_experiments import LiveExperiment, LiveFlags, LiveVersion, read_experiments
from bakeoff.gateway.watching import watched_projects
from experiments.ingest.likes import LikeRule, LikeRuleError, parse_rules
from inference.serving.artifact import ArtifactError
from inference.serving.changes import CHANNEL
from inference.serving.keys import PROBES, serving_key
from inference.serving.models import Model, open_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from inference.serving.probes import ProbeResult

logger = logging.getLogger(__name__)
POLL_SECONDS = 2.0
HEARTBEAT_TTL_SECONDS = 8


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that may be used."""

    project_id: int
    project: str
    kind: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveSurface:
    """A surface and who serves it now."""

    surface_id: int
    key: str
    kind: str
    static_list: tuple[str, ...]
    candidates: int
    exploration: float
    liked: tuple[LikeRule, ...]
    champion: LiveVersion | None
    experiments: tuple[LiveExperiment, ...] = ()
    shadow_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Live:
    """Everything that a request needs to know.

    Attributes:
        keys: by digest.
        surfaces: by project, by key.
        titles: by project, by item id.
        linked: projects in which an id stands for another.
        credited: by project, names of events that are credited to a slate if they name none.
        flags: by project.
        watched: projects whose arrivals somebody looks at now.
        probed: versions that are to be tried before they serve, by id.
    """

    keys: Mapping[str, LiveKey] = field(default_factory=lambda: MappingProxyType({}))
    surfaces: Mapping[int, Mapping[str, LiveSurface]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    titles: Mapping[int, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    linked: frozenset[int] = frozenset()
    credited: Mapping[int, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    flags: Mapping[int, LiveFlags] = field(default_factory=lambda: MappingProxyType({}))
    watched: frozenset[int] = frozenset()
    probed: Mapping[int, LiveVersion] = field(default_factory=lambda: MappingProxyType({}))
    loaded: bool = False


_KEYS = """SELECT k.digest, k.project_id, p.slug, k.kind, k.allowed_origins
    FROM accounts_apikey AS k JOIN accounts_project AS p ON p.id = k.project_id
    WHERE k.revoked_at IS NULL"""
_SURFACES = """SELECT s.id, s.project_id, s.key, s.kind, s.static_list, s.candidates, s.exploration,
    s.liked_events, CASE WHEN EXISTS (SELECT 1 FROM inference_modelversion AS shadow
        WHERE shadow.surface_id = s.id AND shadow.alias = 'shadow') THEN s.shadow_share ELSE 0 END,
    v.id, v.name || '@' || v.number, v.artifact_sha256
    FROM inference_surface AS s LEFT JOIN inference_modelversion AS v
        ON v.surface_id = s.id AND v.alias = 'champion'"""
# A champion that has just been replaced stays loaded: going back to it is a pointer.
_WARM = """SELECT DISTINCT ON (surface_id) id, name || '@' || number, artifact_sha256
    FROM inference_modelversion WHERE alias = 'retired' ORDER BY surface_id, id DESC"""
_PROBED = """SELECT id, name || '@' || number, artifact_sha256 FROM inference_modelversion
    WHERE id = ANY(%s)"""
_LINKED = """SELECT id FROM accounts_project AS p WHERE EXISTS (
    SELECT 1 FROM experiments_link WHERE project_id = p.id AND alias IS NOT NULL)"""
_CREDITED = """SELECT project_id, array_agg(DISTINCT name) FROM inference_surface,
    jsonb_array_elements_text(credited_events) AS name GROUP BY project_id"""
_CATALOGUE = "SELECT count(*), coalesce(max(updated_at)::text, '') FROM inference_item"
_TITLES = "SELECT project_id, item_id, title FROM inference_item"


class LiveConfiguration:
    """Keeps `current` up to date in the background."""

    def __init__(self, database_url: str, cache: redis.asyncio.Redis, artifacts: Path) -> None:
        """Remember where to read."""
        self.current = Live()
        self._url, self._cache, self._artifacts = database_url, cache, artifacts
        self._models: dict[str, Model | None] = {}
        self._used: set[str] = set()
        self._catalogue: tuple[Any, ...] = ()
        self.process = f"{socket.gethostname()}:{os.getpid()}"
        self.open_breakers: Callable[[], list[int]] = list  # of whoever asks models elsewhere
        # Answers a question with a version that does not serve yet.
        self.prober: Callable[[LiveVersion, str, str], Awaitable[ProbeResult]] | None = None
        self._problems: dict[str, str] = {}  # why artifacts cannot be loaded, by digest
        self._probe_results: dict[int, ProbeResult] = {}
        self._probing: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.reloaded = asyncio.Event()  # of the next reload: whoever waits is woken once
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Load once if possible, then keep up."""
        await self._reload()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._keep_up())]

    async def stop(self) -> None:
        """End the background tasks and take this process off the list of those that serve."""
        tasks = [*self._tasks, *([self._probing] if self._probing is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await self._cache.delete(serving_key(self.process))

    async def _listen(self) -> None:
        """Wake the reload when a change is announced; without Redis, polling is enough."""
        while True:
            try:
                async with self._cache.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    async for message in pubsub.listen():
                        if message["type"] == "message":
                            self._changed.set()
            except (redis.exceptions.RedisError, OSError):
                await asyncio.sleep(POLL_SECONDS)

    async def _keep_up(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), POLL_SECONDS)
            self._changed.clear()
            await self._reload()

    async def _reload(self) -> None:
        async with self._one_at_a_time:  # an older answer must not come after a newer one
            wanted = await self._wanted_probes()
            try:
                watched = await watched_projects(self._cache)
                current = await asyncio.to_thread(self._read, list(wanted))
                self.current = replace(current, watched=watched)
                done, self.reloaded = self.reloaded, asyncio.Event()
                done.set()
            except psycopg.Error as error:
                logger.warning("configuration is not reloaded, the last one serves on: %s", error)
        self._start_probes(wanted)
        await self._beat()

    async def _beat(self) -> None:
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await self._cache.set(serving_key(self.process), self._said(), ex=HEARTBEAT_TTL_SECONDS)

    async def _wanted_probes(self) -> dict[int, str]:
        """Return the nonces of the versions that somebody wants tried, by version id."""
        try:
            wanted = cast("dict[bytes, bytes]", await self._cache.hgetall(PROBES))
        except (redis.exceptions.RedisError, OSError):
            return {}
        return {int(version): nonce.decode() for version, nonce in wanted.items()}

    def _start_probes(self, wanted: Mapping[int, str]) -> None:
        """Try versions beside the reload: an answer may take as long as its deadline."""
        self._probe_results = {v: one for v, one in self._probe_results.items() if v in wanted}
        # One round at a time; the asker announces again until it has its results.
        if self.prober is not None and wanted and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe(dict(wanted)))

    async def _probe(self, wanted: Mapping[int, str]) -> None:
        for version_id, nonce in wanted.items():
            version, known = self.current.probed.get(version_id), self._probe_results.get(version_id)
            answered = known is not None and known.nonce == nonce and not known.problem
            if version is None or self.prober is None or answered:
                continue
            problem = self._problems.get(version.digest, "")
            self._probe_results[version_id] = await self.prober(version, problem, nonce)
            await self._beat()

    def _said(self) -> bytes:
        """Say what this process serves, for whoever reads a change back."""
        surfaces = [s for by_key in self.current.surfaces.values() for s in by_key.values()]
        champions = {s.surface_id: s.champion for s in surfaces if s.champion is not None}
        return orjson.dumps(
            {
                # A champion that could not be loaded is not served: the static list is.
                "champion": {str(s): one.version_id for s, one in champions.items() if one.model},
                "unserved": self._unserved(surfaces),
                "breakers": self.open_breakers(),
                "experiment": {
                    str(s.surface_id): s.experiments[0].experiment_id for s in surfaces if s.experiments
                },
                "probes": {str(v): one.as_json() for v, one in self._probe_results.items()},
            }
        )

    def _unserved(self, surfaces: Sequence[LiveSurface]) -> list[int]:
        """Return champions and variants that cannot be loaded here, by id."""
        serving = [surface.champion for surface in surfaces]
        serving += [
            variant.version
            for surface in surfaces
            for experiment in surface.experiments
            for variant in experiment.variants.values()
        ]
        return sorted({one.version_id for one in serving if one is not None and one.model is None})

    def _read(self, probed_ids: Sequence[int] = ()) -> Live:
        """Read everything in one snapshot; runs in a thread."""
        self._used.clear()
        with psycopg.connect(self._url, connect_timeout=3) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            keys = {
                digest: LiveKey(project_id, slug, kind, tuple(origins))
                for digest, project_id, slug, kind, origins in connection.execute(_KEYS)
            }
            experiments, flags = read_experiments(connection, self._version)
            surfaces: dict[int, dict[str, LiveSurface]] = {}
            for row in connection.execute(_SURFACES):
                mine = [e for e in experiments.get(row[1], ()) if e.surface == row[2]]
                surface = self._surface(row, mine)
                surfaces.setdefault(row[1], {})[surface.key] = surface
            for retired in connection.execute(_WARM):
                self._version(*retired)
            probed = {
                row[0]: version
                for row in (connection.execute(_PROBED, [list(probed_ids)]) if probed_ids else ())
                if (version := self._version(*row)) is not None
            }
            linked = frozenset(row[0] for row in connection.execute(_LINKED))
            credited = {row[0]: frozenset(row[1]) for row in connection.execute(_CREDITED)}
            titles = self.current.titles
            catalogue = connection.execute(_CATALOGUE).fetchone() or ()
            if catalogue != self._catalogue:
                titles = self._read_titles(connection)
                self._catalogue = catalogue
        self._models = {d: m for d, m in self._models.items() if d in self._used}
        return Live(
            keys=keys,
            surfaces=surfaces,
            titles=titles,
            linked=linked,
            credited=credited,
            flags=flags,
            probed=probed,
            loaded=True,
        )

    def _read_titles(self, connection: psycopg.Connection) -> dict[int, dict[str, str]]:
        titles: dict[int, dict[str, str]] = {}
        for project_id, item_id, title in connection.execute(_TITLES):
            titles.setdefault(project_id, {})[item_id] = title
        return titles

    def _surface(self, row: tuple[Any, ...], experiments: Sequence[LiveExperiment]) -> LiveSurface:
        surface_id, _, key, kind, static_list, candidates, exploration, liked, shadows, *champion = row
        try:
            rules = parse_rules(liked)
        except LikeRuleError as error:
            logger.warning("surface %s: %s", key, error)
            rules = ()
        return LiveSurface(
            surface_id=surface_id,
            key=key,
            kind=kind,
            static_list=tuple(static_list),
            candidates=candidates,
            exploration=exploration,
            liked=rules,
            champion=self._version(*champion),
            experiments=tuple(experiments),
            shadow_share=shadows,
        )

    def _version(
        self, version_id: int | None, label: str | None, digest: str | None
    ) -> LiveVersion | None:
        if version_id is None or label is None or digest is None:
            return None
        self._used.add(digest)
        if self._models.get(digest) is None:
            try:
                self._models[digest] = open_model(self._artifacts, digest)
                self._problems.pop(digest, None)
            except (ArtifactError, OSError, ValueError) as error:
                logger.error("version %s cannot be served: %s", label, error)  # noqa: TRY400
                self._models[digest], self._problems[digest] = None, str(error)
        return LiveVersion(version_id, label, self._models[digest], digest)
