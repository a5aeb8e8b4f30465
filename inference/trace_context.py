"""The trace in which the running code works, for processes, threads and answers that continue it.

Imports nothing of OpenTelemetry, and costs nothing until the process traces (`continue_traces_with`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

P = ParamSpec("P")
T = TypeVar("T")
# OpenTelemetry's names of a trace in the environment of a process that continues it.
TRACEPARENT, TRACESTATE = "TRACEPARENT", "TRACESTATE"


@dataclass(frozen=True, slots=True)
class TraceHooks:
    """How a process that traces names and continues traces.

    Attributes:
        current: returns `traceparent` and `tracestate` of the running code's span; empty outside any.
        continued: called with a span's name and traces as `current` returns them, one of them not
            empty; what it returns lets a span of each that is not empty last as long as a block. The
            block works in the first of them.
    """

    current: Callable[[], dict[str, str]]
    continued: Callable[[str, Sequence[Mapping[str, str]]], AbstractContextManager[None]]


class _Process:
    """The hooks of this process; none until it traces."""

    hooks: TraceHooks | None = None


def continue_traces_with(hooks: TraceHooks | None) -> None:
    """Let processes, threads and answers continue traces from now on; None: no longer."""
    _Process.hooks = hooks


def current_trace() -> dict[str, str]:
    """Return what continues the running code's trace elsewhere; empty where nothing is traced."""
    return {} if _Process.hooks is None else _Process.hooks.current()


def in_current_trace(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose process continues the running code's trace, and no outer one."""
    rest = {name: value for name, value in env.items() if name not in {TRACEPARENT, TRACESTATE}}
    return rest | {name.upper(): value for name, value in current_trace().items()}


def continued_traces(name: str, traces: Sequence[Mapping[str, str]]) -> AbstractContextManager[None]:
    """Let a span in each trace last as long as the block; none where this process traces nothing.

    Args:
        name: of the spans.
        traces: of all that the block answers; empty where one is not traced.
    """
    if _Process.hooks is None or not any(traces):
        return nullcontext()
    return _Process.hooks.continued(name, traces)


class TracedThreads(ThreadPoolExecutor):
    """Threads that work in the trace, and other context, of who submits to them."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call; `map` submits by it, too."""
        # A copy for each: no two threads may be in one context at once.
        context = copy_context()
        return super().submit(lambda: context.run(fn, *args, **kwargs))
