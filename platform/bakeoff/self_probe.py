"""A web process asks itself whether it answers, and touches a file for its supervisor.

The question goes the way of every request, through the application's own /healthz: a loop that
hangs, or long-lived work that ended, shows itself as a file that grows old.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import os
from typing import TYPE_CHECKING

from bakeoff.embedded.beats import web_beat

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.asgi_types import Asgi, Message, Receive, Scope, Send

PROBE_SECONDS = 5.0
_SCOPE: Scope = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/healthz",
    "raw_path": b"/healthz",
    "query_string": b"",
    "root_path": "",
    "headers": [],
    "client": None,
    "server": None,
}


class SelfProbing:
    """An application that beats between its start-up and its shutdown."""

    def __init__(self, application: Asgi, run_folder: Path) -> None:
        """Probe this application, and write signs of life where the home's supervisor looks."""
        self._application, self._run_folder = application, run_folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        beating = asyncio.create_task(self._beat())
        try:
            await self._application(scope, receive, send)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            web_beat(self._run_folder, os.getpid()).unlink(missing_ok=True)

    async def _beat(self) -> None:
        path = web_beat(self._run_folder, os.getpid())
        while True:
            if await self._answers():
                with contextlib.suppress(OSError):  # no supervisor, no folder; or a full disk
                    path.touch()
            await asyncio.sleep(PROBE_SECONDS)

    async def _answers(self) -> bool:
        status = 0

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)

        try:
            await asyncio.wait_for(self._application(dict(_SCOPE), receive, send), PROBE_SECONDS)
        except Exception:  # noqa: BLE001  whatever it is, it is no answer
            return False
        return status == http.HTTPStatus.OK
