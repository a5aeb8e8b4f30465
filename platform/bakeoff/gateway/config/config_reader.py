"""Read the configuration from PostgreSQL: one snapshot, row by row.

Guarantees: a malformed row keeps its last good value, becomes an issue, and touches no other row.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from bakeoff.accounts.keys import scopes_of
from bakeoff.gateway.config.open_surveys import OpenSurvey
from bakeoff.gateway.config.quotas import read_used_up
from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig, SurfaceConfig
from bakeoff.gateway.config.versions import VersionLoader
from bakeoff.gateway.timeouts import shut_down
from bakeoff.preferred_host import prefer_host_of
from experiments.assignment import VersionReference
from experiments.assignment.flags import NO_FLAGS
from experiments.ingest.likes import history_name, parse_rules
from experiments.rules.project_flags import read_project_flags
from experiments.rules.row_isolation import RowReader, isolate_values, texts
from experiments.slate_rules.rules import NO_RULES, SlateRules
from experiments.survey_question import SurveyQuestion
from inference.serving.generate_settings import DEFAULTS, GenerateSettings
from inference.serving.label_costs import NO_COSTS, LabelCosts
from inference.serving.rank_settings import NO_RANK_SETTINGS, RankSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bakeoff.gateway.config.versions import ServingVersion
    from experiments.assignment import RunningExperiment
    from experiments.assignment.flags import ProjectFlags
    from experiments.rules.row_isolation import ConfigurationIssue

logger = logging.getLogger(__name__)


_KEYS = """SELECT k.digest, k.project_id, p.slug, k.kind, k.allowed_origins, k.scopes,
    COALESCE(extract(epoch FROM k.expires_at)::float8, 'Infinity')
    FROM accounts_apikey AS k JOIN accounts_project AS p ON p.id = k.project_id
    WHERE k.revoked_at IS NULL"""
_SURFACES = """SELECT s.id, s.project_id, s.key, s.kind, s.static_list, s.candidates, s.exploration,
    s.liked_events, s.rules, s.costs, s.abstain_cost, s.generate, s.rank, s.archived_at,
    CASE WHEN EXISTS (SELECT 1 FROM inference_modelversion AS shadow
        WHERE shadow.surface_id = s.id AND shadow.alias = 'shadow') THEN s.shadow_share ELSE 0 END
    AS shadow_share,
    v.id AS version_id, v.algorithm || '@' || v.number AS label, v.artifact_sha256 AS digest
    FROM inference_surface AS s LEFT JOIN inference_modelversion AS v
        ON v.surface_id = s.id AND v.alias = 'champion'"""
# A champion that has just been replaced stays loaded: going back to it is a pointer.
_WARM = """SELECT DISTINCT ON (surface_id) id, algorithm || '@' || number, artifact_sha256
    FROM inference_modelversion WHERE alias = 'retired' ORDER BY surface_id, id DESC"""
_PROBED = """SELECT id, algorithm || '@' || number, artifact_sha256 FROM inference_modelversion
    WHERE id = ANY(%s)"""
_LINKED = """SELECT id FROM accounts_project AS p WHERE EXISTS (
    SELECT 1 FROM experiments_link WHERE project_id = p.id AND alias IS NOT NULL)"""
_SURVEYS = """SELECT project_id, surface_id, key, kind, question, choices, share, period_days,
    asks_comment, condition, variants, translations, enabled FROM experiments_survey"""
_CREDITED = """SELECT project_id, key, credited_events FROM inference_surface
    WHERE archived_at IS NULL"""


class ServingConfigReader:
    """Reads the configuration; one in a process."""

    def __init__(self, database_url: str, artifacts: Path) -> None:
        """Remember where to read, and the folder of the models."""
        self._url = database_url
        self.versions = VersionLoader(artifacts)
        self._connection: psycopg.Connection | None = None

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
        # A new one each time, which is cheap every two seconds: a broken one heals itself.
        # Nothing is prepared, because a pooler may stand in between.
        connection = psycopg.connect(self._url, connect_timeout=3, prepare_threshold=None)
        self._connection = connection
        self._url = prefer_host_of(connection, self._url)
        try:
            with connection:
                # One snapshot: an experiment must not be read with the variants of another moment.
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                isolate_values(connection)
                return self._read_all(connection, last, probed_ids)
        finally:
            self._connection = None

    def _read_all(
        self, connection: psycopg.Connection, last: ServingConfig, probed_ids: Sequence[int]
    ) -> ServingConfig:
        self.versions.begin()
        reader = RowReader()
        keys = _read_keys(connection, reader, last)
        flags = read_project_flags(connection, reader, last.flags)
        versions = self._load_variants(flags)
        surfaces, archived = self._read_surfaces(connection, reader, flags, last)
        for retired in connection.execute(_WARM):
            self.versions.load(VersionReference(*retired))
        rows = connection.execute(_PROBED, [list(probed_ids)]) if probed_ids else ()
        probed = {row[0]: self.versions.load(VersionReference(*row)) for row in rows}
        linked = frozenset(row[0] for row in connection.execute(_LINKED))
        credited = _read_credited(connection, reader, last)
        surveys, open_surveys = _read_surveys(connection, reader, flags, last)
        self.versions.end()
        _log_new_issues(reader.issues, last)
        return ServingConfig(
            keys=keys,
            surfaces=surfaces,
            archived=archived,
            linked=linked,
            credited=credited,
            surveys=surveys,
            open_surveys=open_surveys,
            flags=flags,
            versions=versions,
            variant_rules=_read_variant_rules(reader, flags, last),
            probed=probed,
            used_up=read_used_up(connection, datetime.now(UTC)),
            issues=tuple(reader.issues),
            loaded=True,
        )

    def _load_variants(self, flags: Mapping[int, ProjectFlags]) -> dict[int, ServingVersion]:
        """Return the versions of all variants, those of an experiment's last good value included."""
        variants = [
            variant
            for project in flags.values()
            for experiment in (*project.running.values(), *project.holdouts.values())
            for variant in experiment.variants.values()
        ]
        return {
            variant.version.version_id: self.versions.load(variant.version)
            for variant in variants
            if variant.version is not None
        }

    def _read_surfaces(
        self,
        connection: psycopg.Connection,
        reader: RowReader,
        flags: Mapping[int, ProjectFlags],
        last: ServingConfig,
    ) -> tuple[dict[int, dict[str, SurfaceConfig]], dict[int, set[str]]]:
        surfaces: dict[int, dict[str, SurfaceConfig]] = {}
        archived: dict[int, set[str]] = {}
        with connection.cursor(row_factory=dict_row) as cursor:
            for row in cursor.execute(_SURFACES):
                project, key = row["project_id"], row["key"]
                if row["archived_at"] is not None:  # nothing of it is loaded: its key alone is known
                    archived.setdefault(project, set()).add(key)
                    continue
                of_project = flags.get(project, NO_FLAGS)
                running = [one for one in of_project.running.values() if one.surface == key]
                before = last.surfaces.get(project, {}).get(key)
                surface = self._surface(row, running, reader, before)
                surfaces.setdefault(project, {})[key] = replace(
                    surface, holdout=of_project.holdouts.get(key)
                )
        return surfaces, archived

    def _surface(
        self,
        row: Mapping[str, Any],
        experiments: Iterable[RunningExperiment],
        reader: RowReader,
        last: SurfaceConfig | None,
    ) -> SurfaceConfig:
        # Field by field: a malformed list must not hold up the champion, nor who leaves a trial.
        read = partial(reader.read, row["project_id"], f"surface {row['key']}")
        static_list = read(
            lambda: texts(row["static_list"], "static_list"), last.static_list if last else ()
        )
        liked = read(lambda: parse_rules(row["liked_events"]), last.liked if last else ())
        rules = read(
            lambda: SlateRules.parse(row["rules"], stored=True), last.rules if last else NO_RULES
        )
        costs = read(
            lambda: LabelCosts.parse(row["costs"], row["abstain_cost"]),
            last.costs if last else NO_COSTS,
        )
        generate = read(
            lambda: GenerateSettings.parse(row["generate"]), last.generate if last else DEFAULTS
        )
        rank = read(lambda: RankSettings.parse(row["rank"]), last.rank if last else NO_RANK_SETTINGS)
        champion = None
        if row["digest"] is not None:
            champion = self.versions.load(
                VersionReference(row["version_id"], row["label"], row["digest"])
            )
        return SurfaceConfig(
            surface_id=row["id"],
            key=row["key"],
            kind=row["kind"],
            static_list=static_list,
            candidates=row["candidates"],
            exploration=row["exploration"],
            liked=liked,
            champion=champion,
            experiments=tuple(experiments),
            shadow_share=row["shadow_share"],
            history=history_name(row["project_id"], liked),
            rules=rules,
            costs=costs,
            generate=generate,
            rank=rank,
        )


def _read_variant_rules(
    reader: RowReader, flags: Mapping[int, ProjectFlags], last: ServingConfig
) -> dict[int, SlateRules]:
    rules = {}
    for project, of_project in flags.items():
        for experiment in of_project.running.values():
            for variant in experiment.variants.values():
                if variant.rules is not None:
                    rules[variant.variant_id] = reader.read(
                        project,
                        f"variant {variant.key} of {experiment.key}",
                        partial(SlateRules.parse, variant.rules, stored=True),
                        last.variant_rules.get(variant.variant_id, NO_RULES),
                    )
    return rules


def _log_new_issues(issues: Sequence[ConfigurationIssue], last: ServingConfig) -> None:
    """Log what cannot be followed when that changes: every reload would fill the log."""
    if tuple(issues) == last.issues:
        return
    for issue in issues:
        logger.error("project %s, %s: %s", issue.project_id, issue.subject, issue.message)


def _read_keys(
    connection: psycopg.Connection, reader: RowReader, last: ServingConfig
) -> dict[str, KeyConfig]:
    keys = {}
    for digest, project_id, slug, kind, origins, scopes, expires_at in connection.execute(_KEYS):
        key = reader.read(
            project_id,
            f"key {digest[:8]}…",
            partial(_key, digest, project_id, slug, kind, origins, scopes, expires_at),
            last.keys.get(digest),
        )
        if key is not None:
            keys[digest] = key
    return keys


def _key(
    digest: str,
    project_id: int,
    slug: str,
    kind: str,
    origins: Any,
    scopes: Any,
    expires_at: float,
) -> KeyConfig:
    # Before scopes counted, keys had none and could do all that their kind can.
    may = texts(scopes, "scopes") or scopes_of(kind)
    return KeyConfig(
        project_id,
        slug,
        kind,
        texts(origins, "allowed_origins"),
        frozenset(may),
        digest,
        expires_at,
    )


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


def _read_surveys(
    connection: psycopg.Connection,
    reader: RowReader,
    flags: Mapping[int, ProjectFlags],
    last: ServingConfig,
) -> tuple[dict[int, dict[str, SurveyQuestion]], dict[int, OpenSurvey]]:
    """Return all surveys by project and key, and those that are on by their surface's id."""
    surveys: dict[int, dict[str, SurveyQuestion]] = {}
    open_surveys: dict[int, OpenSurvey] = {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(_SURVEYS):
            project, key = row["project_id"], row["key"]
            survey = reader.read(
                project,
                f"survey {key}",
                partial(SurveyQuestion.parse, row),
                last.surveys.get(project, {}).get(key),
            )
            if survey is None:
                continue
            # One that is off still takes answers: a page may have asked a moment ago.
            surveys.setdefault(project, {})[key] = survey
            if row["enabled"]:
                groups = flags.get(project, NO_FLAGS).groups
                opened = reader.read(
                    project,
                    f"survey {key}",
                    partial(OpenSurvey, survey, groups),
                    last.open_surveys.get(row["surface_id"]),
                )
                if opened is not None:
                    open_surveys[row["surface_id"]] = opened
    return surveys, open_surveys


def _names(names: Any) -> frozenset[str]:
    return frozenset(texts(names, "credited_events"))
