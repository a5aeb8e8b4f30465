"""What a container's health check runs: `python -m bakeoff.container_check [PART] [--alive]`.

The part is web, worker or beat. Without it the container's first process says which; anything else,
such as a command of the console, is healthy while it runs.

Web is healthy when it may get requests (`/readyz`); a worker and beat when they gave a sign of life
within half a minute, also in the midst of a long task. With `--alive` a cache that is away is no fault
of theirs: for whoever restarts what is unhealthy. The status is 0, or 1 with one sentence.
"""

from __future__ import annotations

import http.client
import re
import socket
import sys
from pathlib import Path

import redis

from bakeoff.environment import SettingError, read_environment
from inference.redis_clients import redis_client
from inference.serving.beats import read_beats

PORT = 8000
SECONDS = 5.0
PARTS = ("web", "worker", "beat")
ALIVE = "--alive"
FIRST_PROCESS = Path("/proc/1/cmdline")


class UnhealthyError(Exception):
    """The message says what is wrong, in one sentence."""


class CacheAwayError(UnhealthyError):
    """Nobody can say whether the process lives, and starting it again would not help."""


def part_of(command: str) -> str | None:
    """Return which part a command line starts, one of a shell included; None where it is none.

    Args:
        command: its words, with zero characters or blanks between.
    """
    words = re.split(r"[\0\s]+", command)
    if "bakeoff.asgi:application" in words:
        return "web"
    if "bakeoff.celery" in words:
        return next((part for part in ("worker", "beat") if part in words), None)
    return None


def check_web(*, host: str = "127.0.0.1", port: int = PORT) -> None:
    """Ask the web process of this container whether it may get requests.

    Raises:
        UnhealthyError: it may not, or gives no answer.
    """
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read(1000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise UnhealthyError(f"GET /readyz at port {port} gives no answer: {error}.") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise UnhealthyError(f"GET /readyz == {answer.status}, must be 200: {body}")


def check_beats(kind: str, *, redis_url: str, host: str) -> None:
    """Look for a recent sign of life of a background process of this container.

    Args:
        kind: worker or beat.
        redis_url: of the cache, where they beat.
        host: of this container, with which its processes' names end.

    Raises:
        CacheAwayError: the cache is away, without which neither works.
        UnhealthyError: there is none.
    """
    client = redis_client(redis_url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
    try:
        beats = read_beats(client)
    except (redis.RedisError, OSError) as error:
        raise CacheAwayError(f"The cache gives no answer: {error}.") from error
    finally:
        client.close()
    is_beat = kind == "beat"
    ours = [
        one
        for one in beats
        if one.beat.name.endswith(f"@{host}") and one.beat.name.startswith("beat@") is is_beat
    ]
    if not ours:
        raise UnhealthyError(f"{kind} at {host} has given no sign of life.")
    if all(one.silent for one in ours):
        silent = min(one.silent_seconds for one in ours)
        raise UnhealthyError(f"{kind} at {host} has been silent for {silent:.0f} s.")


def main(arguments: list[str]) -> int:
    """Check one part and return the status."""
    only_alive = ALIVE in arguments
    arguments = [one for one in arguments if one != ALIVE]
    if len(arguments) > 1 or not set(arguments) <= set(PARTS):
        sys.stderr.write(f"part == '{' '.join(arguments)}', must be one of {', '.join(PARTS)}.\n")
        return 2
    try:
        part = arguments[0] if arguments else part_of(FIRST_PROCESS.read_text(errors="replace"))
        if part == "web":
            check_web()
        elif part is not None:
            check_beats(part, redis_url=read_environment().redis_url, host=socket.gethostname())
    except (UnhealthyError, SettingError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 0 if only_alive and isinstance(error, CacheAwayError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
