"""The span of a whole process: a command of the console, or a training.

Guarantees: no argument and no message of an exception is sent, since either may quote a secret. A
process that a signal ends sends no span.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bakeoff.telemetry.trace_settings import TraceSettings, TraceSettingsError
from bakeoff.telemetry.tracing import Tracing, share_tracing
from inference.trace_context import TRACEPARENT, TRACESTATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span


@contextmanager
def process_span(name: str, *, service: str) -> Iterator[None]:
    """Let the span of this process last as long as the block, and send it at its end.

    It continues the trace that the variables `TRACEPARENT` and `TRACESTATE` name, or begins one. Where
    the settings of traces break a rule nothing is sent: who reads them all refuses them.

    Args:
        name: of the span.
        service: name of the process's part, such as `bakeoff-command`.
    """
    try:
        settings = TraceSettings.of(os.environ)
        settings.check_installed()
    except TraceSettingsError:
        settings = TraceSettings()
    tracing = Tracing.open(settings, service=service)
    if tracing is None:
        yield
        return
    # What a command prints is its own: a receiver that is away is the operator's to watch.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    share_tracing(tracing)
    try:
        with _span(tracing, name):
            yield
    finally:
        tracing.close()


@contextmanager
def _span(tracing: Tracing, name: str) -> Iterator[None]:
    from bakeoff.telemetry.continued_traces import context_of  # noqa: PLC0415  for who traces

    trace = {
        variable.lower(): value
        for variable in (TRACEPARENT, TRACESTATE)
        if (value := os.environ.get(variable))
    }
    with tracing.tracer("bakeoff.processes").start_as_current_span(
        name,
        context=context_of(trace),
        attributes={"process.pid": os.getpid()},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            _end(span, _exit_code(error), error)
            raise
        _end(span, 0)


def _end(span: Span, code: int, error: BaseException | None = None) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415  an extra

    span.set_attribute("process.exit.code", code)
    if code:
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(Status(StatusCode.ERROR))


def _exit_code(error: BaseException) -> int:
    """Return the exit status that an exception brings about, as Python and Click have it."""
    code = error.code if isinstance(error, SystemExit) else getattr(error, "exit_code", 1)
    return code if isinstance(code, int) else int(code is not None)
