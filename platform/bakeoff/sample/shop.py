"""Set the sample shop up: a project with goods, a past and a champion; then its experiment.

Guarantees: each step looks whether it is done already, so a start that was interrupted goes on where it
stopped, and a second start changes nothing. Every row is written by the actions that people use.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bakeoff.accounts.actors import OPERATOR
from bakeoff.accounts.create_project import create_sample_project
from bakeoff.accounts.edit_keys import KeyDraft, make_key, revoke_key
from bakeoff.accounts.keys import PUBLIC
from bakeoff.accounts.models import Project
from bakeoff.replay.following import follow_run, wait_until
from bakeoff.sample.goods import COUNT, good, picture_address
from bakeoff.sample.people import PAST_DAYS, PERSONAL_LISTS, past_events
from bakeoff.sample.voices import SURVEY
from experiments.actions.change_programme import change_programme
from experiments.actions.change_surface import put_surface
from experiments.actions.create_metric import create_metric
from experiments.actions.create_survey import create_survey
from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.load_catalogue import load_catalogue
from experiments.actions.load_past_events import load_past_events
from experiments.actions.retrain_surface import retrain_surface
from experiments.actions.start_experiment import start_experiment
from experiments.ingest.load_events import PastEvent
from experiments.models import Experiment, Metric
from inference.actions.load_items import ItemDraft
from inference.cache import cache_client
from inference.models import Item, ModelVersion, Surface
from inference.serving.changes import announce_change, wait_until_read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.replay.reporter import Reporter

SURFACE, EXPERIMENT, KEY_NAME = "home-feed", "personal-home-feed", "sample visitors"
CHAMPION, CHALLENGER = "popularity", PERSONAL_LISTS
FIRST_SECONDS = 60.0  # until the first version, just trained, is the champion
# The default rule with small numbers: a verdict after minutes instead of weeks.
POLICY: Mapping[str, object] = {
    "planned_units": 800,
    "overrun": 2.0,
    "reserve": 0.0,
    "minimum_nonzero": 25,
    "minimum_run_seconds": 0.0,
    "window_seconds": 20.0,
    "look_every_seconds": 5.0,
    "twyman_limit": 0.0,
}
HOLDBACK = {"holdback_share": 0.1, "holdback_days": 1.0}
METRICS = {
    "clicks": {"name": "clicks", "kind": "mean", "event": "click"},
    "orders": {"name": "orders", "kind": "mean", "event": "purchase"},
    "clicked": {"name": "users who click", "kind": "proportion", "event": "click"},
}


@dataclass(frozen=True, slots=True)
class SampleShop:
    """The shop, ready for visitors.

    Attributes:
        project: that owns it.
        surface: where visitors are shown goods.
        key: a public key of this start.
    """

    project: Project
    surface: Surface
    key: str

    @property
    def experiment(self) -> Experiment | None:
        """The shop's experiment as it stands now; None while its challenger is trained."""
        return Experiment.objects.filter(project=self.project, key=EXPERIMENT).first()


def open_shop(*, address: str, reporter: Reporter) -> SampleShop:
    """Set up what visitors need, as far as it is missing: the champion serves when this returns.

    Args:
        address: of the platform, as a browser sees it: pictures lie below it.
        reporter: takes lines and progress.

    Raises:
        ReplayError: a training failed; the message says why.
    """
    project = Project.objects.filter(is_sample=True).first() or create_sample_project(by=OPERATOR)
    key = _renew_key(project)
    _load_goods(project, address, reporter)
    surface = Surface.objects.filter(project=project, key=SURFACE).first() or _make_surface(project)
    if not surface.versions.champions().exists():
        _load_past(project, reporter)
        _crown_champion(surface, reporter)
    # Asked once: whoever turned it off wants no second one.
    if not project.surveys.exists():
        create_survey(surface=surface, question=SURVEY, by=OPERATOR)
    announce_change(cache_client())
    wait_until_read(cache_client())
    return SampleShop(project, surface, key)


def open_experiment(shop: SampleShop, reporter: Reporter) -> Experiment:
    """Train the challenger and start its experiment, unless that was done before; return it.

    Raises:
        ReplayError: the training failed; the message says why.
    """
    surface = shop.surface
    experiment = shop.experiment or _define(surface, _challenger(surface, reporter))
    if experiment.state == Experiment.State.DRAFT:
        experiment = start_experiment(experiment=experiment, by=OPERATOR)
    return experiment


def _renew_key(project: Project) -> str:
    """Make the key of this start, and end that of the one before: its text was known only then."""
    for old in project.api_keys.usable().filter(name=KEY_NAME):
        revoke_key(key=old, by=OPERATOR)
    return make_key(project=project, draft=KeyDraft(PUBLIC, KEY_NAME), by=OPERATOR)[1]


def _load_goods(project: Project, address: str, reporter: Reporter) -> None:
    """Load the catalogue, again where the platform has another address: the pictures have it too."""
    present = Item.objects.filter(project=project)
    if present.filter(image_url__startswith=f"{address}/").count() == COUNT:
        return
    goods = [good(number) for number in range(COUNT)]
    with reporter.progress(f"Loading {COUNT:,} goods", COUNT) as advance:
        load_catalogue(
            project_id=project.pk,
            items=[
                ItemDraft(
                    one.item_id,
                    one.title,
                    labels=[one.department, one.kind],
                    image_url=picture_address(address, one),
                    price=one.price,
                )
                for one in goods
            ],
            by=OPERATOR,
            progress=advance,
        )


def _load_past(project: Project, reporter: Reporter) -> None:
    """Load what people did in the last month; events that are there are skipped by their ids."""
    start = datetime.now(UTC) - timedelta(days=PAST_DAYS, hours=1)
    past = past_events()
    events = [
        PastEvent(
            event_id=f"past:{number}",
            name="click",
            unit_id=one.unit_id,
            item_id=one.item_id,
            value=None,
            occurred_at=start + timedelta(seconds=one.at),
        )
        for number, one in enumerate(past)
    ]
    with reporter.progress(f"Loading {len(events):,} past clicks", len(events)) as advance:
        load_past_events(project_id=project.pk, events=events, by=OPERATOR, progress=advance)


def _make_surface(project: Project) -> Surface:
    for key, fields in METRICS.items():
        if not project.metrics.filter(key=key).exists():
            create_metric(metric=Metric(project=project, key=key, **fields), by=OPERATOR)
    values = {
        "liked_events": ["click"],
        "static_list": [good(number).item_id for number in range(0, COUNT, COUNT // 10)],
        "policy": dict(POLICY),
        # One experiment is told at a time; the next one is the newcomer's own.
        "start_experiments": False,
    }
    surface = put_surface(project=project, key=SURFACE, values=values, replace=False, by=OPERATOR)
    changes = {"primary_metric": "clicks", "cooldown_days": 0, **HOLDBACK}
    change_programme(surface=surface, changes=changes, by=OPERATOR)
    return surface


def _crown_champion(surface: Surface, reporter: Reporter) -> None:
    run = retrain_surface(surface=surface, algorithm=CHAMPION, trigger=OPERATOR)
    follow_run(run, reporter)
    champions = surface.versions.champions()
    wait_until(champions.exists, "the first champion", seconds=FIRST_SECONDS)


def _challenger(surface: Surface, reporter: Reporter) -> ModelVersion:
    version = surface.versions.filter(algorithm=CHALLENGER).order_by("-number").first()
    if version is not None:
        return version
    return follow_run(
        retrain_surface(surface=surface, algorithm=CHALLENGER, trigger=OPERATOR), reporter
    )


def _define(surface: Surface, challenger: ModelVersion) -> Experiment:
    champion = surface.versions.champions().get()
    metrics = {metric.key: metric for metric in surface.project.metrics.filter(key__in=METRICS)}
    return define_experiment(
        ExperimentDraft(
            surface=surface,
            key=EXPERIMENT,
            name="Personal order on the home feed",
            hypothesis="People click more where the feed shows what goes with their past clicks.",
            owner=OPERATOR,
            variants=[
                VariantDraft("control", champion, 0.5, is_control=True),
                VariantDraft("treatment", challenger, 0.5),
            ],
            metrics=[
                ExperimentMetricDraft(metrics["clicks"]),
                ExperimentMetricDraft(metrics["orders"], role="secondary"),
                ExperimentMetricDraft(metrics["clicked"], role="secondary"),
            ],
            policy=dict(POLICY),
            against_gate=not challenger.passed_gate,
        )
    )
