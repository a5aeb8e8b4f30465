"""Marks of messages that wait: from the moment one is sent until a worker begins its task.

Guarantees: what is asked for again and again has one message waiting while a worker is behind. A mark
ends by itself after a minute, so a message that the broker lost is sent again; where it only waits so
long, the second finds nothing to do. Without the cache nothing is marked and everything is sent.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
from celery.signals import task_prerun
from redis.exceptions import RedisError

from inference.cache import cache_client

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)
# As long as a tick's message is worth something: one that is taken later has expired, or finds
# nothing due.
MARK_SECONDS = 60
MARKS = "message:"


def message_key(task: str, arguments: Sequence[object]) -> str:
    """Name of a mark in the cache."""
    return f"{MARKS}{task}:{orjson.dumps(list(arguments)).decode()}"


def mark_messages(messages: Sequence[tuple[str, Sequence[object]]]) -> list[bool]:
    """Mark messages that are about to be sent; return for each whether none of its kind waits.

    Args:
        messages: name of the task and its arguments.
    """
    if not messages:
        return []
    try:
        # One question for all: beat asks for several each second.
        pipe = cache_client().pipeline(transaction=False)
        for task, arguments in messages:
            pipe.set(message_key(task, arguments), 1, nx=True, ex=MARK_SECONDS)
        return [bool(taken) for taken in pipe.execute()]
    except (RedisError, OSError) as error:
        logger.warning("messages are not marked, and sent: %s", error)
        return [True] * len(messages)


def unmark_message(task: str, arguments: Sequence[object]) -> None:
    """Let the next message of this kind be sent."""
    try:
        cache_client().delete(message_key(task, arguments))
    except (RedisError, OSError) as error:  # it ends by itself
        logger.debug("the mark of %s stays: %s", task, error)


def unmark_begun_tasks() -> None:
    """Let this worker unmark a message as it begins its task: what becomes due from then on is sent."""
    task_prerun.connect(_unmark, weak=False)


def _unmark(task: Any, args: Sequence[object], **_: object) -> None:
    unmark_message(task.name, args)
