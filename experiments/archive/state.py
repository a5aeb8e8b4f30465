"""What is in the archive, whether it is whole, and where it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from experiments.archive.place import ArchiveError, missing_file, open_place
from experiments.models import ArchivedMonth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date
    from typing import Any

    from experiments.archive.place import ArchivePlace


def archive_place() -> ArchivePlace:
    """Return the archive of this platform."""
    return open_place(settings.BAKEOFF.archive)


@dataclass(frozen=True, slots=True)
class ArchiveSummary:
    """What is archived.

    Attributes:
        files: one per project, table and month.
        rows: in them.
        bytes: of them.
        first: the oldest month; None where there is none.
        last: the newest one.
    """

    files: int
    rows: int
    bytes: int
    first: date | None
    last: date | None


def summarise(projects: Iterable[int] | None = None) -> ArchiveSummary:
    """Return what is archived of some projects, or of all."""
    rows = ArchivedMonth.objects.filter(archived_at__isnull=False)
    if projects is not None:
        rows = rows.filter(project__in=projects)
    files = list(rows.values_list("rows", "bytes", "month"))
    months = [month for _rows, _bytes, month in files]
    return ArchiveSummary(
        files=len(files),
        rows=sum(one[0] for one in files),
        bytes=sum(one[1] for one in files),
        first=min(months, default=None),
        last=max(months, default=None),
    )


def missing_files(place: ArchivePlace) -> Iterator[str]:
    """Yield a sentence per archived file that is not there, or is cut; sizes alone are read.

    Raises:
        ArchiveError: the archive does not answer.
    """
    for row in ArchivedMonth.objects.filter(archived_at__isnull=False):
        if sentence := missing_file(place, row.name):
            yield sentence


def check_file(place: ArchivePlace, row: ArchivedMonth) -> str:
    """Read a whole file back; return what is wrong with it, or nothing."""
    from experiments.archive.files import fetch_file, scratch_file  # noqa: PLC0415  PyArrow's

    try:
        with scratch_file() as file:
            fetch_file(place, row, file)
    except ArchiveError as error:
        return str(error)
    return ""


def archived_rows(
    place: ArchivePlace, project_id: int, unit_ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the archived rows of some units, by table.

    Raises:
        ArchiveError: a file cannot be read.
    """
    archived = ArchivedMonth.objects.filter(project_id=project_id, archived_at__isnull=False)
    if not archived:
        return {}
    from experiments.archive.files import rows_of_units  # noqa: PLC0415  PyArrow's

    rows: dict[str, list[dict[str, Any]]] = {}
    for row in archived:
        rows.setdefault(row.table, []).extend(rows_of_units(place, row, unit_ids))
    return rows
