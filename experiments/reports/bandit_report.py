"""What a bandit shows: shares of new users, what they follow from, and what the split has cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from experiments.stats.bandit import chance_of_best, losses_of, regret_of, rewards_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Experiment, Look
    from experiments.stats.bandit import Regret, Rewards
    from experiments.stats.look_input import LookInput

MAX_EPOCHS = 20  # that a page shows, the newest


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One variant of a bandit.

    Attributes:
        variant: its key.
        share: of new users, now or at the end.
        exposed: users who met it.
        units: of them complete ones.
        mean: of the primary metric, stratified over epochs and drawn towards the mean of all; None
            while nothing tells the variants apart.
        chance: of being the best, by the last analysis; None likewise.
    """

    variant: str
    share: float
    exposed: int
    units: int
    mean: float | None
    chance: float | None


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One epoch: the propensities of the exposures in it.

    Attributes:
        number: of the epoch.
        started_at: in UTC.
        shares: by variant, in their order.
        exposed: users who came in it.
    """

    number: int
    started_at: datetime
    shares: Sequence[float]
    exposed: int


@dataclass(frozen=True, slots=True)
class BanditReport:
    """What the panel shows.

    Attributes:
        arms: the variants, control first.
        epochs: the newest ones, newest first.
        floor: the least share of a variant.
        next_update_at: when the next one is due, if enough users have come; None after the end.
        regret: what the split has cost beside sending everybody to the best variant, in the metric's
            unit; None while nothing tells the variants apart.
        equal_regret: of an equal split.
    """

    arms: Sequence[ArmRow]
    epochs: Sequence[ShareRow]
    floor: float
    next_update_at: datetime | None
    regret: float | None
    equal_regret: float | None

    @property
    def saved(self) -> float | None:
        """What an equal split would have cost more."""
        if self.regret is None or self.equal_regret is None:
            return None
        return self.equal_regret - self.regret

    def as_json(self) -> dict[str, Any]:
        """Return every field, and what was saved."""
        return asdict(self) | {"saved": self.saved}


def bandit_report_of(experiment: Experiment, look: Look | None) -> BanditReport | None:
    """Return what the last look says; None before it, and of an experiment that is no bandit."""
    inputs = look.parsed_inputs if look is not None else None
    if inputs is None or inputs.rewards is None:
        return None
    names = [inputs.control, *inputs.treatments]
    epochs = list(experiment.epochs.all())
    policy = experiment.parsed_policy
    rewards, regret = _rewards(inputs, names)
    running = experiment.state == experiment.State.RUNNING
    pause = timedelta(seconds=policy.update_every_seconds)
    return BanditReport(
        arms=_arm_rows(inputs, names, epochs[-1].weights, rewards),
        epochs=[
            ShareRow(
                epoch.number,
                epoch.started_at,
                [epoch.weights.get(name, 0.0) for name in names],
                # The look may be older than the newest epochs.
                sum(inputs.exposures[at][0].values()) if at < len(inputs.exposures) else 0,
            )
            for at, epoch in reversed(list(enumerate(epochs)))
        ][:MAX_EPOCHS],
        floor=policy.floor,
        next_update_at=epochs[-1].started_at + pause if running else None,
        regret=regret.bandit if regret is not None else None,
        equal_regret=regret.equal if regret is not None else None,
    )


def _rewards(inputs: LookInput, names: Sequence[str]) -> tuple[Rewards | None, Regret | None]:
    """Return the posteriors of the variants in traffic, and what the split has cost."""
    present = [name for name in names if name not in inputs.left]
    metric = replace(inputs.primary, epochs=inputs.rewards or ())
    rewards = rewards_of(metric, present)
    if rewards is None:
        return None, None
    losses = losses_of(metric, present, [name for name in names if name in inputs.left])
    return rewards, regret_of(losses, inputs.exposures)


def _exposed(inputs: LookInput) -> dict[str, int]:
    counts: dict[str, int] = {}
    for epoch, _ in inputs.exposures:
        for name, units in epoch.items():
            counts[name] = counts.get(name, 0) + units
    return counts


def _arm_rows(
    inputs: LookInput, names: Sequence[str], weights: dict[str, float], rewards: Rewards | None
) -> list[ArmRow]:
    exposed, means, chances = _exposed(inputs), dict[str, float](), dict[str, float]()
    if rewards is not None:
        direction = inputs.primary.direction
        best = chance_of_best(rewards.means, rewards.sds, direction=direction)
        means = dict(zip(rewards.variants, rewards.means.tolist(), strict=True))
        chances = dict(zip(rewards.variants, best.tolist(), strict=True))
    complete = [epoch.get(name) for epoch in inputs.rewards or () for name in names]
    return [
        ArmRow(
            variant=name,
            share=weights.get(name, 0.0),
            exposed=exposed.get(name, 0),
            units=sum(one.n for one in complete[n :: len(names)] if one is not None),
            mean=means.get(name),
            chance=chances.get(name),
        )
        for n, name in enumerate(names)
    ]
