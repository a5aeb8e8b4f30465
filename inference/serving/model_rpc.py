"""How web processes ask a worker's model, and how it answers: two kinds of lists in the cache.

An ask goes to one list, which any number of workers pop, many at a time; the answer goes to the list of
the process that asked. An ask says until when its answer is wanted, and is dropped after that: a worker
that was away does not work for visitors who have left.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import redis

REQUESTS = "asks"
MAX_WAITING = 10_000
MAX_AT_ONCE = 32
REPLIES_TTL_SECONDS = 30
WAIT_SECONDS = 1.0


def replies_key(process: str) -> str:
    """List of the answers that a process waits for."""
    return f"replies:{process}"


def encode_request(
    number: int, process: str, digest: str, until: float, question: Mapping[str, Any]
) -> bytes:
    """Return an ask as it travels.

    Args:
        number: names the answer.
        process: whose replies list.
        digest: of the artifact that is asked.
        until: seconds since 1970 after which nobody waits.
        question: `text` and `features`, or `unit_id`, `recent`, `candidates` and `context`.
    """
    return orjson.dumps([number, process, digest, until, question])


def answer_requests(
    client: redis.Redis,
    answer: Callable[[str, Sequence[Mapping[str, Any]]], Sequence[Sequence[float]]],
) -> int:
    """Wait a second at most for asks and answer them; return how many were answered.

    Args:
        client: the cache.
        answer: called with an artifact's digest and the questions to it; returns scores of each.
            What it raises is told to who asked.
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
    pipe = client.pipeline(transaction=False)
    for digest, of_artifact in by_artifact.items():
        for process, reply in _answer_one(digest, of_artifact, answer):
            pipe.rpush(replies_key(process), reply)
            pipe.expire(replies_key(process), REPLIES_TTL_SECONDS)
    pipe.execute()
    return len(requests)


def _answer_one(digest: str, requests: list[Any], answer: Any) -> list[tuple[str, bytes]]:
    try:
        scores = answer(digest, [request[4] for request in requests])
        return [
            (request[1], orjson.dumps([request[0], [float(s) for s in mine], None]))
            for request, mine in zip(requests, scores, strict=True)
        ]
    except Exception as error:  # noqa: BLE001  a model may raise anything; who asked is told
        message = f"{type(error).__name__}: {error}"[:300]
        return [(request[1], orjson.dumps([request[0], None, message])) for request in requests]
