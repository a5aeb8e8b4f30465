"""Spans of Celery's tasks, and of the messages that ask for them, by its own signals.

Guarantees: a message carries the trace of the request, tick of beat or task that sent it
(`traceparent` among its headers), and its task continues it. Errors are named by their class alone:
their messages may quote values. A worker that is killed in a task sends no span of it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from celery.signals import (
    after_task_publish,
    beat_init,
    before_task_publish,
    task_failure,
    task_postrun,
    task_prerun,
    worker_init,
    worker_shutdown,
)

from bakeoff.telemetry.tracing import Tracing, share_tracing, shared_tracing

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from bakeoff.telemetry.trace_settings import TraceSettings

_SCOPE = "bakeoff.tasks"
_publishing: ContextVar[Span | None] = ContextVar("span of a message", default=None)
# Spans of tasks that run in this process, by the task's id, with what ends their being current.
_running: dict[str, tuple[Span, Token[Context]]] = {}


def trace_tasks(settings: TraceSettings) -> None:
    """Trace what this process sends and runs; called once, where traces are wanted.

    Web processes share a way out of their own (`share_tracing`); workers and beat open theirs here. A
    process with neither, such as a command, sends messages without a trace.
    """
    for signal, service in ((worker_init, "bakeoff-worker"), (beat_init, "bakeoff-beat")):
        signal.connect(_opener(settings, service), weak=False)
    worker_shutdown.connect(_close, weak=False)
    before_task_publish.connect(_begin_message, weak=False)
    after_task_publish.connect(_end_message, weak=False)
    task_prerun.connect(_begin_task, weak=False)
    task_failure.connect(_fail_task, weak=False)
    task_postrun.connect(_end_task, weak=False)


def _opener(settings: TraceSettings, service: str) -> Callable[..., None]:
    def open_tracing(**_: object) -> None:
        share_tracing(Tracing.open(settings, service=service))

    return open_tracing


def _close(**_: object) -> None:
    if (tracing := shared_tracing()) is not None:
        tracing.close()


def _begin_message(
    sender: str, headers: MutableMapping[str, Any], routing_key: str | None = None, **_: object
) -> None:
    """Put the trace into a message that is about to be sent."""
    if (tracing := shared_tracing()) is None:
        return
    from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415  an extra

    attributes = _facts(sender, str(headers.get("id", "")), routing_key, operation="send")
    span = tracing.tracer(_SCOPE).start_span(
        f"send {sender}", kind=SpanKind.PRODUCER, attributes=attributes
    )
    _propagator().inject(headers, context=set_span_in_context(span))
    _publishing.set(span)


def _end_message(**_: object) -> None:
    # Of a message that the broker did not take nothing ends here: the next one is another span.
    if (span := _publishing.get()) is not None:
        span.end()
        _publishing.set(None)


def _begin_task(task: Any, task_id: str, **_: object) -> None:
    """Continue the trace of a task's message."""
    if (tracing := shared_tracing()) is None:
        return
    from opentelemetry.context import attach  # noqa: PLC0415  an extra
    from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415

    names = ("traceparent", "tracestate")
    carrier = {name: str(value) for name in names if (value := task.request.get(name))}
    queue = (task.request.delivery_info or {}).get("routing_key")
    span = tracing.tracer(_SCOPE).start_span(
        f"process {task.name}",
        # Without one in the message: the trace in which it is called directly, or a new one.
        context=_propagator().extract(carrier) if carrier else None,
        kind=SpanKind.CONSUMER,
        attributes=_facts(task.name, task_id, queue, operation="process"),
    )
    _running[task_id] = span, attach(set_span_in_context(span))


def _fail_task(task_id: str, exception: BaseException, **_: object) -> None:
    if task_id not in _running:
        return
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415  an extra

    span, _token = _running[task_id]
    span.set_attribute("error.type", type(exception).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


def _end_task(task_id: str, state: str | None = None, **_: object) -> None:
    if task_id not in _running:
        return
    from opentelemetry.context import detach  # noqa: PLC0415  an extra

    span, token = _running.pop(task_id)
    detach(token)
    span.set_attribute("celery.state", state or "")
    span.end()


def _facts(task: str, task_id: str, queue: str | None, *, operation: str) -> dict[str, str]:
    facts = {
        "messaging.system": "celery",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": queue or "default",
        "messaging.message.id": task_id,
        "celery.task_name": task,
    }
    return {name: value for name, value in facts.items() if value}


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  an extra
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator()
