"""Old months with rows, and an archive to move them to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction

from experiments.actions.archive_months import Archived, archive_month
from experiments.archive.place import FolderPlace
from experiments.archive.plan import MonthPlan, plan_archive
from experiments.ingest.partitions import make_partitions
from experiments.models import ArchivedMonth
from experiments.sql import min_uuid7
from inference.models import ArtifactStore
from tests.support import builders
from tests.support.builders import Rows, Shop


def make_month(shop: Shop, month: date, *, units: int = 3) -> None:
    """A month of PostgreSQL in which some units were served and clicked."""
    connection.ensure_connection()
    make_partitions(connection.connection, month)
    ArtifactStore.objects.get_or_create(id=1, defaults={"store_id": uuid4()})
    start = datetime(month.year, month.month, 10, tzinfo=UTC)
    rows = Rows()
    for n in range(units):
        at = start + timedelta(hours=n)
        slate_id = str(UUID(int=min_uuid7(at).int + shop.project.pk * 1000 + n))
        rows.slates.append(
            builders.slate(
                shop, f"u{n}", recommendation_id=slate_id, served_at=at.isoformat(), context={"n": n}
            )
        )
        rows.events.append(
            builders.event(
                shop.project, unit=f"u{n}", at=at.isoformat(), event_id=f"{month}-{n}", item_id="i1",
                value=n / 3 if n else None, properties={"é": [n]},
            )
        )  # fmt: skip
    builders.write(rows)


def plans_of(month: date, *, months: int = 3) -> list[MonthPlan]:
    """What is planned for a month: events, then slates."""
    plans = plan_archive(months=months, now=builders.now())
    return [plan for plan in plans if plan.partition.month == month]


def use_archive(monkeypatch, place: str, **changes) -> None:
    """Let this process and its commands have an archive."""
    monkeypatch.setenv("BAKEOFF_ARCHIVE", place)
    monkeypatch.setattr(settings, "BAKEOFF", replace(settings.BAKEOFF, archive=place, **changes))


def archive(month: date, place) -> list[Archived]:
    """Archive both tables of a month."""
    return [archive_one(plan, place) for plan in plans_of(month)]


def files_of(shop: Shop) -> list[ArchivedMonth]:
    return list(ArchivedMonth.objects.filter(project=shop.project).order_by("table"))


def folder(path) -> FolderPlace:
    return FolderPlace(path / "archive")


@dataclass
class Proxy:
    """A place that stands before another: tests let some of its calls fail."""

    real: FolderPlace

    @property
    def url(self) -> str:
        return self.real.url

    def put(self, name, file):
        self.real.put(name, file)

    def fetch(self, name, file):
        self.real.fetch(name, file)

    def claim(self, name, text):
        return self.real.claim(name, text)


def archive_one(plan: MonthPlan, place) -> Archived:
    return archive_month(plan=plan, place=place, by="a test", advance=lambda *_: None)


def of_gone_project(place: FolderPlace, *, month: date) -> None:
    """A file of a project that there is no more."""
    row = ArchivedMonth.objects.create(
        project_id=2_000_000_000, table="events", month=month, rows=1, archived_at=builders.now()
    )
    target = place.root / row.name
    target.parent.mkdir(parents=True)
    target.write_text("rows")


def names_in(place: FolderPlace) -> list[str]:
    return sorted(str(one.relative_to(place.root)) for one in place.root.rglob("*.parquet"))


@contextmanager
def other_process(work):
    """Do something in a transaction of another connection, which stays open for a block."""
    begun, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            work()
            begun.set()
            ended.wait(60)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(60)
    yield
    ended.set()
    thread.join()
