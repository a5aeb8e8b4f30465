"""The broker's queues: how many messages wait, and how old the oldest is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from celery import current_app
from celery.signals import before_task_publish
from kombu.exceptions import ChannelError

from inference.sentinel_address import absence_in

if TYPE_CHECKING:
    from kombu import Connection

QUEUES = ("default", "analysis", "refresh", "train", "embed", "answers")
SENT_AT = "sent_at"


class BrokerError(Exception):
    """The broker does not answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits in a queue.

    Attributes:
        name: of the queue.
        waiting: messages that no worker has taken.
        oldest_seconds: age of the oldest of them; None where nothing waits or the broker cannot say.
    """

    name: str
    waiting: int
    oldest_seconds: float | None


def read_queues() -> list[Queue]:
    """Return what waits in each queue of the broker.

    Raises:
        BrokerError: it does not answer.
    """
    try:
        with current_app.connection_for_read() as connection:
            return [_read(connection, name) for name in QUEUES]
    except Exception as error:  # each transport raises its own
        raise BrokerError(f"the broker does not answer: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return why, in one sentence: kombu writes out every connection to a sentinel."""
    settings = current_app.conf
    group = settings.broker_transport_options.get("master_name", "")
    return absence_in(str(error), broker_url=str(settings.broker_url), group=group) or str(error)


@before_task_publish.connect
def _stamp(headers: dict[str, Any], **_: object) -> None:
    """Stamp a message with its time: brokers do not keep that."""
    headers[SENT_AT] = time.time()


def _read(connection: Connection, name: str) -> Queue:
    channel: Any = connection.default_channel
    try:
        waiting = int(channel.queue_declare(queue=name, passive=True).message_count)
    except ChannelError:  # a queue in which nothing waits does not exist in Redis
        return Queue(name, 0, None)
    return Queue(name, waiting, _oldest(channel, name) if waiting else None)


def _oldest(channel: Any, name: str) -> float | None:
    client = getattr(channel, "client", None)  # only the transports over Redis can look ahead
    if client is None:
        return None
    body = client.lindex(name, -1)  # written on the left, taken from the right
    sent = orjson.loads(body)["headers"].get(SENT_AT) if body else None
    return None if sent is None else max(time.time() - float(sent), 0.0)
