"""Old months go to the archive: each row in one of both places, wherever it is cut off."""

from __future__ import annotations

import resource
import signal
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.db import connection

from bakeoff.accounts.models import AuditEntry
from experiments.actions import count_decisions as counting
from experiments.actions.archive_by_night import archive_by_night
from experiments.actions.archive_months import archive_month
from experiments.actions.exclude_units import exclude_units
from experiments.actions.export_rows import export_rows
from experiments.actions.put_export import put_export
from experiments.archive.place import ArchiveError, FolderPlace
from experiments.archive.state import check_file, missing_files, summarise
from experiments.ingest.partitions import partitions_of
from experiments.models import ArchivedMonth, Event, Slate
from inference.models import ArtifactStore, TrainingRun
from tests.support import archives, builders
from tests.support.fast_lane import test_database_url
from tests.support.ranking import make_rank_surface, report_counted, write_hourly_decisions
from tests.support.waiting import wait_until

# A month per test: partitions are the whole platform's.
MONTHS = iter(date(2015 + n // 12, n % 12 + 1, 1) for n in range(60))


@pytest.fixture
def month(shop):
    one = next(MONTHS)
    archives.make_month(shop, one)
    yield one
    ArchivedMonth.objects.filter(project=shop.project).delete()


def stored(shop) -> tuple[int, int]:
    """How many events and slates PostgreSQL has."""
    return (
        Event.objects.filter(project=shop.project).count(),
        Slate.objects.filter(project=shop.project).count(),
    )


def test_a_month_is_moved_with_all_of_its_columns(shop, month, tmp_path):
    place = archives.folder(tmp_path)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT *, xid::text AS number FROM experiments_event WHERE project_id = %s ORDER BY unit_id",
            [shop.project.pk],
        )
        names = [one[0] for one in cursor.description]
        before = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    steps = []
    for plan in archives.plans_of(month):
        archive_month(plan=plan, place=place, by="ann", advance=lambda *step: steps.append(step))
    assert stored(shop) == (0, 0)
    assert f"experiments_event_{month:%Y_%m}" not in partitions_of(
        connection.connection, "experiments_event"
    )
    events, slates = archives.files_of(shop)
    assert (events.rows, slates.rows) == (3, 3)
    assert [check_file(place, row) for row in (events, slates)] == ["", ""]
    rows = pq.read_table(place.root / events.name).to_pylist()
    for row, was in zip(rows, before, strict=True):
        assert row["xid"] == int(was["number"])
        assert row["properties"] == was["properties"]
        same = set(row) - {"xid", "properties"}
        assert {name: row[name] for name in same} == {name: was[name] for name in same}
    # Read and written, then dropped: progress comes to its end.
    assert sum(count for count, _phase in steps) == 2 * 6
    assert {phase.partition(", ")[2] for _count, phase in steps} == {"written and read back", "dropped"}
    trail = AuditEntry.objects.filter(project=shop.project, action="archive").order_by("id")
    assert [(one.actor, one.subject) for one in trail] == [
        ("ann", f"events of {month:%Y-%m}"),
        ("ann", f"slates of {month:%Y-%m}"),
    ]


def test_months_of_several_projects_have_files_of_their_own(shop, month, tmp_path):
    other = builders.make_shop(items=3)
    archives.make_month(other, month, units=5)
    place = archives.folder(tmp_path)
    archives.archive(month, place)
    assert [row.rows for row in archives.files_of(shop)] == [3, 3]
    assert [row.rows for row in archives.files_of(other)] == [5, 5]
    assert summarise([other.project.pk]).rows == 10
    assert list(missing_files(place)) == []
    ArchivedMonth.objects.filter(project=other.project).delete()


@dataclass
class Breaking(archives.Proxy):
    """A place that fails at some call, or stores half of a file."""

    broken: str

    def put(self, name, file):
        if self.broken == "put":
            raise ArchiveError("denied")
        if self.broken == "half":
            file.write_bytes(file.read_bytes()[:-40])
        super().put(name, file)
        if self.broken == "killed":
            raise KeyboardInterrupt

    def fetch(self, name, file):
        if self.broken == "fetch":
            raise ArchiveError("no answer")
        super().fetch(name, file)


@pytest.mark.parametrize(
    ("broken", "error", "sentence"),
    [
        ("put", ArchiveError, "denied"),
        ("half", ArchiveError, "is cut or damaged"),
        ("fetch", ArchiveError, "no answer"),
        ("killed", KeyboardInterrupt, None),
    ],
)
def test_what_is_cut_off_drops_nothing_and_is_begun_again(
    shop, month, tmp_path, broken, error, sentence
):
    place = archives.folder(tmp_path)
    with pytest.raises(error, match=sentence):
        archives.archive(month, Breaking(place, broken))
    assert stored(shop) == (3, 3)
    assert summarise([shop.project.pk]).files == 0
    archives.archive(month, place)
    assert stored(shop) == (0, 0)
    assert [row.rows for row in archives.files_of(shop)] == [3, 3]
    assert [check_file(place, row) for row in archives.files_of(shop)] == ["", ""]


def test_a_full_disk_drops_nothing(shop, month, tmp_path):
    place = archives.folder(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit of a file's size, as a quota has it: the kernel refuses the bytes beyond it.
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(
            ArchiveError, match=r"temporary files cannot be written to .* File too large"
        ):
            archives.archive(month, place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert stored(shop) == (3, 3)
    archives.archive(month, place)
    assert stored(shop) == (0, 0)


def test_a_folder_that_cannot_be_made_is_named(shop, month, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="cannot be written: Not a directory"):
        archives.archive(month, FolderPlace(tmp_path / "file" / "archive"))
    assert stored(shop) == (3, 3)


def test_rows_that_change_meanwhile_are_written_anew(shop, month, tmp_path):
    """An event is erased, and another comes, between the file and the drop: their number is the same."""
    place = archives.folder(tmp_path)
    plan = archives.plans_of(month)[0]
    changed = []

    @dataclass
    class Meanwhile(Breaking):
        def fetch(self, name, file):
            super().fetch(name, file)
            if not changed:
                changed.append(name)
                Event.objects.filter(project=shop.project, unit_id="u0").delete()
                at = datetime(month.year, month.month, 20, tzinfo=UTC).isoformat()
                late = builders.event(shop.project, unit="late", at=at)
                builders.write(builders.Rows(events=[late]))

    archives.archive_one(plan, Meanwhile(place, ""))
    (events,) = archives.files_of(shop)
    units = pq.read_table(place.root / events.name)["unit_id"].to_pylist()
    assert units == ["late", "u1", "u2"]
    assert check_file(place, events) == ""


def test_a_month_in_use_stays(shop, month, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.actions.archive_months.PAUSE_SECONDS", 0.0)
    plan = archives.plans_of(month)[0]
    with psycopg.connect(test_database_url()) as other:
        other.execute(f"LOCK TABLE {plan.partition.name} IN ROW EXCLUSIVE MODE")
        with pytest.raises(ArchiveError, match=r"is in use, or its rows change: it stays"):
            archive_month(
                plan=plan, place=archives.folder(tmp_path), by="a test", advance=lambda *_: None
            )
    assert stored(shop) == (3, 3)


def test_another_platforms_archive_is_refused(shop, month, tmp_path):
    place = archives.folder(tmp_path)
    place.root.mkdir()
    (place.root / "store_id").write_text("f1a7c0de-0000-0000-0000-000000000000\n")
    with pytest.raises(ArchiveError, match="is another platform's archive"):
        archives.archive(month, place)
    assert stored(shop) == (3, 3)


def test_without_an_identity_nothing_is_archived(shop, month, tmp_path):
    before = list(ArtifactStore.objects.all())
    ArtifactStore.objects.filter(id=1).delete()
    with pytest.raises(ArchiveError, match="has no identity yet"):
        archives.archive(month, archives.folder(tmp_path))
    ArtifactStore.objects.bulk_create(before)


def test_rows_that_come_after_their_month_stay_in_postgresql(shop, month, tmp_path):
    place = archives.folder(tmp_path)
    archives.archive(month, place)
    archives.make_month(shop, month, units=5)  # the ids of the first three count once
    assert stored(shop)[0] == 2
    plan = archives.plans_of(month)[0]
    assert plan.reasons == ("it is archived already, and these rows came later",)
    with pytest.raises(ArchiveError, match=f"events of {month:%Y-%m} stays: it is archived already"):
        archives.archive_one(plan, place)
    assert stored(shop)[0] == 2
    assert archives.files_of(shop)[0].rows == 3


def reasons(month: date) -> list[str]:
    return [reason for plan in archives.plans_of(month) for reason in plan.reasons]


def test_what_a_metric_looks_back_to_stays(shop, month):
    end = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    days = (builders.now() - end).days
    for lookback, stays in ((days - 1, False), (days + 2, True)):
        type(shop.metric).objects.filter(pk=shop.metric.pk).update(lookback_seconds=lookback * 86_400.0)
        why = f"metric 'clicks' of {shop.project.slug} looks back {lookback} days"
        assert reasons(month) == [why, why] * stays


def test_an_experiments_past_stays(shop, month):
    experiment = shop.run_experiment()
    assert reasons(month) == []
    started = datetime(month.year, month.month, 3, tzinfo=UTC)
    type(experiment).objects.filter(pk=experiment.pk).update(started_at=started)
    why = f"experiment '{experiment.key}' of {shop.project.slug} runs since {started:%Y-%m-%d}"
    assert reasons(month) == [why, why]
    type(experiment).objects.filter(pk=experiment.pk).update(purpose="holdback")
    assert reasons(month) == [why.replace("experiment", "holdback", 1)] * 2


def test_a_trainings_rows_stay_until_it_has_ended(shop, month):
    run = TrainingRun.objects.create(surface=shop.surface, algorithm="ease", trigger="a test")
    why = f"training run {run.pk} of {shop.project.slug}/home-feed reads all rows"
    assert reasons(month) == [why, why]
    TrainingRun.objects.filter(pk=run.pk).update(state=TrainingRun.State.FAILED)
    assert reasons(month) == []


def test_a_month_goes_to_the_archive_when_it_is_counted_and_stays_in_the_totals(
    shop, month, tmp_path, monkeypatch
):
    surface = make_rank_surface(shop.project)
    monkeypatch.setattr(counting, "AT_ONCE", 16)
    begin = builders.now().replace(year=month.year, month=month.month, day=10)
    write_hourly_decisions(shop, surface, [f"u{n}" for n in range(40)], begin=begin)
    write_hourly_decisions(
        shop, surface, [f"u{n}" for n in range(20)], begin=builders.now() - timedelta(days=2)
    )
    why = f"the policy of {shop.project.slug}/offers has not counted its decisions"
    assert reasons(month) == [why, why]
    assert counting.count_decisions(surface)
    assert reasons(month)[0].startswith(f"{why} from {month:%Y-%m}-")
    assert report_counted(surface).value.decisions == 60
    assert reasons(month) == []
    archives.archive(month, archives.folder(tmp_path))
    assert Slate.objects.filter(surface=surface).count() == 20
    exclude_units(project_id=shop.project.pk, unit_ids=["u0"], by="a test")
    assert report_counted(surface).value.decisions == 59


def test_a_schedule_that_learns_is_noted(shop, month):
    type(shop.surface).objects.filter(pk=shop.surface.pk).update(retrain_algorithm="ease")
    events, slates = archives.plans_of(month)
    assert events.notes == (f"trainings of {shop.project.slug}/home-feed no longer learn from it",)
    assert (events.reasons, slates.notes) == ((), ())


def test_an_export_that_is_behind_keeps_events(shop, month, tmp_path):
    export = put_export(project=shop.project, folder=tmp_path / "out", every_seconds=None, by="a test")
    assert reasons(month) == [f"export to {tmp_path / 'out'} has not read all of it"]
    # Another process's transaction may still be open: what is below it is read by a later run.
    wait_until(lambda: export_rows(export=export) >= 3 or not reasons(month), "all is exported")
    assert reasons(month) == []


def test_young_months_are_no_candidates(shop):
    today = builders.now().date()
    plans = archives.plan_archive(months=3, now=builders.now())
    assert all((today.year - p.partition.month.year) * 12 + today.month - p.partition.month.month > 3
               for p in plans)  # fmt: skip


def test_at_night_where_it_is_set(shop, month, tmp_path, monkeypatch):
    night = builders.now().replace(hour=2)
    archives.use_archive(monkeypatch, str(tmp_path / "archive"))
    assert archive_by_night(night) == 0  # off
    archives.use_archive(monkeypatch, str(tmp_path / "archive"), archive_after_months=3)
    assert archive_by_night(night.replace(hour=12)) == 0
    assert archive_by_night(night) >= 2
    assert stored(shop) == (0, 0)
    assert archive_by_night(night) == 0
    assert settings.BAKEOFF.archive == str(tmp_path / "archive")
