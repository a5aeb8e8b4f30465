"""The demonstration's way through a whole life: ramp, verdict, holdback, and a breaker that trips.

Beside what a replay shows, a third challenger, somebody's model behind HTTP, passes its gate and begins
its test; then a faulty build of it is deployed. What should happen and does not is in the result.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Min
from django.urls import reverse
from django.utils import timezone

from bakeoff.accounts.actors import OPERATOR
from bakeoff.replay.dataset import by_unit
from bakeoff.replay.engine import Replay, ReplayResult
from bakeoff.replay.film_comments import with_voices
from bakeoff.replay.following import ReplayError, follow_experiment, follow_run, wait_until
from bakeoff.replay.narrator import Narrator
from bakeoff.replay.neighbours_endpoint import serving
from bakeoff.replay.plan import FIRST_SHARE
from bakeoff.replay.visitors import send_visitors
from experiments.actions.change_queue import move_to_front
from experiments.actions.retrain_surface import retrain_surface
from experiments.models import Experiment, Exposure, Theme, programme_of
from experiments.programme.start_conditions import find_obstacle
from experiments.reports.holdback_gain import gain_of
from experiments.reports.pipeline import read_pipeline
from experiments.tasks import read_new_themes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bakeoff.replay.dataset import Dataset
    from bakeoff.replay.engine import ReplayOptions
    from bakeoff.replay.reporter import Reporter
    from bakeoff.replay.visitors import SimulatedVisitor
    from experiments.models import Decision, Metric
    from experiments.reports.holdback_gain import HoldbackGain
    from inference.models import ModelVersion

DAY = 86_400.0
# Seconds in place of hours and days, and users that some seconds of visitors bring.
RAMP = (
    {"share": 0.1, "minimum_seconds": 3, "units": 20},
    {"share": 0.25, "minimum_seconds": 3, "units": 20},
    {"share": 0.5, "minimum_seconds": 0},
)
COOLDOWN_SECONDS, HOLDBACK_SECONDS = 5.0, 3600.0
HOLDBACK_SHARE = 0.2  # of 943 users: of half as many, too few click for an interval
LEARNT_SHARE = 0.5  # of each user's past: what the gate holds out is later
DEADLINE_MS = 2000  # a machine that trains meanwhile is slow
WAIT_SECONDS = 60.0  # for what takes a few, on a busy machine
# Visitors whom the ramp left out come again; and all of them while a faulty model is to be noticed.
MAX_ROUNDS = 5


def autopilot_programme(metric: Metric) -> dict[str, Any]:
    """Return the programme of the demonstration's surface."""
    return {
        "primary_metric": metric.key,
        "ramp": list(RAMP),
        "cooldown_days": COOLDOWN_SECONDS / DAY,
        "holdback_share": HOLDBACK_SHARE,
        "holdback_days": HOLDBACK_SECONDS / DAY,
    }


class AutopilotReplay(Replay):
    """A replay whose surface has a ramp, a cool-down and a holdback, and a third, faulty challenger.

    Its schedule trains two towers, and an operator tests frozen texts against the gate's advice.

    Its visitors write comments, which are simulated: the name of its project says so on every page.
    """

    scheduled = "two-tower"
    scheduled_params: ClassVar[Mapping[str, Any]] = {}
    first_share = FIRST_SHARE

    def __init__(self, dataset: Dataset, options: ReplayOptions, reporter: Reporter) -> None:
        """Fix the plan, as of a replay."""
        super().__init__(dataset, options, reporter)
        plan = self._plan
        self._plan = replace(plan, first=with_voices(plan.first), second=with_voices(plan.second))

    def run(self) -> ReplayResult:
        """Run the loop once, with the third challenger's server beside it.

        Raises:
            ReplayError: it stopped; the message says where and why.
        """
        with serving(self._early_likes()) as self._endpoint:
            return super().run()

    def _programme(self, clicks: Metric) -> Mapping[str, Any]:
        return autopilot_programme(clicks)

    def project_name(self) -> str:
        """Return the name of the data, and what of them is made up."""
        return f"{self._dataset.name}, comments simulated"

    def _train_more(self) -> None:
        self._frozen = self._train("frozen-text")
        self._report_gate(self._frozen)
        self._reporter.echo(
            "Visitors will write comments. They are simulated: the data have ratings, and no texts."
        )
        self._reporter.echo(f"A third challenger answers over HTTP at {self._endpoint.url}.")
        params = {"url": self._endpoint.url, "deadline_ms": DEADLINE_MS}
        run = retrain_surface(
            surface=self._surface, algorithm="endpoint", trigger=OPERATOR, params=params
        )
        self._third = follow_run(run, self._reporter)
        self._report_gate(self._third)
        if self._third.passed_gate:  # also where another one passed that should not have
            move_to_front(version=self._third, by=OPERATOR, reason="the next to be shown")

    def _send(self, experiment: Experiment, visitors: Sequence[SimulatedVisitor]) -> None:
        """Let the visitors come; whom the ramp left out comes again, until the experiment ends."""
        with Narrator(experiment, self._reporter) as narrator:
            waiting = list(visitors)
            for turn in range(MAX_ROUNDS):
                come = "come again: the ramp left them out" if turn else f"meet {experiment}"
                comers = narrator.while_running(waiting)
                self._send_all(experiment, comers, f"Visitors {come}", len(waiting))
                waiting = self._left_out(experiment, visitors)
                if not waiting or not narrator.is_running or not experiment.ramp:
                    break

    def _left_out(
        self, experiment: Experiment, visitors: Sequence[SimulatedVisitor]
    ) -> list[SimulatedVisitor]:
        # Users of a holdback are in no test, however often they come.
        holdback = self._holdback()
        keys = {experiment.key, holdback.key if holdback is not None else ""}
        met = {unit for key, unit in self._ledger.exposures if key in keys}
        return [visitor for visitor in visitors if visitor.unit_id not in met]

    def _test_more(self, result: ReplayResult) -> None:
        self._test_third(result)
        if self._frozen.passed_gate:
            self._reporter.echo(
                f"{self._frozen} passed the gate on these data; the loop gives it its experiment."
            )
            second = self._wait_for_experiment(self._frozen)
        else:
            result.refused.append(self._frozen)
            second = self._start_against_gate(self._frozen)
        result.experiments.append(self._compete(second, self._plan.second))

    def _test_third(self, result: ReplayResult) -> None:
        if not self._third.passed_gate:
            result.refused.append(self._third)
            result.missing.append(f"{self._third} should have passed its gate")
            return
        self._tell_holdback_opened()
        experiment = self._await_turn(self._third)
        self._announce(experiment)
        self._endpoint.is_faulty = True
        self._reporter.echo(
            f"A faulty build of {self._third} is deployed: it answers every request with an error."
        )
        narrator = self._send_until_ended(experiment)
        window = self._policy["window_seconds"]
        verdict = follow_experiment(experiment, self._reporter, window_seconds=window)
        result.experiments.append((experiment, verdict))
        self._tell_trip(experiment, narrator.shares, result)

    def _send_until_ended(self, experiment: Experiment) -> Narrator:
        """Let all visitors come again until the experiment ends, then those who have not come yet.

        Of these the holdback lives: a user counts there by what it clicks when it comes first.
        """
        everybody, came = self._plan.first, set[str]()
        again = chain.from_iterable(repeat(everybody, MAX_ROUNDS))
        with Narrator(experiment, self._reporter) as narrator:
            comers = _noting(narrator.while_running(again), came)
            self._send_all(experiment, comers, f"Visitors meet {experiment}", None)
        rest = [visitor for visitor in everybody if visitor.unit_id not in came]
        self._send_all(experiment, rest, "The other visitors come: the holdback measures", len(rest))
        return narrator

    def _send_all(
        self,
        experiment: Experiment,
        visitors: Iterable[SimulatedVisitor],
        label: str,
        total: int | None,
    ) -> None:
        with self._reporter.progress(label, total) as advance:
            asyncio.run(send_visitors(self._traffic(experiment), visitors, self._ledger, advance))

    def _await_turn(self, version: ModelVersion) -> Experiment:
        """Wait for the cool-down and the start of a challenger's test."""
        obstacle = find_obstacle(programme_of(self._surface), timezone.now())
        if obstacle is not None and obstacle.until is not None:
            left = (obstacle.until - timezone.now()).total_seconds()
            self._reporter.echo(f"Cool-down: {left:.0f} s left; {version} waits for its test.")
        experiment = self._wait_for_experiment(version)
        wait_until(lambda: _is_started(experiment), f"the start of {experiment}")
        self._reporter.echo(f"The autopilot starts {experiment.key}.")
        return experiment

    def _tell_holdback_opened(self) -> None:
        holdback = self._holdback()
        if holdback is not None:
            self._reporter.echo(
                f"Holdback: {HOLDBACK_SHARE:.0%} of all users stay on "
                f"{holdback.control.model_version}, as many on "
                f"{holdback.treatments[0].model_version} are their counterpart ({holdback.key})."
            )

    def _tell_trip(self, experiment: Experiment, shares: Sequence[float], result: ReplayResult) -> None:
        """Tell how fast the faulty challenger was switched off, by whom, and who confirms it."""
        decision = experiment.decisions.first()
        if decision is None or decision.action != decision.Action.ROLL_BACK:
            result.missing.append(f"{self._third} should have been switched off")
            return
        # Either may see the errors first: the breaker, or a look at the guardrail of errors.
        by_breaker = "breaker" in decision.evidence
        confirmed = ""
        if by_breaker:
            confirming = "every web process's confirmation of the trip"
            wait_until(lambda: _is_confirmed(decision), confirming, seconds=WAIT_SECONDS)
            count = len(decision.read_back)
            confirmed = f"; confirmed by {count} web process{'es' if count > 1 else ''}"
        treated = Exposure.objects.filter(
            experiment=experiment, variant__in=experiment.variants.filter(is_control=False)
        )
        first = treated.aggregate(at=Min("exposed_at"))["at"]
        seconds = (decision.created_at - first).total_seconds()
        self._reporter.echo(
            f"{'The breaker' if by_breaker else 'A guardrail'} switched {self._third} off "
            f"{seconds:.1f} s after its first visitor: {treated.count()} users met it, at "
            f"{100 * shares[-1]:.3g}% of the traffic{confirmed}."
        )
        if len(shares) >= len(RAMP):
            result.missing.append(
                "the faulty build should have been switched off before the ramp's last step"
            )

    def _check(self, result: ReplayResult) -> None:
        super()._check(result)
        self._check_ramp(result)
        self._check_holdback(result)
        self._check_themes(result)
        result.summary += self._pipeline_lines()
        result.summary += self._links()

    def _check_ramp(self, result: ReplayResult) -> None:
        """Look for every step of the first test's ramp among its epochs."""
        first, _ = result.experiments[0]
        reached = first.epochs.count()
        if reached < len(RAMP):
            result.missing.append(f"{first} should have taken {len(RAMP)} steps, it took {reached}")

    def _check_holdback(self, result: ReplayResult) -> None:
        """Wait for the holdback's interval: the visitors have come, the next look has it."""
        holdback = self._holdback()
        if holdback is None:
            result.missing.append("a holdback should be open")
            return
        with suppress(ReplayError):
            wait_until(
                lambda: gain_of(holdback).status != "unknown", "the interval", seconds=WAIT_SECONDS
            )
        gain = gain_of(holdback)
        if gain.status == "unknown":
            result.missing.append("the holdback should have an interval")
            return
        line = f"Holdback {holdback.key}: {_gain_words(gain)}; it stays open."
        self._reporter.echo(line)
        result.summary.append(line)

    def _check_themes(self, result: ReplayResult) -> None:
        """Have the comments sorted into themes, which a worker does, and wait for them."""
        themes = Theme.objects.filter(surface=self._surface, gone_at=None)
        read_new_themes()
        with suppress(ReplayError):
            wait_until(themes.exists, "the themes of what visitors wrote", seconds=WAIT_SECONDS)
        if not themes.exists():
            result.missing.append("comments should have been sorted into themes")
            return
        self._reporter.echo(f"Simulated comments were sorted into {themes.count()} themes.")

    def _holdback(self) -> Experiment | None:
        running = Experiment.objects.running().filter(surface=self._surface)
        return running.filter(purpose=Experiment.Purpose.HOLDBACK).first()

    def _early_likes(self) -> Mapping[str, Sequence[str]]:
        """Return what each user liked in the first half of its past."""
        likes: dict[str, list[str]] = defaultdict(list)
        for unit, past in by_unit(self._plan.past).items():
            for interaction in past[: int(len(past) * LEARNT_SHARE)]:
                if self._dataset.likes(interaction):
                    likes[unit].append(interaction.item_id)
        return likes

    def _pipeline_lines(self) -> list[str]:
        """Return the pipeline, a line for each challenger."""
        rows = read_pipeline(self._surface, timezone.now())
        width = max(len(row.name) for row in rows)
        lines = []
        for row in rows:
            stages = (_stage_words(s.stage, s.label.lower()) for s in row.stages if s.label)
            lines.append(f"  {row.name:{width}}  {row.state.replace('_', ' ')}: {', '.join(stages)}")
        return ["", "The pipeline, the newest challenger first:", *lines]

    def _links(self) -> list[str]:
        slug, url = self._project.slug, self._options.url
        pages = {
            "Autopilot": reverse("autopilot", args=[slug, self._surface.key]),
            "Impact": reverse("impact", args=[slug]),
            "Themes of the simulated comments": reverse("feedback-themes", args=[slug]),
        }
        if (holdback := self._holdback()) is not None:
            pages["Holdback"] = reverse("report", args=[slug, holdback.key])
        return ["", *(f"{name}: {url}{path}" for name, path in pages.items())]


def _stage_words(stage: str, label: str) -> str:
    return label if label == stage else f"{stage} {label}"


def _noting(visitors: Iterable[SimulatedVisitor], came: set[str]) -> Iterator[SimulatedVisitor]:
    for visitor in visitors:
        came.add(visitor.unit_id)
        yield visitor


def _is_started(experiment: Experiment) -> bool:
    experiment.refresh_from_db()
    return experiment.state != Experiment.State.DRAFT


def _is_confirmed(decision: Decision) -> bool:
    decision.refresh_from_db()
    return decision.confirmed


def _gain_words(gain: HoldbackGain) -> str:
    """Return the gain so far; minutes old, it needs no days."""
    lift, low, high = gain.words
    return f"{lift} ({low} to {high}) so far, an interval that holds at any time"
