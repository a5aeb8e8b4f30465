"""Requests from web processes to a worker's models, and the replies: two kinds of lists in the cache.

A request goes to one list, which any number of workers pop, many at a time; its reply goes to the list
of the process that sent it. A request carries its deadline, and is dropped after that: a worker that
was away does not work for visitors who have left.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    import redis

    Traces = Sequence[Mapping[str, str]]

REQUESTS = "asks"
MAX_WAITING = 10_000  # the newest stay: while no worker is there, the list may not fill the cache
MAX_AT_ONCE = 32  # one batch of an encoder; more would keep the first of them waiting
REPLIES_TTL_SECONDS = 30  # a web process that died reads its list no more
TRACED = 5  # fields of a request that carries no trace
WAIT_SECONDS = 1.0  # a pop returns this often, so that the thread can beat and be stopped


def replies_key(process: str) -> str:
    """List of the replies that a process waits for."""
    return f"replies:{process}"


def encode_request(
    number: int,
    process: str,
    digest: str,
    until: float,
    question: Mapping[str, Any],
    *,
    trace: Mapping[str, str] | None = None,
) -> bytes:
    """Return a request as it travels.

    Args:
        number: names the reply.
        process: whose replies list.
        digest: of the artifact that is to answer.
        until: seconds since 1970 after which nobody waits.
        question: `text` and `features`, or `unit_id`, `recent`, `candidates` and `context`.
        trace: the headers by which a worker continues the request's trace.
    """
    request = [number, process, digest, until, question]
    # Last, and only where there is one: a worker of an earlier release reads the first five.
    return orjson.dumps([*request, trace] if trace else request)


def answer_requests(
    client: redis.Redis,
    answer: Callable[[str, Sequence[Mapping[str, Any]]], Sequence[Sequence[float]]],
    continued: Callable[[Traces], AbstractContextManager[None]] = lambda _traces: nullcontext(),
) -> int:
    """Wait a second at most for requests and answer them; return how many were answered.

    Args:
        client: the cache.
        answer: called with an artifact's digest and the questions to it; returns scores of each.
            What it raises becomes the error of each reply.
        continued: called with the traces of the requests of one call of `answer`, empty where one is
            not traced; `answer` runs in the block of what it returns.
    """
    first = cast("tuple[bytes, bytes] | None", client.blpop([REQUESTS], timeout=WAIT_SECONDS))
    if first is None:
        return 0
    more = cast("list[bytes] | None", client.lpop(REQUESTS, MAX_AT_ONCE - 1)) or []
    now = time.time()
    requests = [request for request in map(orjson.loads, [first[1], *more]) if request[3] > now]
    by_artifact: dict[str, list[Any]] = defaultdict(list)
    for request in requests:
        by_artifact[request[2]].append(request)
    pipe = client.pipeline(transaction=False)  # one round trip; replies need not appear together
    for digest, of_artifact in by_artifact.items():
        for process, reply in _answer_one(digest, of_artifact, answer, continued):
            pipe.rpush(replies_key(process), reply)
            pipe.expire(replies_key(process), REPLIES_TTL_SECONDS)
    pipe.execute()
    return len(requests)


def _answer_one(
    digest: str, requests: list[Any], answer: Any, continued: Any
) -> list[tuple[str, bytes]]:
    try:
        with continued([request[5] if len(request) > TRACED else {} for request in requests]):
            scores = answer(digest, [request[4] for request in requests])
        return [
            (request[1], orjson.dumps([request[0], [float(s) for s in mine], None]))
            for request, mine in zip(requests, scores, strict=True)
        ]
    except Exception as error:  # noqa: BLE001  a model may raise anything; the reply says it
        message = f"{type(error).__name__}: {error}"[:300]
        return [(request[1], orjson.dumps([request[0], None, message])) for request in requests]
