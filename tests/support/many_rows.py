"""A project with many rows of everything that pages list, as copies of one of each."""

from __future__ import annotations

from uuid_utils import uuid7

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import ApiKey
from bakeoff.alerts.models import Alert, Delivery
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Decision, Experiment, Look, Metric
from inference.models import Surface, TrainingRun
from tests.support import builders
from tests.support.alerts import dead_delivery
from tests.support.builders import QUICK_POLICY, Shop, visits
from tests.support.dashboard import make_user


class ManyRows:
    """Adds rows to one project.

    Attributes:
        shop: whose project it is.
        count: how many rows there are of each kind, about.
    """

    def __init__(self) -> None:
        """Make a shop with one shipped experiment."""
        self.shop: Shop = builders.make_shop()
        self.count = 0
        shipped = self.shop.run_experiment(**QUICK_POLICY)
        visits(shipped, {"control": 1, "treatment": 2})
        look_at_experiment(experiment_id=shipped.pk)
        self._shipped = Experiment.objects.get(pk=shipped.pk)
        self._delivery = dead_delivery(self.shop.project)

    def grow(self, count: int, *, looks: int = 1) -> None:
        """Add rows until there are `count` of each kind."""
        for number in range(self.count, count):
            self._add_experiment(number, looks)
            self._add_others(number)
        self.count = count

    def _add_experiment(self, number: int, looks: int) -> None:
        of = self._shipped
        fields = {f.attname: getattr(of, f.attname) for f in Experiment._meta.concrete_fields}
        fields |= {"id": None, "key": f"copy-{number}", "salt": f"copy-{number}"}
        copy = Experiment.objects.create(**fields)
        for variant in of.variants.all():
            variant.pk, variant.experiment = None, copy
            variant.save(force_insert=True)
        for row in (*of.metrics.all(), *of.epochs.all()):
            row.pk, row.experiment = None, copy
            row.save(force_insert=True)
        look = of.looks.get()
        same = {
            name: getattr(look, name)
            for name in ("taken_at", "batch", "information", "inputs", "result", "action", "reason")
        }
        Look.objects.bulk_create(Look(experiment=copy, number=n + 1, **same) for n in range(looks))
        decision = of.decisions.get()
        Decision.objects.create(
            project=copy.project, surface=copy.surface, experiment=copy, action="ship",
            reason=decision.reason, created_by=decision.created_by, created_at=decision.created_at,
            promoted=decision.promoted, replaced=decision.replaced, sha256=f"{copy.pk:064}",
        )  # fmt: skip

    def _add_others(self, number: int) -> None:
        project = self.shop.project
        Metric.objects.create(project=project, key=f"m{number}", kind="mean", event="click")
        surface = Surface.objects.create(project=project, key=f"s{number}")
        builders.make_version(surface, [1] * len(self.shop.items), alias="champion")
        TrainingRun.objects.create(
            surface=surface, algorithm="ease", trigger="a test", state="skipped", message="nothing new"
        )
        make_user(project)
        ApiKey.make(project, "pk", name=f"key {number}")
        record_audit(project.pk, actor="a test", action="make key", subject=f"key {number}")
        alert = Alert.objects.create(
            project=project, event="drift", subject=f"s{number}", summary="It moved.",
            fanned_out_at=builders.now(),
        )  # fmt: skip
        Delivery.objects.create(
            alert=alert, subscription=self._delivery.subscription, state="dead", attempts=18
        )
        slate = builders.make_slate(self.shop, f"unit-{number}")
        entry = builders.feedback(
            self.shop, slate, unit_id=f"unit-{number}", kind="text", text="fine", state="pending",
            feedback_id=str(uuid7()),
        )  # fmt: skip
        builders.write(builders.Rows(feedback=[entry]))
