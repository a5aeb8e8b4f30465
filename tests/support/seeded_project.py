"""A project in which every page has something to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from django.conf import settings
from django.test import Client

from bakeoff.accounts.audit import record_audit
from bakeoff.alerts.models import Alert, Delivery, Subscription
from bakeoff.gateway.generate.facts import Outcome
from experiments.actions.change_surface import patch_surface
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.picture_variant import put_variant_picture
from experiments.ingest.rows import Rows
from experiments.models import Experiment, Feedback, Slate
from inference.actions.write_run_log import LogLine, write_run_log
from inference.models import AliasMove, DriftReport, ModelVersion, Surface, TrainingRun
from inference.serving.artifact import save_artifact
from inference.serving.prompts import Prompt
from tests.support import builders
from tests.support.alerts import dead_delivery
from tests.support.dashboard import make_user
from tests.support.ended_run import ended_run
from tests.support.picture_verbs import draw_picture
from tests.support.ranking import make_decisions, make_rank_surface, report_counted, write_decisions

HISTOGRAMS = [[0.4, 0.3], [0.6, 0.7]]
OFF_POLICY_ROW = {
    "position": 1, "earned": 0.1, "ips": 0.12, "snips": 0.11, "clipped_ips": 0.11,
    "effective_size": 80.0, "largest_weight": 4.0, "refused": "",
}  # fmt: skip
GATE = {
    "passed": True,
    "units": 320,
    "rival": "popularity@1",
    "reasons": [],
    "rows": {
        "ndcg": {"challenger": 0.31, "champion": 0.28, "difference": 0.03, "interval": [0.01, 0.05]},
        "hit_rate": {"challenger": 0.5, "champion": 0.4, "difference": 0.1, "interval": [0.0, 0.2]},
        "coverage": {"challenger": 0.9, "champion": 0.8},
        "latency_p95_ms": {"challenger": 1.2},
        "bytes": {"challenger": 4096},
    },
    "about": {
        "window": {"from": 0.0, "to": 1.0, "units": 320, "judged": 80, "likes": 900, "gap_seconds": 0.0},
        "checks": [
            {"check": "held-out items are not learnt from", "said": "80 units"},
            {
                "check": "a fit on shuffled likes is no better than chance",
                "said": "hit rate 0.101, at most 0.200",
            },
        ],
        "slices": [
            {"slice": "units with at most 5 likes", "metric": "ndcg", "count": 9, "challenger": 0.3},
            {"slice": "items with more than 9 likes", "metric": "recall", "count": 9, "challenger": 0.2},
        ],
        "learning": [{"rows": 100.0, "ndcg": 0.2}, {"rows": 200.0, "ndcg": 0.3}],
        "calibration": [[0.1, 0.2, 9], [0.9, 0.8, 30]],
        "off_policy": {
            "answers": 400, "supported": 1, "estimate": 0.11, "earned": 0.1, "interval": [-0.01, 0.03],
            "refused": "", "positions": [OFF_POLICY_ROW],
        },
    },
}  # fmt: skip


@dataclass
class Seeded:
    """The project, its experiments by what became of them, and a person who may do everything."""

    shop: builders.Shop
    draft: Experiment
    running: Experiment
    shipped: Experiment
    halted: Experiment
    run: TrainingRun
    refused: ModelVersion
    client: Client
    name: str

    @property
    def slug(self) -> str:
        """Of the project."""
        return self.shop.project.slug


def seed_project() -> Seeded:
    """Make the project and what happened in it."""
    shop = builders.make_shop()
    halted = shop.run_experiment(**builders.QUICK_POLICY)
    uneven = {"control": range(300), "treatment": range(60)}
    builders.visits(
        halted, {"control": 0, "treatment": 0}, units=uneven, unit_id="uneven-{variant}-{n}"
    )
    look_at_experiment(experiment_id=halted.pk)
    shipped = shop.run_experiment(**{**builders.QUICK_POLICY, "planned_units": 240})
    builders.visits(shipped, {"control": 1, "treatment": 2}, units=120)
    look_at_experiment(experiment_id=shipped.pk)
    holdback = shop.surface.experiments.get(purpose="holdback")
    builders.visits(holdback, {"former": 3, "promoted": 1}, units=60)
    look_at_experiment(experiment_id=holdback.pk)
    running = shop.run_experiment(**{**builders.QUICK_POLICY, "planned_units": 5000})
    builders.visits(running, {"control": 1, "treatment": 1}, units=60)
    _serve(shop, running)
    look_at_experiment(experiment_id=running.pk)
    put_variant_picture(variant=running.control, content=draw_picture((320, 200)), by="a test")
    _change_settings(shop.surface)
    draft = shop.define(builders.make_version(shop.surface, list(range(10))), **builders.QUICK_POLICY)
    refused = builders.make_version(shop.surface, list(range(10)), alias="rejected")
    _say(shop, running)
    _decide(shop)
    DriftReport.objects.create(surface=shop.surface, rows=[_drift_row("prediction: first score")])
    _alert(shop)
    _generate(shop)
    user = make_user(shop.project, role="admin")
    client = Client()
    client.force_login(user)
    for one in (halted, shipped, running):
        one.refresh_from_db()
    return Seeded(
        shop, draft, running, shipped, halted, _train(shop, draft), refused, client, user.username
    )


def _change_settings(surface: Surface) -> None:
    """Change settings to and fro: the history has numbers, rules, a list and the autopilot's."""
    before = {name: getattr(surface, name) for name in ("exploration", "rules", "static_list")}
    other = {"exploration": 0.25, "rules": {"caps": {"labels": 2}}, "static_list": ["i2", "i3"]}
    for changes in (other, before):
        patch_surface(surface=surface, changes=changes, by="platform")
    surface.refresh_from_db()
    # The action itself would bring the metrics of serving, whose names are those of rows.
    detail = {"changed": {"cooldown_days": [3.0, 7.0]}}
    record_audit(
        surface.project_id,
        actor="platform",
        action="change programme",
        subject=surface.key,
        detail=detail,
    )


def places_of(seeded: Seeded) -> dict[str, object]:
    """Return what stands in the addresses of the project's pages."""
    other = ended_run(seeded.shop, 0.2, factors=8)
    surface = seeded.shop.project.surfaces.get(key="support")
    return {
        "p": seeded.slug,
        "done": seeded.shipped.key,
        "running": seeded.running.key,
        "halted": seeded.halted.key,
        "draft": seeded.draft.key,
        "version": seeded.shop.champion.pk,
        "trained": seeded.run.version.pk,
        "run": seeded.run.pk,
        "other": other.pk,
        "slate": Slate.objects.filter(surface=surface).first().pk,
    }


DELIVERY_ERRORS = (
    "status == 503, must be 2xx.",
    "status == 307, must be 2xx; redirects are not followed.",
    "url == 'https://hooks.example/bakeoff', gave no usable answer within 10000 ms, or is no address that "
    "may be asked (see BAKEOFF_OUTGOING_ALLOW).",
    "the SMTP server refuses the recipient.",
    "the SMTP server refuses the sign-in (535 5.7.8): check BAKEOFF_SMTP_USER and "
    "BAKEOFF_SMTP_PASSWORD.",
)


def _alert(shop: builders.Shop) -> None:
    """A subscription that is paused, so that nothing is sent, with deliveries in every state."""
    dead = dead_delivery(shop.project)
    Subscription.objects.filter(pk=dead.subscription_id).update(enabled=False)
    for error in DELIVERY_ERRORS:
        moved = Alert.objects.create(
            project=shop.project, event="drift", subject="home-feed", summary="It moved.",
            fanned_out_at=builders.now(),
        )  # fmt: skip
        Delivery.objects.create(
            alert=moved, subscription=dead.subscription, state="waiting", attempts=2, last_error=error
        )


GENERATION = {
    "outcome": "completed", "finish_reason": "stop", "provider": "local", "model": "small", "version": "prompt@1",
    "tokens_in": 12, "tokens_out": 5, "tokens_cached": 2, "counted": "us", "first_token_ms": 80.0, "total_ms": 200.0,
    "attempts": [{"provider": "local", "model": "large", "reason": "timeout", "ms": 90.0}],
    "tool_calls": 0, "refusal": False, "schema_ok": None, "guardrails": {"redacted_in": 1}, "streamed": True,
}  # fmt: skip
TEXTS = {
    "messages": [{"role": "user", "content": "hello"}],
    "variables": {"tone": "brief"},
    "answer": {"role": "assistant", "content": "good day"},
    "redacted": [],
}


def _generate(shop: builders.Shop) -> None:
    """A surface that generates, with two versions and a generation of each kind of end."""
    surface = Surface.objects.create(
        project=shop.project, key="support", kind="generate", generate={"store": "redacted"}
    )
    for number, alias in ((1, "champion"), (2, "candidate")):
        prompt = Prompt.parse({"provider": "local", "model": f"small-{number}"})
        ModelVersion.objects.create(
            surface=surface, algorithm="prompt", number=number, alias=alias, gate={"passed": True, "rows": {}},
            artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, prompt.as_draft()),
        )  # fmt: skip
    version = surface.versions.get(number=1)
    fields = {"surface_id": surface.pk, "model_version_id": version.pk}
    for outcome in get_args(Outcome):
        slate = builders.make_slate(
            shop, "control-1", (), generation=GENERATION | {"outcome": outcome}, context=TEXTS, **fields
        )
    rows = [
        builders.feedback(shop, slate, unit_id="control-1", kind="edit", text="7.5", value=0.4),
        builders.feedback(shop, slate, unit_id="control-1", kind="accept"),
    ]
    builders.write(Rows(feedback=rows))


def _serve(shop: builders.Shop, experiment: Experiment) -> None:
    for variant in experiment.variants.all():
        for n in range(3):
            builders.make_slate(
                shop, f"{variant.key}-{n}", experiment_id=experiment.pk, variant_id=variant.pk
            )


def _decide(shop: builders.Shop) -> None:
    """A surface that chooses among actions, with decisions of an hour ago, and one without any."""
    make_rank_surface(shop.project, "new-offers")
    surface = make_rank_surface(shop.project)
    rows = make_decisions(60)
    write_decisions(shop, surface, rows)
    report_counted(surface)


def _say(shop: builders.Shop, experiment: Experiment) -> None:
    slate = builders.make_slate(shop, "control-1")
    shop.project.surveys.create(
        surface=shop.surface, key="liked", kind="rating", question="7.5", enabled=False
    )
    shop.project.surveys.create(
        surface=shop.surface, key="why", kind="text", question="7.5", enabled=False
    )
    builders.write(
        Rows(
            feedback=[
                builders.feedback(shop, slate, unit_id="control-1"),
                builders.feedback(
                    shop, slate, unit_id="control-2", kind="text", text="fine", state="pending"
                ),
                *(
                    builders.feedback(
                        shop, slate, unit_id=f"treatment-{n}", kind="survey", value=4.0, text="liked"
                    )
                    for n in range(2)
                ),
                builders.feedback(
                    shop,
                    slate,
                    unit_id="control-3",
                    kind="survey",
                    value=None,
                    text="why",
                    answer="7.5",
                ),
            ]
        )
    )
    treatment = experiment.variants.get(is_control=False)
    Feedback.objects.filter(project=shop.project).update(variant=treatment)


def _drift_row(name: str) -> dict:
    return {
        "name": name, "psi": 0.3, "ks": 0.2, "p_value": 0.0001, "drifted": True, "counts": [90, 90],
        "shares": HISTOGRAMS,
    }  # fmt: skip


def _train(shop: builders.Shop, draft: Experiment) -> TrainingRun:
    """Two runs, as they are stored at their end: one passed, the other one failed."""
    version = draft.variants.get(is_control=False).model_version
    assert version is not None
    version.gate = GATE
    version.save(update_fields=["gate"])
    AliasMove.objects.create(
        version=version, after="challenger", moved_by="schedule", reason="passed the gate"
    )
    TrainingRun.objects.create(
        surface=shop.surface, algorithm="ease", trigger="drift", state="failed",
        message="its process ended with status 3",
    )  # fmt: skip
    run = TrainingRun.objects.create(
        surface=shop.surface, algorithm="two-tower", trigger="schedule", state="passed",
        version=version, progress=1.0, message=f"{version.label} passed the gate",
        notes=["3 of 900 likes are of items that are not in the catalogue: they are not learnt."],
        curve=[["seed 0", 1, 0.9], ["seed 0", 2, 0.7]],
    )  # fmt: skip
    lines = [LogLine("info", "12% seed 0, step 1 of 2"), LogLine("warning", "py.warnings: it is slow")]
    write_run_log(run.pk, [*lines, LogLine("error", "ValueError: it broke")], attempt=1)
    return run
