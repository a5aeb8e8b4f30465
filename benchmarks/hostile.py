"""Hostile input beside live traffic on two web processes: what stalls, fails, restarts, or is stored."""

from __future__ import annotations

import time
from pathlib import Path

import orjson

from benchmarks.results import FOLDER, Row, write_result
from tests.support.hostile.siege import Report, Siege

SECONDS = {"small": 60, "full": 600}
ROUND = 200


def run(size: str, home: str) -> None:
    with Siege(Path(home) / "h", clients=6, slow=32) as siege:
        end, seed = time.monotonic() + SECONDS[size], 0
        while time.monotonic() < end:
            siege.run(examples=ROUND, seed=seed)
            siege.look()
            seed += 1
    report = siege.report
    rows = [
        Row("cases", report.cases, "requests"),
        Row("answers of 5xx other than 503", len(report.failures), "answers", target="ours <= 0", higher_is_better=False),
        Row("stalls of the traffic beside, over 1 s", report.stalls, "answers", target="ours <= 0", higher_is_better=False),
        Row("slowest answer of the traffic beside", report.slowest, "s", higher_is_better=False),
        Row("answers of the traffic beside", report.answers, "answers"),
        Row("answers of it other than 2xx, 429 and 503", len(report.unexpected), "answers", target="ours <= 0", higher_is_better=False),
        Row("processes restarted", report.restarted, "processes", target="ours <= 0", higher_is_better=False),
        Row("refused and stored", len(report.wrongly_stored), "ids", target="ours <= 0", higher_is_better=False),
        Row("acknowledged and lost", len(report.lost), "ids", target="ours <= 0", higher_is_better=False),
    ]  # fmt: skip
    write_result("hostile", size, rows, _tell(report))
    file = FOLDER / "hostile.json"
    data = orjson.loads(file.read_bytes()) | {"report": report.as_json()}
    file.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))


def _tell(report: Report) -> str:
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(report.statuses.items()))
    return (
        f"{report.seconds:.0f} s on two web processes, beside 6 visitors and 32 connections that send a byte now and "
        "then. A case is a request with one or more things wrong: nesting, half emoji, NUL, NaN, 1e400, huge numbers, "
        "gzip that is none or a bomb, chunks, half bodies, methods, paths, headers (tests/support/hostile/grammar.py). Answers "
        f"by status (0: none, as the case hung up): {statuses}."
    )
