"""What is wrong with the processes in the background, by their beats and by what waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.queues import QUEUES, BrokerError, read_queues
from inference.sending import RUN_TRAINING, TRAIN_IN_TURN
from inference.serving.beats import MAX_CLOCK_ERROR_SECONDS, LastBeat, read_beats

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from inference.queues import Queue

BEAT = "beat@"
# A training may take hours; no other task may, and a main loop without a task turns every 2 seconds.
UNBOUNDED_TASKS = (RUN_TRAINING, TRAIN_IN_TURN)
MAX_TASK_SECONDS = 900.0
MAX_IDLE_SECONDS = 60.0
RESTART = "`bakeoff up` starts it again; elsewhere restart it, and see its log."


@dataclass(frozen=True, slots=True)
class ProcessIssue:
    """Something that is wrong: with what, what it is, and the remedy."""

    where: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Background:
    """The work in the background.

    Attributes:
        queues: what waits; empty while the broker is away.
        processes: the last beat of each worker and of beat.
        issues: what is wrong.
        gone: the issues of processes that are not there: silent ones, and queues that nobody works on.
    """

    queues: Sequence[Queue]
    processes: Sequence[LastBeat]
    issues: Sequence[ProcessIssue]
    gone: Sequence[ProcessIssue] = ()


def read_background(client: redis.Redis) -> Background:
    """Return the state of the work in the background.

    Args:
        client: the cache.

    Raises:
        redis.exceptions.RedisError: the cache does not answer, so no beat can be read.
    """
    issues: list[ProcessIssue] = []
    queues: Sequence[Queue] = ()
    try:
        queues = read_queues()
    except BrokerError as error:
        issues.append(ProcessIssue("broker", str(error), "Check BROKER_URL; rows keep what is due."))
    processes = read_beats(client)
    for process in processes:
        issues += _issues_of(process)
    missing = _missing(queues, processes)
    return Background(queues, processes, [*issues, *missing], _gone(processes, missing))


def _gone(processes: Sequence[LastBeat], missing: Sequence[ProcessIssue]) -> list[ProcessIssue]:
    """Return one issue per process that is gone; its queues are no issues of their own."""
    silent = [process for process in processes if process.silent]
    explained = {f"queue {queue}" for process in silent for queue in process.beat.queues}
    explained |= {"beat" for process in silent if process.beat.name.startswith(BEAT)}
    return [
        *(issue for process in silent for issue in _issues_of(process)),
        *(issue for issue in missing if issue.where not in explained),
    ]


def _issues_of(process: LastBeat) -> list[ProcessIssue]:
    beat = process.beat
    if process.silent:
        silent = f"has given no sign of life for {process.silent_seconds:.0f} s"
        return [ProcessIssue(beat.name, silent, RESTART)]
    issues = []
    if beat.task and beat.task not in UNBOUNDED_TASKS and beat.busy_seconds > MAX_TASK_SECONDS:
        busy = f"has been in the task {beat.task} for {beat.busy_seconds:.0f} s"
        issues.append(ProcessIssue(beat.name, busy, RESTART))
    if not beat.task and beat.busy_seconds > MAX_IDLE_SECONDS:
        stuck = f"lives, but its main loop has stood still for {beat.busy_seconds:.0f} s"
        issues.append(ProcessIssue(beat.name, stuck, RESTART))
    if abs(process.clock_error_seconds) > MAX_CLOCK_ERROR_SECONDS:
        error = f"its clock differs from the cache server's by {process.clock_error_seconds:+.0f} s"
        issues.append(ProcessIssue(beat.name, error, "Set the clocks, by NTP say."))
    return issues


def _missing(queues: Sequence[Queue], processes: Sequence[LastBeat]) -> list[ProcessIssue]:
    """Name queues that nobody works on, and a missing beat."""
    alive = [process.beat for process in processes if not process.silent]
    served = {queue for beat in alive for queue in beat.queues}
    waiting = {queue.name: queue.waiting for queue in queues}
    issues = [
        ProcessIssue(
            f"queue {name}", f"no worker takes from it; waiting: {waiting.get(name, 0)}", RESTART
        )
        for name in QUEUES
        if name not in served
    ]
    if not any(beat.name.startswith(BEAT) for beat in alive):
        issues.append(ProcessIssue("beat", "it does not run, so nothing is looked at in time", RESTART))
    return issues
