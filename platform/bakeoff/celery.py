"""The Celery application: queues, routes and what beat asks for.

Beat ticks often and cheaply; each task looks in the database for what is due, so a missed or a
doubled tick changes nothing. A message that is lost is sent again by the reconciler.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
# Django's checks import every page and the API: half of a worker's start, for what it never serves.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

from bakeoff.environment import read_environment
from bakeoff.heartbeat import beat_for_worker
from bakeoff.start_checks import exit_on_wrong_database
from bakeoff.statement_timeouts import limit_tasks
from inference.message_marks import unmark_begun_tasks

environment = read_environment()
ANSWERS = "answers"
# A tick that nobody took for so long is worth nothing. Not less: clocks of machines may differ.
MIN_EXPIRY_SECONDS = 60.0

app = Celery("bakeoff", broker=environment.broker_url)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_queue="default",
    task_routes={
        "inference.tasks.embed_*": {"queue": "embed"},
        "inference.tasks.place_*": {"queue": "embed"},
        "inference.tasks.answer_*": {"queue": ANSWERS},
        "inference.tasks.run_training": {"queue": "train"},
        "inference.tasks.train_in_turn": {"queue": "train"},
        # They wait for providers, and nobody waits for them.
        "experiments.tasks.judge_*": {"queue": "embed"},
        "experiments.tasks.check_*": {"queue": "embed"},
        "experiments.tasks.export_*": {"queue": "embed"},
        "experiments.tasks.archive_*": {"queue": "embed"},
        "experiments.tasks.embed_*": {"queue": "embed"},
        "inference.tasks.build_*": {"queue": "train"},
        "experiments.tasks.refresh_*": {"queue": "refresh"},
        "experiments.tasks.take_*": {"queue": "analysis"},
        "experiments.tasks.roll_up_*": {"queue": "analysis"},
    },
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    broker_connection_retry_on_startup=True,
    # A training run may take hours; the broker must not hand it to a second worker meanwhile.
    # Its index of unacknowledged messages is one for all queues, so a shorter time would hit all of
    # them; what a dead worker held is sent again by the reconciler.
    broker_transport_options={
        "visibility_timeout": 24 * 3600,
        "socket_timeout": 5,
        **environment.broker_options,
    },
    broker_use_ssl=environment.broker_tls,
    # A web request that sends a message waits for the broker twice at the most; the row is committed.
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0.2},
    timezone="UTC",
    beat_scheduler="bakeoff.beat:SteadyScheduler",
    beat_schedule={
        name: {
            "task": task,
            "schedule": seconds,
            "options": {"expires": max(seconds, MIN_EXPIRY_SECONDS)},
        }
        for name, task, seconds in (
            ("reconcile", "experiments.tasks.reconcile_rows", 5 * environment.tick_seconds),
            ("looks", "experiments.tasks.take_due_looks", environment.tick_seconds),
            ("halts", "experiments.tasks.halt_unservable_experiments", 2 * environment.tick_seconds),
            ("ramps", "experiments.tasks.step_ramps", 5 * environment.tick_seconds),
            ("bandits", "experiments.tasks.reweight_bandits", 5 * environment.tick_seconds),
            ("policies", "experiments.tasks.count_policy_decisions", 5 * environment.tick_seconds),
            ("holdbacks", "experiments.tasks.close_holdbacks", 10 * environment.tick_seconds),
            ("holdouts", "experiments.tasks.measure_holdouts", 60.0),
            ("refresh", "experiments.tasks.refresh_dirty_units", environment.tick_seconds),
            ("orders", "experiments.tasks.refresh_orders", 5 * environment.tick_seconds),
            ("retrain", "experiments.tasks.retrain_due_surfaces", 5 * environment.tick_seconds),
            ("spill", "experiments.tasks.drain_spilled_rows", 2 * environment.tick_seconds),
            ("usage", "experiments.tasks.count_waiting_usage", 2 * environment.tick_seconds),
            ("shadows", "inference.tasks.answer_waiting_shadows", 2 * environment.tick_seconds),
            ("checks", "experiments.tasks.check_waiting_versions", 30.0),
            ("judges", "experiments.tasks.judge_running_answers", 30.0),
            ("samples", "experiments.tasks.sample_answers_to_rate", 60.0),
            ("busy", "experiments.tasks.exclude_busy_units_everywhere", 20.0),
            ("drift", "experiments.tasks.measure_drift_everywhere", 3600.0),
            ("flags", "experiments.tasks.flag_recent_feedback", 60.0),
            ("themes", "experiments.tasks.read_new_themes", 300.0),
            ("partitions", "experiments.tasks.keep_partitions", 600.0),
            ("exports", "experiments.tasks.export_due_rows", 30.0),
            ("archive", "experiments.tasks.archive_old_months", 3600.0),
            ("indexes", "inference.tasks.build_item_indexes", 60.0),
            ("artifacts", "inference.tasks.clean_stored_artifacts", 3600.0),
        )
    },
)
app.autodiscover_tasks(["experiments", "inference"])
beat_for_worker(environment.redis_url)
limit_tasks()
unmark_begun_tasks()
if environment.traces.endpoint:
    from bakeoff.telemetry.task_spans import trace_tasks

    trace_tasks(environment.traces)


@worker_init.connect
def refuse_wrong_database(**_: Any) -> None:
    """End a worker of another version, or whose artifacts no other process would find."""
    exit_on_wrong_database(environment)


@worker_ready.connect
def answer_web_processes(sender: Any, **_: Any) -> None:
    """Let a worker of the queue `answers` answer what web processes ask, beside its tasks."""
    if ANSWERS in sender.app.amqp.queues.consume_from:
        from inference.worker_threads import start_worker_threads  # noqa: PLC0415  after Django is set up

        start_worker_threads()


@worker_ready.connect
def watch_experiments(sender: Any, **_: Any) -> None:
    """Let a worker of some queues watch experiments for harm beside its tasks."""
    from bakeoff.breaker_watch import QUEUES, start_breaker_thread  # noqa: PLC0415  after Django

    if QUEUES & set(sender.app.amqp.queues.consume_from):
        start_breaker_thread()


@worker_ready.connect
def deliver_alerts(sender: Any, **_: Any) -> None:
    """Let a worker of some queues deliver alerts beside its tasks."""
    from bakeoff.delivery.alert_thread import QUEUES, start_alert_thread  # noqa: PLC0415  after Django

    if QUEUES & set(sender.app.amqp.queues.consume_from):
        start_alert_thread()
