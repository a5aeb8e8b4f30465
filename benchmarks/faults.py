"""The fault ledger: kill, freeze, fill and restart a platform under load, and count what is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson

from benchmarks.results import FOLDER, Row, write_result
from tests.support.faults.conductor import Report, conduct


def run(size: str, home: str) -> None:
    seconds, pause = (600.0, 4.0) if size == "full" else (0.0, 1.0)
    place = Path(home) / "h"
    try:
        report = conduct(place, seconds=seconds, pause=pause)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    rows = [
        Row("ids sent: events, slates, feedback", report.sent, "ids"),
        Row("acknowledged", report.acknowledged, "ids"),
        Row("of the sent, stored", report.stored, "ids"),
        Row("acknowledged and not stored", report.lost, "ids", target="ours <= 0", higher_is_better=False),
        Row("stored more than once", report.doubled, "ids", target="ours <= 0", higher_is_better=False),
        Row("stored without an acknowledgement that arrived", report.unbidden, "ids"),
        Row("put aside for a person", report.put_aside, "commits", target="ours <= 0", higher_is_better=False),
        Row("answers that were spilled", report.spilled_answers, "answers"),
        Row("answers other than 2xx, 429 and 503", len(report.unexpected), "answers", target="ours <= 0", higher_is_better=False),
        Row("processes killed with -9", report.kills, "kills"),
        Row("trainings queued while the broker lost its messages", report.runs_queued, "runs"),
        Row("of them not ended well", report.runs_queued - report.runs_ended_well, "runs", target="ours <= 0", higher_is_better=False),
    ]  # fmt: skip
    write_result("faults", size, rows, _tell(report))
    file = FOLDER / "faults.json"
    ledger = {name: getattr(report, name) for name in ("sent", "acknowledged", "stored", "lost", "doubled", "kills")}  # fmt: skip
    data = orjson.loads(file.read_bytes()) | ledger | {"report": report.as_json()}
    file.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))


def _tell(report: Report) -> str:
    names: dict[str, int] = {}
    for fault in report.faults:
        names[str(fault["fault"])] = names.get(str(fault["fault"]), 0) + 1
    times = ", ".join(f"{name} ({count} times)" for name, count in names.items())
    return (
        f"{report.seconds:.0f} s under load from 8 visitors who repeat what was not acknowledged, and 5 % of what was. "
        f"Faults: {times}. Answers that were no promise, by status (0: no answer): {report.refused}. "
        "Segment's Python and Node clients deliver under such faults too: tests/faults/test_segment_clients.py."
    )
