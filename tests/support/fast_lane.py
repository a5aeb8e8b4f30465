"""The gateway served by a real server in a thread, on the database of the tests."""

from __future__ import annotations

import asyncio
import threading
from unittest import mock

import httpx2
import uvicorn
from django.conf import settings

from bakeoff.environment import read_environment
from bakeoff.gateway.cache import HOT_SECONDS
from bakeoff.gateway.http.connection import Connection
from tests.support.repeatable import repeatable_generators


def test_database_url() -> str:
    """The database that pytest-django made, as the gateway wants it."""
    return read_environment().database_url.replace("///bakeoff?", "///test_bakeoff?")


test_database_url.__test__ = False


class FastLane:
    """A gateway served by uvicorn in a thread."""

    def __init__(self, environment, *, cache_seconds: float = HOT_SECONDS) -> None:
        """Serve.

        Args:
            environment: of the platform.
            cache_seconds: how long a request waits for the cache before it is answered without.
        """
        from a2wsgi import WSGIMiddleware
        from django.core.wsgi import get_wsgi_application

        from bakeoff.gateway.app import Gateway

        with (
            mock.patch("bakeoff.gateway.app.HOT_SECONDS", cache_seconds),
            repeatable_generators(),
        ):
            self.gateway = Gateway(
                environment,
                WSGIMiddleware(get_wsgi_application(), workers=2),
                secret=settings.SECRET_KEY,
            )
        config = uvicorn.Config(
            self.gateway,
            port=0,
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=2,
            http=Connection,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.ready = threading.Event()
        self.thread.start()
        assert self.ready.wait(20)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx2.Client(base_url=self.url, timeout=20)

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            task = asyncio.create_task(self.server.serve())
            while not self.server.started and not task.done():
                await asyncio.sleep(0.01)
            self.ready.set()
            await task

        asyncio.run(serve())

    def refresh(self) -> None:
        """Read the configuration and the catalogues now, as an announced change makes it do."""
        for read in (self.gateway._config._reload, self.gateway._catalogues._read):
            asyncio.run_coroutine_threadsafe(read(), self.loop).result(20)

    def post(self, path: str, body, key: str | None = None, **options):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.client.post(path, json=body, headers=headers, **options)

    def stop(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)


def evaluate_flag(lane, shop, key="button", *, context=None, unit="u1"):
    """Ask for one flag by OFREP, as a browser does."""
    body = {"context": {"targetingKey": unit, **(context or {})}}
    return lane.post(f"/ofrep/v1/evaluate/flags/{key}", body, shop.public)
