"""Where each challenger of a surface stands: trained, gate, shadow, screening, ramp, verdict, holdback.

Read in a handful of queries, however many challengers there are.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from experiments.models import Challenger, Decision, Experiment, Proposal, Variant, programme_of
from experiments.programme.queue import IN_SHADOW
from experiments.programme.queue_types import LeftQueue
from experiments.programme.ramp import read_ramp
from experiments.reports.autopilot_report import PipelineRow, PipelineStage
from experiments.reports.code_names import name_of
from experiments.reports.percentages import percent
from experiments.reports.screening_stage import is_screening, last_looks, screening_stage
from experiments.reports.stored_text import show_stored
from experiments.reports.verdict import word_of
from inference.models import AliasMove, ModelVersion, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from experiments.programme.ramp_types import RampState
    from experiments.reports.autopilot_report import ChallengerState, Stage
    from inference.models import Surface

MAX_ROWS = 15
STAGES: tuple[Stage, ...] = (
    "trained", "gate", "shadow", "screening", "ramp", "verdict", "holdback",
)  # fmt: skip
ALIAS = ModelVersion.Alias


@dataclass(slots=True)
class _Facts:
    """What is known of one version.

    Attributes:
        run: that trained it.
        moves: of its alias, in their order.
        test: in which it is or was the treatment, the newest.
        screening: its variant in the newest interleaving that screened it.
        screened: how far it is there.
        holdback: after its promotion.
        decisions: on the test and the holdback, by experiment.
        ramp: of the test, while it runs.
        shares: of all users that the test's epochs reached, in their order.
        is_proposed: whether it waits for people's approval.
        challenger: what people did to its place.
    """

    run: TrainingRun | None = None
    moves: list[AliasMove] = field(default_factory=list)
    test: Experiment | None = None
    screening: Variant | None = None
    screened: PipelineStage | None = None
    holdback: Experiment | None = None
    decisions: dict[int, Decision] = field(default_factory=dict)
    ramp: RampState | None = None
    shares: list[float] = field(default_factory=list)
    is_proposed: bool = False
    challenger: Challenger | None = None

    def decision_on(self, experiment: Experiment | None) -> Decision | None:
        """Return the last decision on an experiment."""
        return self.decisions.get(experiment.pk) if experiment is not None else None


def read_pipeline(surface: Surface, now: datetime) -> list[PipelineRow]:
    """Return challengers and the runs that are under way, the newest first."""
    versions = list(surface.versions.order_by("-id")[:MAX_ROWS])
    facts = _read_facts(surface, versions, now)
    asks = programme_of(surface).interleave_first > 0
    screens = asks or any(one.screening is not None for one in facts.values())
    order = STAGES if screens else tuple(stage for stage in STAGES if stage != "screening")
    active = surface.training_runs.filter(state__in=TrainingRun.ACTIVE).order_by("-id")
    return [
        *(_training_row(run, order) for run in active[:MAX_ROWS]),
        *(_version_row(version, facts[version.pk], surface, order, asks=asks) for version in versions),
    ]


def _read_facts(
    surface: Surface, versions: Sequence[ModelVersion], now: datetime
) -> Mapping[int, _Facts]:
    facts: dict[int, _Facts] = defaultdict(_Facts)
    for run in TrainingRun.objects.filter(version__in=versions).order_by("id"):
        facts[run.version_id or 0].run = run
    for move in AliasMove.objects.filter(version__in=versions).order_by("id"):
        facts[move.version_id].moves.append(move)
    for challenger in Challenger.objects.filter(version__in=versions):
        facts[challenger.version_id].challenger = challenger
    variants = Variant.objects.filter(model_version__in=versions, experiment__surface=surface)
    by_experiment: dict[int, list[_Facts]] = defaultdict(list)
    for variant in variants.select_related("experiment").order_by("experiment_id"):
        fact, experiment = facts[variant.model_version_id or 0], variant.experiment
        if experiment.purpose == Experiment.Purpose.TEST and not variant.is_control:
            if is_screening(experiment):
                fact.screening = variant
            else:
                fact.test = experiment
        elif experiment.purpose == Experiment.Purpose.HOLDBACK and variant.key == "promoted":
            fact.holdback = experiment
        else:
            continue
        by_experiment[experiment.pk].append(fact)
    _read_experiments(by_experiment, now)
    _read_screenings(facts, versions)
    return facts


def _read_experiments(by_experiment: Mapping[int, Sequence[_Facts]], now: datetime) -> None:
    for decision in Decision.objects.filter(experiment__in=by_experiment).order_by("id"):
        for fact in by_experiment[decision.experiment_id or 0]:
            fact.decisions[decision.experiment_id or 0] = decision
    open_now = Proposal.objects.open_now().filter(experiment__in=by_experiment)
    for experiment_id in open_now.values_list("experiment_id", flat=True):
        for fact in by_experiment[experiment_id or 0]:
            fact.is_proposed = True
    # One test runs on a surface: this is one ramp, not one per row.
    running = Experiment.objects.running().tests().filter(pk__in=by_experiment)
    for experiment in running:
        if is_screening(experiment):
            continue
        for fact in by_experiment[experiment.pk]:
            fact.ramp = read_ramp(experiment, now)


def _read_screenings(facts: Mapping[int, _Facts], versions: Sequence[ModelVersion]) -> None:
    screened = [version for version in versions if facts[version.pk].screening is not None]
    looks = last_looks(one.experiment_id for v in screened if (one := facts[v.pk].screening))
    for version in screened:
        fact = facts[version.pk]
        if (variant := fact.screening) is not None:
            decision = fact.decision_on(variant.experiment)
            look = looks.get(variant.experiment_id)
            fact.screened = screening_stage(variant, version, look, decision)


def _training_row(run: TrainingRun, order: Sequence[Stage]) -> PipelineRow:
    label = f"{run.progress:.0%}" if run.state == TrainingRun.State.RUNNING else _("Queued")
    detail = _("Run %(number)s") % {"number": run.pk}
    return PipelineRow(
        name=run.algorithm,
        version=None,
        run=run.pk,
        algorithm=run.algorithm,
        state="training",
        stages=_filled(order, PipelineStage("trained", "now", label, detail, run.started_at)),
    )


def _version_row(
    version: ModelVersion, facts: _Facts, surface: Surface, order: Sequence[Stage], *, asks: bool
) -> PipelineRow:
    return PipelineRow(
        name=facts.test.title if facts.test is not None and facts.test.name else version.label,
        version=version,
        run=facts.run.pk if facts.run is not None else None,
        algorithm=version.algorithm,
        state=_state(version, facts),
        stages=_filled(
            order,
            _trained(version, facts),
            _gate(version),
            *_shadow(version, facts, surface),
            *_screening(version, facts, asks=asks),
            *_ramp(facts),
            *_verdict(facts),
            *_holdback(facts),
        ),
        experiment=facts.test,
    )


def _filled(order: Sequence[Stage], *reached: PipelineStage) -> tuple[PipelineStage, ...]:
    """Return all stages in their order; what was not reached is none."""
    by_stage = {stage.stage: stage for stage in reached}
    return tuple(by_stage.get(stage, PipelineStage(stage, "none")) for stage in order)


def _state(version: ModelVersion, facts: _Facts) -> ChallengerState:
    if facts.test is not None and facts.test.state == Experiment.State.RUNNING:
        return _running_state(facts)
    if facts.test is None and facts.screened is not None and facts.screened.state == "now":
        return "screening"
    if version.alias == ALIAS.REJECTED:
        return _rejected_state(facts)
    if version.alias == ALIAS.RETIRED:
        return _retired_state(facts)
    if version.alias == ALIAS.CANDIDATE:
        return _candidate_state(facts)
    return _alive_state(version, facts)


def _alive_state(version: ModelVersion, facts: _Facts) -> ChallengerState:
    if version.alias == ALIAS.CHALLENGER:
        return "on_hold" if facts.challenger is not None and facts.challenger.held else "waiting"
    return "champion" if version.alias == ALIAS.CHAMPION else "shadow"


def _rejected_state(facts: _Facts) -> ChallengerState:
    if facts.test is None and facts.screened is not None:
        return "not_preferred"
    decision = facts.decision_on(facts.test)
    rolled_back = decision is not None and decision.action == Decision.Action.ROLL_BACK
    return "rolled_back" if rolled_back else "refused"


def _retired_state(facts: _Facts) -> ChallengerState:
    confirmed = facts.decision_on(facts.holdback)
    is_confirmed = confirmed is not None and confirmed.action == Decision.Action.CONFIRM
    return "confirmed" if is_confirmed else "retired"


def _running_state(facts: _Facts) -> ChallengerState:
    if facts.is_proposed:
        return "proposed"
    if facts.ramp is None or facts.ramp.next_share is None:
        return "testing"
    return "held" if facts.ramp.held_by else "ramping"


def _candidate_state(facts: _Facts) -> ChallengerState:
    if facts.test is not None or facts.screening is not None:
        return "inconclusive"
    cause = facts.moves[-1].evidence.get("queue") if facts.moves else None
    return "superseded" if cause in {LeftQueue.SUPERSEDED, LeftQueue.OLDER_DATA} else "dropped"


def _trained(version: ModelVersion, facts: _Facts) -> PipelineStage:
    detail = _("Run %(number)s") % {"number": facts.run.pk} if facts.run else _("Registered")
    return PipelineStage("trained", "done", _("Trained"), detail, version.created_at)


def _gate(version: ModelVersion) -> PipelineStage:
    if not version.passed_gate:
        reasons = version.gate.get("reasons") or [""]
        return PipelineStage("gate", "stopped", _("Refused"), show_stored(str(reasons[0])))
    primary = version.gate.get("rule", {}).get("primary", "")
    row = version.gate.get("rows", {}).get(primary) or {}
    ours, theirs = row.get("challenger"), row.get("champion")
    change = f"{name_of(primary)} {percent(ours / theirs - 1)}" if ours is not None and theirs else ""
    return PipelineStage("gate", "done", _("Passed"), change)


def _shadow(version: ModelVersion, facts: _Facts, surface: Surface) -> list[PipelineStage]:
    entered = [move for move in facts.moves if move.after == ALIAS.SHADOW]
    if not entered:
        passed_by = any((facts.test, facts.screening)) or (
            version.passed_gate and not surface.shadow_first
        )
        return [PipelineStage("shadow", "skipped", _("Skipped"))] if passed_by else []
    last = entered[-1]
    if version.alias == ALIAS.SHADOW:
        detail = "" if last.reason == IN_SHADOW else show_stored(last.reason)
        return [PipelineStage("shadow", "now", _("In shadow"), detail, last.moved_at)]
    left = next((move for move in facts.moves if move.before == ALIAS.SHADOW), None)
    if left is not None and left.after == ALIAS.REJECTED:
        return [PipelineStage("shadow", "stopped", _("Refused"), show_stored(left.reason))]
    return [PipelineStage("shadow", "done", _("Passed"), at=last.moved_at)]


def _screening(version: ModelVersion, facts: _Facts, *, asks: bool) -> list[PipelineStage]:
    if facts.screened is not None:
        return [facts.screened]
    if facts.test is not None:
        return [PipelineStage("screening", "skipped", _("Skipped"))]
    waits = asks and version.alias == ALIAS.CHALLENGER
    return [PipelineStage("screening", "none", _("Waiting"))] if waits else []


def _ramp(facts: _Facts) -> list[PipelineStage]:
    test, ramp = facts.test, facts.ramp
    if test is None or test.started_at is None:
        return []
    if ramp is not None and ramp.next_share is not None:
        share = f"{100 * ramp.current.share:.3g}%"
        if ramp.held_by:
            label = _("Held at %(share)s") % {"share": share}
            return [PipelineStage("ramp", "held", label, ramp.held_by[0].sentence, test.started_at)]
        return [PipelineStage("ramp", "now", share, at=test.started_at)]
    decision = facts.decision_on(test)
    if decision is not None and "breaker" in decision.evidence:
        return [PipelineStage("ramp", "stopped", _("Breaker"), show_stored(decision.reason))]
    return [PipelineStage("ramp", "done", f"{50 * test.allocation:.3g}%", at=test.started_at)]


def _verdict(facts: _Facts) -> list[PipelineStage]:
    test, decision = facts.test, facts.decision_on(facts.test)
    if test is None:
        return []
    if test.state == Experiment.State.RUNNING:
        if facts.is_proposed:
            return [PipelineStage("verdict", "now", _("Needs approval"))]
        testing = facts.ramp is None or facts.ramp.next_share is None
        return [PipelineStage("verdict", "now", _("Testing"))] if testing else []
    if decision is None or "breaker" in decision.evidence:
        return []
    shipped = decision.action == Decision.Action.SHIP
    return [
        PipelineStage(
            "verdict",
            "done" if shipped else "stopped",
            word_of(decision.action),
            show_stored(decision.reason),
            decision.created_at,
        )
    ]


def _holdback(facts: _Facts) -> list[PipelineStage]:
    holdback, decision = facts.holdback, facts.decision_on(facts.holdback)
    if holdback is None or holdback.started_at is None:
        return []
    if holdback.state == Experiment.State.RUNNING:
        return [PipelineStage("holdback", "now", _("Measuring"), at=holdback.started_at)]
    if decision is None:
        return []
    confirmed = decision.action == Decision.Action.CONFIRM
    return [
        PipelineStage(
            "holdback",
            "done" if confirmed else "stopped",
            word_of(decision.action),
            show_stored(decision.reason),
            decision.created_at,
        )
    ]
