"""The demonstration's way through the whole loop, on any dataset.

Guarantees: every number that it prints was read from the platform; the visitors click nothing that
their log does not say they liked; what a model was trained on is never what it is judged on.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from bakeoff.accounts.actors import OPERATOR
from bakeoff.accounts.create_project import create_numbered_project
from bakeoff.accounts.edit_keys import KeyDraft, make_key
from bakeoff.accounts.keys import PUBLIC
from bakeoff.replay.checks import check_champion, check_decision, check_ledger
from bakeoff.replay.following import (
    ReplayError,
    describe_experiment,
    follow,
    follow_experiment,
    follow_run,
    wait_until,
)
from bakeoff.replay.plan import (
    CLICKS,
    EXPLORATION,
    ReplayPlan,
    make_replay_plan,
    policy_of,
    programme_on,
)
from bakeoff.replay.visitors import Ledger, SimulatedVisitor, Traffic, send_visitors
from experiments.actions.change_programme import change_programme
from experiments.actions.change_surface import patch_surface, put_surface
from experiments.actions.create_metric import create_metric
from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.load_catalogue import load_catalogue
from experiments.actions.load_past_events import load_past_events
from experiments.actions.load_units import load_units
from experiments.actions.retrain_surface import retrain_surface
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.load_events import PastEvent
from experiments.models import Experiment, Metric
from experiments.reports.stored_text import end_sentence, show_stored
from inference.actions.load_items import ItemDraft
from inference.algorithms import AUTO, RankingPortfolio
from inference.cache import cache_client
from inference.encoders.item_vectors import count_embedded, encoder_path
from inference.evaluation.gate import GateResult
from inference.models import Item, ModelVersion, Surface
from inference.serving.changes import announce_change, read_back
from inference.serving.keys import candidates_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.replay.dataset import Dataset, Interaction
    from bakeoff.replay.reporter import Reporter
    from experiments.reports.verdict import VerdictSummary


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What may be chosen.

    Attributes:
        url: of the running platform.
        seed: of the split and of the assignment.
        visits: slates a visitor looks at.
        k: slots of a slate.
        max_users: maximum number of visitors.
    """

    url: str
    seed: int = 1
    visits: int = 3
    k: int = 10
    max_users: int = 5_000


@dataclass(slots=True)
class ReplayResult:
    """What came of it.

    Attributes:
        project: slug of the new project.
        champion: at the end.
        experiments: with their verdicts, in the order of their ends.
        refused: versions that did not pass their gate.
        differences: between what was acknowledged and what is stored or served.
        public_key: of the visitors.
        missing: what should have happened and did not, in words.
        summary: lines for the end, besides verdicts and champion.
    """

    project: str
    champion: str
    experiments: list[tuple[Experiment, VerdictSummary]] = field(default_factory=list)
    refused: list[ModelVersion] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    public_key: str = ""
    missing: list[str] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it in the documented shape."""
        return {
            "champion": self.champion,
            "experiments": [
                {
                    **describe_experiment(experiment, verdict),
                    "against_gate": experiment.against_gate,
                }
                for experiment, verdict in self.experiments
            ],
        }


def units_to_tell(difference: float, low: float, high: float, *, units: int) -> int | None:
    """Return how many units would tell a difference from 0, if it stayed as it is.

    The half width of its interval shrinks with the root of the units. None where it looks no better,
    or where it is told already.
    """
    if difference <= 0 or low > 0:
        return None
    return math.ceil(units * ((high - low) / 2 / difference) ** 2)


class Replay:
    """One replay, in a new project.

    Attributes:
        scheduled: the algorithm that meets popularity.
        scheduled_params: its parameters.
        first_share: of each visitor's likes, those that the first experiment can reveal.
    """

    scheduled = AUTO
    # A model of popularity is the champion already, and an owner waits for the rest at a terminal.
    scheduled_params: ClassVar[Mapping[str, Any]] = {
        "algorithms": [name for name in RankingPortfolio.usual if name != "popularity"],
        "budget_seconds": 900.0,
    }
    first_share = 1.0

    def __init__(self, dataset: Dataset, options: ReplayOptions, reporter: Reporter) -> None:
        """Fix the plan.

        Args:
            dataset: what is replayed.
            options: how.
            reporter: takes lines and progress.
        """
        self._dataset, self._options, self._reporter = dataset, options, reporter
        self._plan: ReplayPlan = make_replay_plan(
            dataset,
            seed=options.seed,
            max_users=options.max_users,
            first_share=self.first_share,
        )
        if len(self._plan.first) < 2:
            raise ReplayError(
                f"units with a past and a future == {len(self._plan.first)}, must be at least 2."
            )
        self._policy = policy_of(self._plan)
        self._ledger = Ledger()
        self._differences: list[str] = []

    def run(self) -> ReplayResult:
        """Run the loop once.

        Raises:
            ReplayError: it stopped; the message says where and why.
        """
        self._print_plan()
        self._set_up()
        result = ReplayResult(self._project.slug, "", public_key=self._key)
        challenger = self._wait_for_schedule()
        self._train_more()
        if challenger.passed_gate:
            experiment = self._wait_for_experiment(challenger)
            result.experiments.append(self._compete(experiment, self._plan.first))
        else:
            result.refused.append(challenger)
        self._test_more(result)
        result.champion = str(self._surface.versions.champions().get())
        self._reporter.echo(f"{self._ledger.fallbacks} answers were fallbacks.")
        self._check(result)
        return result

    def _train_more(self) -> None:
        """Train further challengers before the first experiment; a plain replay has none."""

    def _test_more(self, result: ReplayResult) -> None:
        """Let further challengers compete after the first experiment; of a plain replay none."""

    def project_name(self) -> str:
        """Return what the project is called."""
        return self._dataset.name

    def _programme(self, clicks: Metric) -> Mapping[str, Any]:
        """Return the programme of the surface."""
        return programme_on(clicks)

    def _set_up(self) -> None:
        """Create a project with everything up to its first champion."""
        # A new one each time: what an earlier replay recorded must not be learnt from.
        self._project = create_numbered_project(prefix="replay", name=self.project_name(), by=OPERATOR)
        draft = KeyDraft(PUBLIC, "visitors")
        _, self._key = make_key(project=self._project, draft=draft, by=OPERATOR)
        self._load()
        self._surface = self._make_surface()
        self._crown_popularity()

    def _check(self, result: ReplayResult) -> None:
        """Compare what the platform acknowledged and decided with what it stores and serves."""
        self._differences += check_ledger(self._project, self._ledger, self._reporter)
        self._differences += check_champion(
            url=self._options.url,
            key=self._key,
            surface=self._surface.key,
            champion=result.champion,
            reporter=self._reporter,
        )
        result.differences = self._differences

    def _print_plan(self) -> None:
        plan, options = self._plan, self._options
        self._reporter.echo(
            f"{self._dataset.name}: {len(self._dataset.items)} items, "
            f"{len(plan.past)} past interactions, {len(plan.first)} visitors; seed {options.seed}, "
            f"{options.visits} visits of {options.k} slots each."
        )
        self._reporter.echo(f"Policy, fixed beforehand: {_words_of(self._policy)}")

    def _load(self) -> None:
        project, dataset = self._project, self._dataset
        # Before the items: the worker that embeds them would fetch it at the same time.
        with self._reporter.progress("Fetching the encoder, once a home", 1) as advance:
            encoder_path()
            advance(1)
        with self._reporter.progress("Loading the catalogue", len(dataset.items)) as advance:
            ids = load_catalogue(
                project_id=project.pk,
                items=(ItemDraft(item.item_id, item.title, item.text) for item in dataset.items),
                by=OPERATOR,
                progress=advance,
            )
        units = {i.unit_id: dataset.users.get(i.unit_id, {}) for i in self._plan.past}
        with self._reporter.progress("Loading the users", len(units)) as advance:
            load_units(project_id=project.pk, units=units.items(), by=OPERATOR, progress=advance)
        events = self._past_events()
        with self._reporter.progress("Loading past events", len(events)) as advance:
            load_past_events(project_id=project.pk, events=events, by=OPERATOR, progress=advance)
        items = list(Item.objects.filter(pk__in=ids))
        with self._reporter.progress("Embedding the texts in a worker", len(items)) as advance:
            follow(lambda: count_embedded(items), len(items), advance, "embedding")

    def _past_events(self) -> Sequence[PastEvent]:
        """Return the past as a product's events, moved in time so that it ends an hour ago."""
        rated = self._dataset.has_ratings
        newest = max(interaction.at for interaction in self._plan.past)
        shift = datetime.now(UTC).timestamp() - 3600 - newest

        def event(number: int, past: Interaction) -> PastEvent:
            return PastEvent(
                event_id=f"past:{number}",
                name="rating" if rated else "interaction",
                unit_id=past.unit_id,
                item_id=past.item_id,
                value=past.rating,
                occurred_at=datetime.fromtimestamp(0, UTC) + timedelta(seconds=past.at + shift),
            )

        return [event(number, past) for number, past in enumerate(self._plan.past)]

    def _make_surface(self) -> Surface:
        liked = (
            [f"rating>={self._dataset.positive:g}", "click"]
            if self._dataset.has_ratings
            else ["interaction", "click"]
        )
        clicks = Metric(
            project=self._project,
            key=CLICKS,
            name="clicks",
            kind=Metric.Kind.MEAN,
            event="click",
        )
        create_metric(metric=clicks, by=OPERATOR)
        values = {
            "liked_events": liked,
            "static_list": [item.item_id for item in self._dataset.items[:10]],
            "exploration": EXPLORATION,
            "policy": self._policy,
            "seed": f"seed-{self._options.seed}",
        }
        surface = put_surface(
            project=self._project, key="home-feed", values=values, replace=False, by=OPERATOR
        )
        change_programme(surface=surface, changes=self._programme(clicks), by=OPERATOR)
        return surface

    def _crown_popularity(self) -> None:
        version = self._train("popularity")
        wait_until(
            lambda: self._surface.versions.champions().exists(),
            "the first champion",
        )
        self._reporter.echo(f"{version} is the first champion of '{self._surface}'.")

    def _train(self, algorithm: str) -> ModelVersion:
        run = retrain_surface(surface=self._surface, algorithm=algorithm, trigger=OPERATOR)
        return follow_run(run, self._reporter)

    def _wait_for_schedule(self) -> ModelVersion:
        """Turn the schedule on and wait for the run that it starts."""
        name, params = self.scheduled, dict(self.scheduled_params)
        schedule = {"retrain_algorithm": name, "retrain_params": params}
        patch_surface(surface=self._surface, changes=schedule, by=OPERATOR)
        several = ", ".join(params.get("algorithms", ()))
        tried = f"the best of {several} and a blend" if several else name
        self._reporter.echo(f"The schedule is on: {tried} is retrained on recorded data.")
        runs = self._surface.training_runs.filter(algorithm=name)
        wait_until(runs.exists, "the scheduled run")
        version = follow_run(runs.get(), self._reporter)
        self._report_gate(version)
        return version

    def _report_gate(self, version: ModelVersion) -> None:
        gate = GateResult.from_json(version.gate)
        primary = gate.rule.primary
        row = gate.rows[primary]
        verb = "passed" if gate.passed else "was refused by"
        self._reporter.echo(
            f"{version} {verb} the gate: {primary}@{gate.rule.k} {row['challenger']:.4f}, "
            f"champion {row['champion']:.4f}, difference {row['difference']:+.4f} "
            f"(95 % {row['interval'][0]:+.4f} to {row['interval'][1]:+.4f}), {gate.units} units."
        )
        if not gate.passed:
            for reason in gate.reasons:
                self._reporter.echo(f"  {end_sentence(show_stored(reason))}")
            if more := units_to_tell(row["difference"], *row["interval"], units=gate.units):
                self._reporter.echo(
                    f"  It looks better, but by {gate.units} users that may be chance: about {more} "
                    "users with held-out likes would tell."
                )

    def _wait_for_experiment(self, version: ModelVersion) -> Experiment:
        experiments = Experiment.objects.tests().filter(variants__model_version=version)
        wait_until(experiments.exists, f"the experiment of {version}")
        return experiments.get()

    def _start_against_gate(self, version: ModelVersion) -> Experiment:
        champion = self._surface.versions.champions().get()
        key = f"{self._surface.key}-{version.algorithm}-{version.number}-against-gate"
        self._reporter.echo(f"An operator tests {version} on users against the gate's advice.")
        experiment = define_experiment(
            ExperimentDraft(
                surface=self._surface,
                key=key,
                hypothesis=f"{version} was refused by its gate; what do users say?",
                owner=OPERATOR,
                variants=[
                    VariantDraft("control", champion, 0.5, is_control=True),
                    VariantDraft("treatment", version, 0.5),
                ],
                metrics=[ExperimentMetricDraft(Metric.objects.get(project=self._project, key=CLICKS))],
                policy=self._policy,
                against_gate=True,
                salt=f"seed-{self._options.seed}:{key}",
            )
        )
        return start_experiment(experiment=experiment, by=OPERATOR)

    def _compete(
        self, experiment: Experiment, visitors: Sequence[SimulatedVisitor]
    ) -> tuple[Experiment, VerdictSummary]:
        """Send the visitors through an experiment and wait for its verdict."""
        self._settle(experiment)
        self._send(experiment, visitors)
        verdict = follow_experiment(
            experiment, self._reporter, window_seconds=self._policy["window_seconds"]
        )
        self._differences += check_decision(experiment, self._reporter)
        return experiment, verdict

    def _send(self, experiment: Experiment, visitors: Sequence[SimulatedVisitor]) -> None:
        """Let the visitors come, each once."""
        with self._reporter.progress(f"Visitors meet {experiment}", len(visitors)) as advance:
            asyncio.run(send_visitors(self._traffic(experiment), visitors, self._ledger, advance))

    def _traffic(self, experiment: Experiment) -> Traffic:
        return Traffic(
            url=self._options.url,
            key=self._key,
            surface=self._surface.key,
            visits=self._options.visits,
            k=self._options.k,
            salt=experiment.key,
        )

    def _settle(self, experiment: Experiment) -> None:
        """Wait until serving knows the experiment and every unit has its candidates."""
        self._announce(experiment)
        versions = experiment.variants.values_list("model_version_id", flat=True)
        keys = [
            candidates_key(version, visitor.unit_id)
            for version in versions
            for visitor in self._plan.first
        ]
        wait_until(lambda: cache_client().exists(*keys) == len(keys), "candidates of all visitors")

    def _announce(self, experiment: Experiment) -> None:
        """Wait until serving knows the experiment."""
        announce_change(cache_client())
        read_back(cache_client(), "experiment", self._surface.pk, experiment.pk, seconds=10)


def _words_of(policy: Mapping[str, Any]) -> str:
    """Return the fields of a policy as people write them."""
    shown = {True: "yes", False: "no"}
    return ", ".join(
        f"{name} {shown[value] if isinstance(value, bool) else value}" for name, value in policy.items()
    )
