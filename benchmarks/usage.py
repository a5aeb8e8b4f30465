"""What counting usage costs a commit: the statement of the group commit with its part for usage, and without.

python -m benchmarks --only usage
"""

from __future__ import annotations

import itertools
import uuid
from pathlib import Path
from unittest import mock

from benchmarks.results import Row, median_of, write_result
from benchmarks.servers import servers

NOTES = (
    "CPU of PostgreSQL's process per commit, as Linux counts it, so that what else the machine does is not in it. One "
    "connection, one statement per commit, the two forms in turn. Peer: the same rows without the part that counts them."
)


def run(size: str, home: str) -> None:
    with servers(home):
        rows = _measure(2000 if size == "full" else 400)
    write_result("usage", size, rows, NOTES)


def _measure(commits: int) -> list[Row]:
    from tests.support import builders

    shop, numbers = builders.make_shop(), itertools.count()

    def events(count: int):
        from experiments.ingest.rows import Rows

        return Rows(
            events=[
                builders.event(shop.project, unit=f"u{next(numbers) % 500}", event_id=str(uuid.uuid4()))
                for _ in range(count)
            ]
        )

    def slates(count: int):
        from experiments.ingest.rows import Rows

        return Rows(slates=[builders.slate(shop, f"u{next(numbers) % 500}") for _ in range(count)])

    return [
        _compare(f"{count} {name} in a commit", make, count, max(commits // max(count // 10, 1), 40))
        for name, make in (("events", events), ("slates", slates))
        for count in (1, 10, 100)
    ]


def _compare(what: str, make, count: int, commits: int) -> Row:
    from django.db import connection

    from experiments.ingest import statement
    from experiments.ingest.statement import Payload

    connection.ensure_connection()
    of_form = {}
    for form in ("counted", "not counted"):
        with mock.patch.object(
            statement, "_usage", statement._usage if form == "counted" else lambda _: []
        ):
            statement.statement_for.cache_clear()
            of_form[form] = statement.statement_for(Payload.of(make(1)).kinds)
    clock = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")

    def used_ms() -> float:
        return int(clock.read_text().split()[0]) / 1e6

    times: dict[str, list[float]] = {form: [] for form in of_form}
    for n in range(commits):
        for form in sorted(of_form, reverse=bool(n % 2)):  # neither is always the first
            payload = Payload.of(make(count))
            started = used_ms()
            connection.connection.execute(of_form[form], payload.parameters, prepare=True)
            times[form].append(used_ms() - started)
    statement.statement_for.cache_clear()
    median, spread = median_of(times["counted"])
    return Row(
        what, median, "ms", median_of(times["not counted"])[0], higher_is_better=False, spread=spread
    )
