"""Read the configuration from PostgreSQL: one snapshot, row by row.

Guarantees: a malformed row keeps its last good value, becomes an issue, and touches no other row.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import psycopg

from bakeoff.accounts.keys import scopes_of
from bakeoff.gateway.timeouts import shut_down
from experiments.ingest.likes import LikeRule, history_name, parse_rules
from experiments.rules.row_isolation import ConfigurationIssue, RowReader, isolate_values, texts
from experiments.rules.running_experiments import (
    ProjectFlags,
    RunningExperiment,
    ServingVersion,
    read_experiments,
)
from inference.serving.models import Model, open_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """A key that may be used."""

    project_id: int
    project: str
    kind: str
    origins: tuple[str, ...]
    scopes: frozenset[str] = frozenset()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class SurfaceConfig:
    """A surface and who serves it now."""

    surface_id: int
    key: str
    kind: str
    static_list: tuple[str, ...]
    candidates: int
    exploration: float
    liked: tuple[LikeRule, ...]
    champion: ServingVersion | None
    experiments: tuple[RunningExperiment, ...] = ()
    shadow_share: float = 0.0
    history: str = ""


@dataclass(frozen=True, slots=True)
class ServingConfig:
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
        issues: rows that cannot be followed.
    """

    keys: Mapping[str, KeyConfig] = field(default_factory=lambda: MappingProxyType({}))
    surfaces: Mapping[int, Mapping[str, SurfaceConfig]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    titles: Mapping[int, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    linked: frozenset[int] = frozenset()
    credited: Mapping[int, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    flags: Mapping[int, ProjectFlags] = field(default_factory=lambda: MappingProxyType({}))
    watched: frozenset[int] = frozenset()
    probed: Mapping[int, ServingVersion] = field(default_factory=lambda: MappingProxyType({}))
    issues: tuple[ConfigurationIssue, ...] = ()
    loaded: bool = False


_KEYS = """SELECT k.digest, k.project_id, p.slug, k.kind, k.allowed_origins, k.scopes
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
_CREDITED = "SELECT project_id, key, credited_events FROM inference_surface"
_CATALOGUE = "SELECT count(*), coalesce(max(updated_at)::text, '') FROM inference_item"
_TITLES = "SELECT project_id, item_id, title FROM inference_item"


class ServingConfigReader:
    """Reads the configuration, and keeps the models that are open from one reading to the next."""

    def __init__(self, database_url: str, artifacts: Path) -> None:
        """Remember where to read."""
        self._url, self._artifacts = database_url, artifacts
        self._models: dict[str, Model | None] = {}
        self._used: set[str] = set()
        self._catalogue: tuple[Any, ...] = ()
        self._connection: psycopg.Connection | None = None
        self.problems: dict[str, str] = {}  # why artifacts cannot be loaded, by digest

    def hang_up(self) -> None:
        """End a reading that another thread waits for; it raises there."""
        if self._connection is not None:
            shut_down(self._connection)

    def read(self, last: ServingConfig, probed_ids: Sequence[int] = ()) -> ServingConfig:
        """Read everything in one snapshot; blocks.

        Args:
            last: what was read before.
            probed_ids: versions that are to be loaded beside those that serve.

        Raises:
            psycopg.Error: PostgreSQL is away.
        """
        connection = psycopg.connect(self._url, connect_timeout=3, prepare_threshold=None)
        self._connection = connection
        try:
            with connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                isolate_values(connection)
                return self._read_all(connection, last, probed_ids)
        finally:
            self._connection = None

    def _read_all(
        self, connection: psycopg.Connection, last: ServingConfig, probed_ids: Sequence[int]
    ) -> ServingConfig:
        self._used.clear()
        reader = RowReader()
        keys = _read_keys(connection, reader, last)
        experiments, flags = read_experiments(connection, self._version, reader, last.flags)
        surfaces: dict[int, dict[str, SurfaceConfig]] = {}
        for row in connection.execute(_SURFACES):
            mine = [e for e in experiments.get(row[1], ()) if e.surface == row[2]]
            surface = self._surface(row, mine, reader, last)
            surfaces.setdefault(row[1], {})[surface.key] = surface
        for retired in connection.execute(_WARM):
            self._version(*retired)
        probed = {
            row[0]: version
            for row in (connection.execute(_PROBED, [list(probed_ids)]) if probed_ids else ())
            if (version := self._version(*row)) is not None
        }
        linked = frozenset(row[0] for row in connection.execute(_LINKED))
        titles = last.titles
        catalogue = connection.execute(_CATALOGUE).fetchone() or ()
        if catalogue != self._catalogue:
            titles = self._read_titles(connection)
            self._catalogue = catalogue
        credited = _read_credited(connection, reader, last)
        self._models = {d: m for d, m in self._models.items() if d in self._used}
        issues = tuple(reader.issues)
        if issues != last.issues:  # said when it changes, and not at every reload
            for issue in issues:
                logger.error("project %s, %s: %s", issue.project_id, issue.subject, issue.message)
        return ServingConfig(
            keys=keys,
            surfaces=surfaces,
            titles=titles,
            linked=linked,
            credited=credited,
            flags=flags,
            probed=probed,
            issues=issues,
            loaded=True,
        )

    def _read_titles(self, connection: psycopg.Connection) -> dict[int, dict[str, str]]:
        titles: dict[int, dict[str, str]] = {}
        for project_id, item_id, title in connection.execute(_TITLES):
            titles.setdefault(project_id, {})[item_id] = title
        return titles

    def _surface(
        self,
        row: tuple[Any, ...],
        experiments: Sequence[RunningExperiment],
        reader: RowReader,
        before: ServingConfig,
    ) -> SurfaceConfig:
        (
            surface_id,
            project,
            key,
            kind,
            static_list,
            candidates,
            exploration,
            liked,
            shadows,
            *champion,
        ) = row
        last = before.surfaces.get(project, {}).get(key)
        rules = reader.read(
            project, f"surface {key}", lambda: parse_rules(liked), last.liked if last else ()
        )
        # Field by field: a malformed list must not hold up the champion, nor who leaves a trial.
        return SurfaceConfig(
            surface_id=surface_id,
            key=key,
            kind=kind,
            static_list=reader.read(
                project,
                f"surface {key}",
                lambda: texts(static_list, "static_list"),
                last.static_list if last else (),
            ),
            candidates=candidates,
            exploration=exploration,
            liked=rules,
            history=history_name(project, rules),
            champion=self._version(*champion),
            experiments=tuple(experiments),
            shadow_share=shadows,
        )

    def _version(
        self, version_id: int | None, label: str | None, digest: str | None
    ) -> ServingVersion | None:
        if version_id is None or label is None or digest is None:
            return None
        self._used.add(digest)
        if self._models.get(digest) is None:
            try:
                self._models[digest] = open_model(self._artifacts, digest)
                self.problems.pop(digest, None)
            except Exception as error:  # noqa: BLE001  whatever an artifact holds, others must load
                logger.error("version %s cannot be served: %s", label, error)  # noqa: TRY400
                self._models[digest], self.problems[digest] = None, str(error)
        return ServingVersion(version_id, label, self._models[digest], digest)


def _read_keys(
    connection: psycopg.Connection, reader: RowReader, last: ServingConfig
) -> dict[str, KeyConfig]:
    keys = {}
    for digest, project_id, slug, kind, origins, scopes in connection.execute(_KEYS):
        key = reader.read(
            project_id,
            f"key {digest[:8]}…",
            partial(_key, digest, project_id, slug, kind, origins, scopes),
            last.keys.get(digest),
        )
        if key is not None:
            keys[digest] = key
    return keys


def _key(digest: str, project_id: int, slug: str, kind: str, origins: Any, scopes: Any) -> KeyConfig:
    # Before scopes counted, keys had none and could do all that their kind can.
    may = texts(scopes, "scopes") or scopes_of(kind)
    return KeyConfig(project_id, slug, kind, texts(origins, "allowed_origins"), frozenset(may), digest)


def _read_credited(
    connection: psycopg.Connection, reader: RowReader, last: ServingConfig
) -> dict[int, frozenset[str]]:
    credited: dict[int, frozenset[str]] = {}
    for project, surface, names in connection.execute(_CREDITED):
        read = reader.read(
            project,
            f"surface {surface}",
            partial(_names, names),
            last.credited.get(project, frozenset()),
        )
        credited[project] = credited.get(project, frozenset()) | read
    return credited


def _names(names: Any) -> frozenset[str]:
    return frozenset(texts(names, "credited_events"))
