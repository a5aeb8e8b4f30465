"""What is known of the request that the running code works for: metrics and lines of logs name it.

Guarantees: it costs a request one small object; the id is made when somebody needs it. Django's threads
see the trace of the request that they answer.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from uuid_utils import uuid7

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "other"  # route of what no route answers
# What a log can hold without quoting; more is no id.
_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


@dataclass(slots=True)
class RequestTrace:
    """One request.

    Attributes:
        headers: as ASGI has them.
        route: the template of its path, such as `v1/surfaces/{key}`; `other` until it is known.
        key: the beginning of its key, as pages and the audit log show it.
        project: slug of the key's or the page's project.
        status: of the answer, once it has begun; 0 before.
    """

    headers: Iterable[tuple[bytes, bytes]]
    route: str = OTHER
    key: str = ""
    project: str = ""
    status: int = 0
    _id: str = field(default="", init=False)

    @property
    def request_id(self) -> str:
        """What `X-Request-Id` says, or a new UUIDv7."""
        if not self._id:
            sent = next((value for name, value in self.headers if name == b"x-request-id"), b"")
            self._id = sent.decode() if _ID.fullmatch(sent) else str(uuid7())
        return self._id


_current: ContextVar[RequestTrace | None] = ContextVar("request trace", default=None)


def current_trace() -> RequestTrace | None:
    """Return the request that this code works for, if it works for one."""
    return _current.get()


def begin_trace(headers: Iterable[tuple[bytes, bytes]], route: str) -> RequestTrace:
    """Begin the trace of a request, for the rest of this task and the threads that it hands work to."""
    trace = RequestTrace(headers, route)
    _current.set(trace)
    return trace
