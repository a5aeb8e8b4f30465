"""What requests are answered by: the configuration of every project, as one frozen value."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from experiments.slate_rules.rules import NO_RULES, SlateRules
from inference.serving.generate_settings import DEFAULTS, GenerateSettings
from inference.serving.label_costs import NO_COSTS, LabelCosts
from inference.serving.rank_settings import NO_RANK_SETTINGS, RankSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

    from bakeoff.gateway.config.open_surveys import OpenSurvey
    from bakeoff.gateway.config.quotas import UsedUp
    from bakeoff.gateway.config.versions import ServingVersion
    from experiments.assignment import RunningExperiment, RunningVariant
    from experiments.assignment.flags import ProjectFlags
    from experiments.ingest.likes import LikeRule
    from experiments.rules.row_isolation import ConfigurationIssue
    from experiments.survey_question import SurveyQuestion


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """A key that may be used.

    Attributes:
        project_id: whose.
        project: its slug.
        kind: public or secret.
        origins: from which browsers may use it; empty for all.
        scopes: what it may do.
        digest: SHA-256 of its text, which is not stored.
        expires_at: from when on it is refused, in seconds since 1970.
    """

    project_id: int
    project: str
    kind: str
    origins: tuple[str, ...]
    scopes: frozenset[str] = frozenset()
    digest: str = ""
    expires_at: float = math.inf

    @property
    def is_expired(self) -> bool:
        """Whether its time is over: also while the configuration cannot be read anew."""
        return self.expires_at <= time.time()


@dataclass(frozen=True, slots=True)
class SurfaceConfig:
    """A surface and what serves it now.

    Attributes:
        surface_id: of the table.
        key: its name.
        kind: recommend, classify, flag, generate or rank.
        static_list: what is served when no model can answer.
        candidates: how many items are ranked, at most.
        exploration: temperature of the draw; 0 serves the best ranking.
        liked: what counts as liking an item.
        champion: the version that serves outside experiments.
        experiments: those that run, oldest first.
        shadow_share: share of the requests that are also answered in shadow.
        holdout: what measures the project's holdout here, or None.
        rules: of every slate.
        costs: of mistakes, where it labels text.
        history: names the lists of recently liked items; surfaces with the same rules share them.
        generate: settings, where it generates text.
        rank: settings, where it chooses among actions.
    """

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
    holdout: RunningExperiment | None = None
    rules: SlateRules = NO_RULES
    costs: LabelCosts = NO_COSTS
    generate: GenerateSettings = DEFAULTS
    rank: RankSettings = NO_RANK_SETTINGS

    @property
    def tests(self) -> tuple[RunningExperiment, ...]:
        """The experiments that decide something, oldest first."""
        return tuple(one for one in self.experiments if one.purpose == "test")


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """Everything that a request needs to know.

    Attributes:
        keys: by digest.
        surfaces: by project, by key.
        archived: keys of surfaces that are archived, by project.
        linked: projects in which an id stands for another.
        credited: by project, names of events that are credited to a slate if they name none.
        surveys: by project, by key; also those that are off.
        open_surveys: the surveys that are on, by the id of their surface.
        flags: by project.
        versions: of the variants of running experiments, by id.
        variant_rules: of variants of running experiments that have their own, by the variant's id.
        watched: projects whose arrivals somebody looks at now.
        probed: versions that are to be tried before they serve, by id.
        used_up: quotas that refuse, by project and quota.
        issues: rows that cannot be followed.
        loaded: whether anything has been read yet.
    """

    keys: Mapping[str, KeyConfig] = field(default_factory=lambda: MappingProxyType({}))
    surfaces: Mapping[int, Mapping[str, SurfaceConfig]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    archived: Mapping[int, Set[str]] = field(default_factory=lambda: MappingProxyType({}))
    linked: frozenset[int] = frozenset()
    credited: Mapping[int, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    surveys: Mapping[int, Mapping[str, SurveyQuestion]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    open_surveys: Mapping[int, OpenSurvey] = field(default_factory=lambda: MappingProxyType({}))
    flags: Mapping[int, ProjectFlags] = field(default_factory=lambda: MappingProxyType({}))
    versions: Mapping[int, ServingVersion] = field(default_factory=lambda: MappingProxyType({}))
    variant_rules: Mapping[int, SlateRules] = field(default_factory=lambda: MappingProxyType({}))
    watched: frozenset[int] = frozenset()
    probed: Mapping[int, ServingVersion] = field(default_factory=lambda: MappingProxyType({}))
    used_up: Mapping[tuple[int, str], UsedUp] = field(default_factory=lambda: MappingProxyType({}))
    issues: tuple[ConfigurationIssue, ...] = ()
    loaded: bool = False

    def version_of(self, variant: RunningVariant) -> ServingVersion | None:
        """Return the version that serves a variant."""
        return None if variant.version is None else self.versions.get(variant.version.version_id)

    def survey_for(
        self, surface: SurfaceConfig, unit: str, attributes: Mapping[str, Any], variant: str | None
    ) -> SurveyQuestion | None:
        """Return what a user of a surface is asked after a slate, or None.

        Args:
            surface: where.
            unit: the user.
            attributes: of the request.
            variant: EXPERIMENT/VARIANT of the user there; None: in no experiment.
        """
        survey = self.open_surveys.get(surface.surface_id)
        asks = survey is not None and survey.asks(unit, attributes, variant)
        return survey.question if survey is not None and asks else None

    def all_surfaces(self) -> Iterator[SurfaceConfig]:
        """Yield the surfaces of every project."""
        for surfaces in self.surfaces.values():
            yield from surfaces.values()

    @property
    def unserved(self) -> list[int]:
        """Champions and variants that cannot be loaded here, by id."""
        return sorted({one.version_id for one in self._serving() if one.model is None})

    @property
    def impaired(self) -> list[int]:
        """Champions and variants that serve without a file that only some answers need, by id."""
        return sorted({one.version_id for one in self._serving() if one.is_impaired})

    def _serving(self) -> list[ServingVersion]:
        champions = [surface.champion for surface in self.all_surfaces()]
        return [one for one in [*champions, *self.versions.values()] if one is not None]
