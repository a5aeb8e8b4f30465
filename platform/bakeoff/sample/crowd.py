"""The visitors of the sample shop: quickly while the experiment runs, seldom otherwise, always.

Guarantees: a platform that restarts or is busy ends nothing, its visitors wait; the shop's removal ends
them; stopping the crowd takes a second or two.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx2
from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from bakeoff.accounts.models import Project
from bakeoff.replay.visitors import Ledger, Traffic, visit
from bakeoff.sample.people import PEOPLE, visitor
from bakeoff.sample.status import SampleStatus, write_status
from experiments.models import Experiment
from experiments.reports.verdict import summarise_verdict
from experiments.tasks import read_new_themes
from inference.cache import cache_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from bakeoff.replay.reporter import Reporter
    from bakeoff.replay.visitors import SimulatedVisitor
    from bakeoff.sample.shop import SampleShop

# Visitors a second: hundreds within minutes, which two busy cores answer beside everything else; else
# as many as keep pages alive, some tens of megabytes of rows a day.
BUSY, QUIET = 4.0, 0.2
WORKERS = 4
NEW_ONE_IN = 10
WATCH_SECONDS = 2.0
PAUSE_SECONDS, MOMENT_SECONDS = 2.0, 0.2  # after a request that failed; between two looks at the clock


class Crowd:
    """Visitors in a thread of their own, and one that watches the experiment for the terminal.

    Attributes:
        visits: how many came.
    """

    def __init__(self, shop: SampleShop, *, url: str, reporter: Reporter) -> None:
        """Prepare; `url` is where the platform answers."""
        self.visits = 0
        self._shop, self._reporter = shop, reporter
        self._traffic = Traffic(
            url=url, key=shop.key, surface=shop.surface.key, visits=2, k=8, salt=f"{time.time_ns()}"
        )
        self._rate, self._was_running = QUIET, False
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._come, name="sample visitors", daemon=True),
            threading.Thread(target=self._watch, name="sample watch", daemon=True),
        ]

    def __enter__(self) -> Crowd:
        """Let them come."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; what is on its way ends."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=5)

    # Visitors

    def _come(self) -> None:
        asyncio.run(self._let_all_come())

    async def _let_all_come(self) -> None:
        queue = _visitors()
        headers = {"Authorization": f"Bearer {self._traffic.key}"}
        async with httpx2.AsyncClient(
            base_url=self._traffic.url, headers=headers, timeout=30
        ) as client:
            await asyncio.gather(*(self._let_come(client, queue) for _ in range(WORKERS)))

    async def _let_come(self, client: httpx2.AsyncClient, queue: Iterator[SimulatedVisitor]) -> None:
        while not self._stopping.is_set():
            start = time.monotonic()
            try:
                # A ledger each: nothing is compared here, and one of all would grow for ever.
                await visit(client, self._traffic, next(queue), Ledger())
            except httpx2.HTTPError:  # the platform restarts, or is busy: the next one comes later
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self.visits += 1
            await self._pause_until_next(start)

    async def _pause_until_next(self, start: float) -> None:
        """Wait until this worker's next visitor is due, at the rate that holds meanwhile."""
        while time.monotonic() < start + WORKERS / self._rate and not self._stopping.is_set():
            await asyncio.sleep(MOMENT_SECONDS)

    # Watching

    def _watch(self) -> None:
        try:
            while not self._stopping.wait(WATCH_SECONDS):
                close_old_connections()  # of a database that was restarted
                with suppress(DatabaseError):
                    self._look()
        finally:
            connection.close()  # this thread's own

    def _look(self) -> None:
        """Say that visitors come, and tell the verdict once; where the shop is gone, so are they."""
        project = self._shop.project
        if not Project.objects.filter(pk=project.pk).exists():
            self._reporter.echo("The sample shop was removed: its visitors stop.")
            self._stopping.set()
            return
        # A row of its own: what a look writes meanwhile is read, never saved.
        experiment = self._shop.experiment
        write_status(cache_client(), project.pk, SampleStatus(self.visits, self._traffic.key))
        is_running = experiment is not None and experiment.state == Experiment.State.RUNNING
        if experiment is not None and self._was_running and not is_running:
            self._reporter.echo(f"Verdict: {summarise_verdict(experiment).sentence}")
            read_new_themes()  # who reads the verdict reads what people say, too
        self._was_running = is_running
        self._rate = BUSY if is_running else QUIET


def _visitors() -> Iterator[SimulatedVisitor]:
    """Yield people in random order, for ever; some are new to the shop."""
    draw = random.Random()  # noqa: S311  a simulation, and no two starts are alike
    newcomers = itertools.count(PEOPLE + draw.randrange(1_000_000))
    for turn in itertools.count():
        is_new = not draw.randrange(NEW_ONE_IN)
        number = next(newcomers) if is_new else draw.randrange(PEOPLE)
        yield visitor(number, visit=f"{turn}:{draw.random()}")
