"""Which version answers: the surface, what the request forces, and the variant of its unit."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.gateway.http.access import require_secret
from bakeoff.gateway.http.errors import ApiError, invalid, not_found
from experiments.assignment import decide
from experiments.assignment.holdouts import HELD
from experiments.assignment.qa_links import LinkError, read_link
from experiments.bounds import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig, SurfaceConfig
    from bakeoff.gateway.config.versions import ServingVersion
    from bakeoff.gateway.slates.requests import SurfaceRequest
    from bakeoff.gateway.slates.visitors import Visitor
    from experiments.assignment import RunningExperiment, RunningVariant, UnitRecord

GENERATE = "generate"
NOT_INTERLEAVED: Mapping[int, ServingVersion | None] = MappingProxyType({})


class ChosenVersion(NamedTuple):
    """The version that answers a unit, and why.

    Attributes:
        version: None when the surface has none: its static list answers.
        experiment: that the unit is in, or None.
        variant: key of its variant there, or None.
        reason: in OpenFeature's words.
        forced: set by a person: it does not count for analysis.
        reference: the measured holdout whose slice `everyone` the unit is in, or None: it lives as
            everybody does, and counts there too.
        interleaved: versions by their variants' ids, control first, whose items the slate holds;
            nothing where one version answers. `version` is then the control's.
    """

    version: ServingVersion | None
    experiment: RunningExperiment | None
    variant: str | None
    reason: str
    forced: bool = False
    reference: RunningExperiment | None = None
    interleaved: Mapping[int, ServingVersion | None] = NOT_INTERLEAVED

    @property
    def exposed_variant(self) -> str | None:
        """The variant that an exposure names: of interleaved ones the control, for all of them."""
        if self.experiment is not None and self.interleaved:
            return next(iter(self.experiment.variants))
        return self.variant

    @property
    def full_variant(self) -> str | None:
        """EXPERIMENT/VARIANT of one that answers alone, or None."""
        if self.experiment is None or self.variant is None:
            return None
        return f"{self.experiment.key}/{self.variant}"

    @property
    def label(self) -> str | None:
        """What answers: the version's label, or those of all that are interleaved."""
        versions = self.interleaved.values() or (self.version,)
        return " + ".join(one.label for one in versions if one is not None) or None

    @property
    def served_variant(self) -> RunningVariant | None:
        """The variant of the unit, or None."""
        if self.experiment is None or self.variant is None:
            return None
        return self.experiment.variants[self.variant]


def with_rules_of(config: ServingConfig, variant: RunningVariant | None, visitor: Visitor) -> Visitor:
    """Return the visitor on a surface with a variant's rules, where it has its own."""
    rules = config.variant_rules.get(variant.variant_id) if variant is not None else None
    if rules is None:
        return visitor
    return visitor._replace(surface=replace(visitor.surface, rules=rules))


def find_surface(config: ServingConfig, key: KeyConfig, name: str, kind: str) -> SurfaceConfig:
    """Return the surface that a request names.

    Raises:
        ApiError: 404 when the key's project has no such surface, 410 when it is archived, 422 when it
            is of another kind.
    """
    surfaces = config.surfaces.get(key.project_id, {})
    surface = surfaces.get(name)
    if name in config.archived.get(key.project_id, ()):
        message = f"surface == {shown(name)}, is archived: restore it, or ask another surface."
        raise ApiError(410, "surface_archived", message, field="surface")
    if surface is None:
        raise not_found("surface", name, key.project, surfaces)
    if surface.kind != kind:
        path = "/v1/chat/completions" if surface.kind == GENERATE else f"/v1/{surface.kind}"
        raise ApiError(
            422,
            "wrong_kind",
            f"surface '{name}' is of kind '{surface.kind}', must be '{kind}': ask {path}.",
            field="surface",
        )
    return surface


def forced_variants(
    surface: SurfaceConfig, key: KeyConfig, request: SurfaceRequest, *, secret: str
) -> dict[str, str]:
    """Return the variants that a request forces, by experiment: with a secret key, or by a signed link.

    Raises:
        ApiError: 403 with a public key, 400 for an unknown variant or a link that does not hold.
    """
    overrides = request.overrides
    if overrides:
        require_secret(key, "overrides")
    if request.force is not None:
        try:
            link = read_link(secret, request.force, key.project_id)
        except LinkError as error:
            raise invalid("force", request.force, f"a link that holds: {error}") from error
        overrides = {link.experiment: link.variant, **overrides}
    if not overrides:
        return {}
    forced = {}
    for experiment in surface.experiments:
        variant = overrides.get(experiment.key)
        # A link may name an experiment of another surface, or one that has ended.
        if variant is None:
            continue
        if not isinstance(variant, str) or variant not in experiment.variants:
            raise invalid("overrides", variant, f"one of {sorted(experiment.variants)}")
        forced[experiment.key] = variant
    return forced


def choose_version(
    config: ServingConfig, visitor: Visitor, forced: Mapping[str, str], record: UnitRecord
) -> ChosenVersion:
    """Return the holdout's version for who is held out; for others by the surface's experiments.

    Args:
        config: the configuration.
        visitor: who.
        forced: variants that the request forces, by experiment.
        record: what is stored of the unit.
    """
    surface = visitor.surface
    # Most surfaces have none running: they pay for no look-up of rules.
    if not surface.experiments and surface.holdout is None:
        return ChosenVersion(surface.champion, None, None, "DEFAULT")
    # Before any rule: a person who tests sees the variant even where the unit is held out.
    for experiment in surface.experiments:
        variant = forced.get(experiment.key)
        if variant is not None:
            version = config.version_of(experiment.variants[variant])
            return ChosenVersion(version, experiment, variant, "STATIC", forced=True)
    if surface.holdout is None:
        return _by_experiments(config, visitor, record)
    held = decide(surface.holdout, visitor.unit, visitor.context, others={}, record=record)
    if held.variant == HELD:
        version = config.version_of(surface.holdout.variants[HELD])
        return ChosenVersion(version, surface.holdout, HELD, held.reason)
    chosen = _by_experiments(config, visitor, record)
    return chosen if held.variant is None else chosen._replace(reference=surface.holdout)


def _by_experiments(config: ServingConfig, visitor: Visitor, record: UnitRecord) -> ChosenVersion:
    """Return the version of the first experiment that the unit is in, or else the champion.

    Experiments of one surface exclude each other by their layer.
    """
    surface = visitor.surface
    rules = config.flags[visitor.key.project_id].rules
    reason = "DEFAULT"
    for experiment in surface.experiments:
        decision = decide(experiment, visitor.unit, visitor.context, others=rules, record=record)
        if decision.variant is not None and experiment.is_interleaved and not decision.forced:
            return _interleaved(config, experiment, decision.reason)
        if decision.variant is not None:
            version = config.version_of(experiment.variants[decision.variant])
            return ChosenVersion(
                version, experiment, decision.variant, decision.reason, forced=decision.forced
            )
        reason = decision.reason
    return ChosenVersion(surface.champion, None, None, reason)


def _interleaved(config: ServingConfig, experiment: RunningExperiment, reason: str) -> ChosenVersion:
    """Return all versions of an experiment that still take part, whatever variant the unit drew."""
    versions = {
        variant.variant_id: config.version_of(variant)
        for variant in experiment.variants.values()
        if variant.weight > 0
    }
    control = next(iter(versions.values()), None)
    return ChosenVersion(control, experiment, None, reason, interleaved=versions)


def by_one_version(chosen: ChosenVersion, surface: SurfaceConfig) -> ChosenVersion:
    """Return the champion's answer where the request is of a kind that is not interleaved."""
    return ChosenVersion(surface.champion, None, None, "DEFAULT", reference=chosen.reference)
