"""What every answer has in common: whose it is, which version gives it, and what is kept of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from uuid_utils import uuid7

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.http import fields
from bakeoff.gateway.http.access import require_secret
from bakeoff.gateway.http.caller import Consent
from bakeoff.gateway.http.errors import ApiError, invalid, not_found
from experiments.assignment import decide
from experiments.assignment.qa_links import LinkError, read_link
from experiments.bounds import check
from experiments.ingest.rows import ExposureRow, Rows, SlateRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig, SurfaceConfig
    from bakeoff.gateway.config.versions import ServingVersion
    from bakeoff.gateway.http.caller import Caller
    from bakeoff.gateway.intake.group_commit import GroupCommit
    from bakeoff.gateway.intake.identity_resolver import IdentityResolver
    from bakeoff.gateway.intake.intake import Intake
    from bakeoff.gateway.intake.unit_lookup import UnitLookup
    from experiments.assignment import RunningExperiment, UnitRecord
    from inference.serving.ladder import ServedSlate

MAX_CONTEXT_BYTES = 8192
EXPOSURES_REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class Route:
    """Which version answers a unit, and why."""

    version: ServingVersion | None
    experiment: RunningExperiment | None
    variant: str | None
    reason: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, on which surface, checked.

    Attributes:
        context: what the product says of the request.
        excluded: whether a server says that the visitor is a crawler, to be left out of analysis.
        exposed: whether it counts as a visitor: a crawler by its own header does not.
        consent: whether the answer may be kept, and models may learn from it.
    """

    key: KeyConfig
    surface: SurfaceConfig
    unit: str
    context: dict[str, Any]
    excluded: bool
    exposed: bool
    consent: Consent


def find_surface(
    config: ServingConfig, key: KeyConfig, data: dict[str, Any], kind: str
) -> SurfaceConfig:
    """Return the surface that a request names.

    Raises:
        ApiError: 400 without a name, 404 when the key's project has no such surface, 422 when it is
            asked in another way.
    """
    name = fields.text(data, "surface", max_length=64)
    surfaces = config.surfaces.get(key.project_id, {})
    surface = surfaces.get(name)
    if surface is None:
        raise not_found("surface", name, key.project, surfaces)
    if surface.kind != kind:
        raise ApiError(
            422,
            "wrong_kind",
            f"surface '{name}' is of kind '{surface.kind}', must be '{kind}': ask /v1/{surface.kind}.",
            field="surface",
        )
    return surface


def read_override(
    surface: SurfaceConfig, key: KeyConfig, data: dict[str, Any], secret: str
) -> dict[str, str]:
    """Return the variants that a request forces, by experiment: with a secret key, or by a signed link.

    Raises:
        ApiError: 403 with a public key, 400 for a variant that is none or a link that does not hold.
    """
    overrides = fields.mapping(data, "overrides")
    if overrides:
        require_secret(key, "overrides")
    token = fields.optional_text(data, "force", max_length=1000)
    if token is not None:
        try:
            link = read_link(secret, token, key.project_id)
        except LinkError as error:
            raise invalid("force", token, f"a link that holds: {error}") from error
        overrides = {link.experiment: link.variant, **overrides}
    forced = {}
    for experiment in surface.experiments:
        variant = overrides.get(experiment.key)
        if variant is None:
            continue
        if not isinstance(variant, str) or variant not in experiment.variants:
            raise invalid("overrides", variant, f"one of {sorted(experiment.variants)}")
        forced[experiment.key] = variant
    return forced


def choose_route(
    config: ServingConfig, visitor: Visitor, forced: Mapping[str, str], known: UnitRecord
) -> Route:
    """Return which version answers: that of the first experiment which the unit is in.

    Experiments of one surface exclude each other by their layer.
    """
    surface = visitor.surface
    if not surface.experiments:
        return Route(surface.champion, None, None, "DEFAULT")
    for experiment in surface.experiments:
        variant = forced.get(experiment.key)
        if variant is not None:
            version = config.version_of(experiment.variants[variant])
            return Route(version, experiment, variant, "STATIC", forced=True)
    rules = config.flags[visitor.key.project_id].rules
    reason = "DEFAULT"
    for experiment in surface.experiments:
        assigned = decide(experiment, visitor.unit, visitor.context, others=rules, record=known)
        if assigned.variant is not None:
            version = config.version_of(experiment.variants[assigned.variant])
            return Route(version, experiment, assigned.variant, assigned.reason, forced=assigned.forced)
        reason = assigned.reason
    return Route(surface.champion, None, None, reason)


def slate_row(
    visitor: Visitor, route: Route, served: ServedSlate, latency_ms: float, exploration: float
) -> SlateRow:
    """Return what is kept of an answer."""
    experiment = route.experiment
    variant = experiment.variants[route.variant] if experiment and route.variant else None
    return SlateRow(
        recommendation_id=str(uuid7()),
        project_id=visitor.key.project_id,
        surface_id=visitor.surface.surface_id,
        unit_id=visitor.unit,
        experiment_id=experiment.experiment_id if experiment else None,
        variant_id=variant.variant_id if variant else None,
        model_version_id=route.version.version_id if route.version else None,
        reason=route.reason,
        fallback=served.fallback,
        forced=route.forced,
        variant_weight=variant.weight if variant else None,
        slots=[
            (slot.item_id, slot.score, slot.rank, slot.propensity, slot.explored)
            for slot in served.slots
        ],
        candidate_count=served.candidate_count,
        candidate_hash=served.candidate_hash,
        exploration=exploration,
        latency_ms=latency_ms,
        context=visitor.context,
        served_at=datetime.now(UTC).isoformat(),
        trainable=visitor.consent.training,
    )


@dataclass(slots=True)
class Recorder:
    """Reads who asks and commits what was answered; one in a process."""

    writer: GroupCommit
    identity: IdentityResolver
    intake: Intake
    units: UnitLookup
    secret: str = ""
    _exposed: OrderedDict[tuple[int, str, str, int], None] = field(default_factory=OrderedDict)

    async def read_visitor(
        self, config: ServingConfig, caller: Caller, surface: SurfaceConfig, data: dict[str, Any]
    ) -> Visitor:
        """Return who asks.

        Raises:
            ApiError: ids, context or consent break a rule.
        """
        ids = fields.ids(data)
        context = fields.mapping(data, "context")
        check(context, "context", max_bytes=MAX_CONTEXT_BYTES)
        consent = Consent.of(data, caller)
        caller.spend_on([ids])
        (unit,) = await self.identity.units(
            config,
            caller.key.project_id,
            [ids],
            may_link=consent.analytics and not caller.is_crawler,
            trusted=caller.key.kind == SECRET,
        )
        return Visitor(
            key=caller.key,
            surface=surface,
            unit=unit,
            context=context,
            excluded=caller.names_crawler(context.get("user_agent")),
            exposed=not caller.is_crawler,
            consent=consent,
        )

    async def route(self, config: ServingConfig, visitor: Visitor, forced: Mapping[str, str]) -> Route:
        """Return which version answers."""
        surface = visitor.surface
        known = await self.units.find(visitor.key.project_id, visitor.unit, surface.experiments)
        return choose_route(config, visitor, forced, known)

    async def record(self, visitor: Visitor, route: Route, slate: SlateRow) -> bool:
        """Commit the slate, and the exposure if it is the first; return whether it was kept."""
        if not visitor.consent.analytics:
            return False
        rows = Rows(slates=[slate])
        # With its epoch: what a sticky experiment forgot is kept from the next meeting on.
        met: tuple[int, str, str, int] | None = None
        counts = visitor.exposed and not route.forced
        if route.experiment is not None and route.variant is not None and counts:
            met = (route.experiment.experiment_id, visitor.unit, route.variant, route.experiment.epoch)
            if met not in self._exposed:
                rows.exposures.append(_exposure_row(visitor, route.experiment, route.variant, slate))
        if visitor.excluded:
            rows.exclusions = self.intake.exclusions(visitor.key, [visitor.unit])
        try:
            await self.writer.commit(rows)
        except ApiError as error:
            if error.status == 503:  # the visitor gets an answer even if nothing can be kept
                return False
            raise
        self.intake.remember(rows.exclusions)
        if met is not None:
            self._remember(met)
        return True

    def _remember(self, met: tuple[int, str, str, int]) -> None:
        self._exposed[met] = None
        if len(self._exposed) > EXPOSURES_REMEMBERED:
            self._exposed.popitem(last=False)


def _exposure_row(
    visitor: Visitor, experiment: RunningExperiment, variant: str, slate: SlateRow
) -> ExposureRow:
    return ExposureRow(
        project_id=visitor.key.project_id,
        experiment_id=experiment.experiment_id,
        variant_id=experiment.variants[variant].variant_id,
        epoch=experiment.epoch,
        unit_id=visitor.unit,
        unit_type="unit",
        exposed_at=slate.served_at,
    )


def head_of(route: Route, slate: SlateRow, surface: SurfaceConfig) -> dict[str, Any]:
    """Return the fields that every answer has."""
    return {
        "recommendation_id": slate.recommendation_id,
        "surface": surface.key,
        "experiment": route.experiment.key if route.experiment else None,
        "variant": route.variant,
        "model": route.version.label if route.version else None,
        "reason": route.reason,
        "fallback": slate.fallback,
    }
