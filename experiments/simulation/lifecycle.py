"""Ours: screening, ramp with breaker, looks to a verdict, cool-down; the product decides each step.

Only the traffic is drawn. The breaker is `experiments.stats.breaker`'s, the users that a step of the
ramp needs are `experiments.programme.harm`'s, a verdict is `take_look`'s. `fit_prior` fits the prior of
a bet to the tests before. A screening by interleaving is `screening.py`'s.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from experiments.programme.harm import DEFAULT_ALPHA, TESTS, harm_class_of, required_users
from experiments.simulation.screening import screen_challengers
from experiments.simulation.traffic import ArmTraffic, EpochCounts
from experiments.stats.cumulative_gain import fit_prior
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.policy import Policy
from experiments.stats.rules import Bound, Progress, RuleState, bound_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.simulation.settings import YearSettings
    from experiments.simulation.year import Challenger, Year
    from experiments.stats.cumulative_gain import LogGain
    from experiments.stats.look_result import LookResult

# Those of a programme that nobody has changed; a test compares them with `experiments.models`.
RAMP_SHARES = (0.01, 0.1, 0.5)
COOLDOWN_DAYS = 1
SECONDS_PER_DAY = 86_400.0


def policy_of(settings: YearSettings, ship_when: str) -> Policy:
    """Return the decision policy of a test: the default one with a plan, which is its end."""
    weeks = settings.valuable_weeks if ship_when == "valuable" else settings.significant_weeks
    return Policy(
        planned_units=max(round(weeks * settings.users_per_week), 2),
        overrun=1.0,
        ship_when=ship_when,
    )


def run_lifecycle(year: Year, *, ship_when: str, interleaving: bool) -> None:
    """Pass a year under our life cycle."""
    policy = policy_of(year.settings, ship_when)
    effects: list[LogGain] = []  # of all challengers that were tested, the lost ones included
    while not year.is_over:
        waiting = year.waiting()
        if not waiting:
            year.day += 1
            continue
        year.newest_tested = waiting[-1].number
        challenger = waiting[-1]
        if interleaving:
            # No cool-down after it: everybody gets the champion again.
            preferred = screen_challengers(year, waiting, planned_units=policy.planned_units)
            if preferred is None:
                continue
            challenger = preferred
        prior = fit_prior(effects)
        # A policy's prior has bounds, which a year of nothing but broken challengers would pass.
        mean = min(max(prior.mean, -1.0), 1.0)
        end = run_test(year, challenger, replace(policy, prior_mean=mean, prior_sd=prior.sd))
        if end.ships:
            year.promote(challenger)
        if end.effect is not None:
            effects.append(end.effect)
        year.day += COOLDOWN_DAYS


def pass_day(year: Year, challenger: Challenger, traffic: ArmTraffic, *, share: float) -> bool:
    """Pass a day of a test; return whether the breaker trips on it.

    Args:
        year: that passes.
        challenger: that is tested.
        traffic: of the test.
        share: of all users who see the challenger.
    """
    tripped = traffic.add_day(2 * share, watched=True)
    year.serve(challenger, share=share, days=1.0 if tripped is None else tripped)
    year.day += 1
    return tripped is not None


class Ending(NamedTuple):
    """How a test ended: whether its challenger ships, and the effect that was measured, if one was."""

    ships: bool
    effect: LogGain | None


def run_test(year: Year, challenger: Challenger, policy: Policy) -> Ending:
    """Ramp a challenger up under the breaker and look every day until a verdict."""
    year.record.tests += not year.is_over
    traffic, looks, step, began = ArmTraffic(year, challenger), Looks(policy), 0, year.day
    while not year.is_over:
        if pass_day(year, challenger, traffic, share=RAMP_SHARES[step]):
            break
        result = looks.take(traffic, days=year.day - began)
        if result is not None and result.action != "keep_running":
            return Ending(result.action == "ship", traffic.log_gain())
        if step < len(RAMP_SHARES) - 1 and _may_leave(year, RAMP_SHARES[step], traffic):
            step += 1
            traffic.epochs.append(EpochCounts())
    return Ending(ships=False, effect=traffic.log_gain())


def _may_leave(year: Year, share: float, traffic: ArmTraffic) -> bool:
    """Whether a step has lasted its day and had the users that show its class of harm."""
    users = required_users(harm_class_of(share), alpha=DEFAULT_ALPHA, tests=TESTS)
    return year.settings.daily_ramp or traffic.epoch.treatment_n >= users


class Looks:
    """The looks at one test, one a day.

    A look that can only say "keep running" is not taken, which is most of the time: what its bound is
    follows from the units alone, and the next look gets the state that it would have left.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        # What ships as the better bet is judged by the same bounds; so all tests share them.
        self.plain = replace(policy, ship_when="significant", prior_mean=0.0, prior_sd=0.03)
        self.units: tuple[int, ...] = ()
        self.crossed: Sequence[str] = ()

    def take(self, traffic: ArmTraffic, *, days: int) -> LookResult | None:
        """Return today's look, or None where it could not end the test."""
        before, self.units = self.units, (*self.units, traffic.units)
        if not self._could_end(traffic):
            return None
        state = _bound_after(self.plain, before).state if before else RuleState()
        result = take_look(
            LookInput(
                policy=self.policy,
                control="control",
                treatments=["treatment"],
                metrics=[traffic.metric()],
                exposures=[],
                crossover_units=0,
                elapsed_seconds=days * SECONDS_PER_DAY,
                states={"treatment": state},
                crossed=self.crossed,
            )
        )
        self.crossed = result.crossed
        return result

    def _could_end(self, traffic: ArmTraffic) -> bool:
        if self.crossed or traffic.units >= self.policy.planned_units:
            return True
        bound = _bound_after(self.plain, self.units)
        effect = traffic.effect() if bound.tested else None
        if effect is None:
            return False
        size = abs(effect.z)
        return size >= bound.critical or size < bound.futile_below


@lru_cache(maxsize=512)  # each holds a grid of some 300 points; plans of a year have few paths of units
def _bound_after(policy: Policy, units: tuple[int, ...]) -> Bound:
    """Return the bound of the last of several looks, by the units at each."""
    before = _bound_after(policy, units[:-1]).state if len(units) > 1 else RuleState()
    return bound_at(policy, before, Progress(units[-1]))
