"""A report as files: CSV and a workbook; one row a comparison, the same numbers as the page."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.reports.experiment_report import ExperimentReport

COLUMNS = (
    "metric", "role", "variant", "control_mean", "treatment_mean", "absolute", "absolute_low",
    "absolute_high", "lift", "lift_low", "lift_high", "p_value", "level",
    "adjusted_p_value", "shrunk", "probability_better", "control_units", "treatment_units",
)  # fmt: skip
# A cell that begins so is a formula to a spreadsheet; a name that a person chose must not be one.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def _text(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _rows(report: ExperimentReport) -> list[list[Any]]:
    rows = []
    for row in report.metrics:
        low, high = row.interval or (None, None)
        lift_low, lift_high = row.lift_interval or (None, None)
        rows.append(
            [
                _text(row.metric), row.role, _text(row.variant), row.control_mean, row.treatment_mean,
                row.absolute, low, high, row.lift, lift_low, lift_high, row.p_value,
                row.level, row.adjusted_p_value, row.shrunk, row.probability_better,
                row.control_n, row.treatment_n,
            ]
        )  # fmt: skip
    return rows


def csv_of(report: ExperimentReport) -> str:
    """Return the comparisons as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(report))
    return out.getvalue()


def workbook_of(report: ExperimentReport) -> bytes:
    """Return a workbook: verdict, comparisons, variants, looks, decisions."""
    # Web processes need it for a download alone.
    from openpyxl import Workbook  # noqa: PLC0415
    from openpyxl.styles import Font  # noqa: PLC0415

    book = Workbook()
    first = book.active
    assert first is not None  # noqa: S101  a new workbook has a sheet
    book.remove(first)

    def sheet(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        made = book.create_sheet(title)
        made.append(list(head))
        for cell in made[1]:
            cell.font = Font(bold=True)
        for row in rows:
            made.append([_plain(value) for value in row])
        made.freeze_panes = "A2"
        for column in made.columns:
            letter = column[0].column_letter
            widest = max(len(str(cell.value or "")) for cell in column)
            made.column_dimensions[letter].width = min(max(widest + 2, 10), 60)

    experiment, verdict = report.experiment, report.verdict
    sheet(
        "Verdict",
        ("field", "value"),
        [
            ("experiment", experiment.key),
            ("surface", experiment.surface.key),
            ("state", experiment.state),
            ("verdict", verdict.action),
            ("in words", verdict.sentence),
            ("healthy", report.healthy),
            ("complete units", verdict.units),
            ("planned units", report.planned_units),
            ("data as of", report.data_as_of),
            ("policy", experiment.policy_sha256),
        ],
    )
    sheet("Metrics", COLUMNS, _rows(report))
    sheet(
        "Variants",
        ("variant", "control", "model", "units", "expected share", "observed share"),
        [
            (v.key, v.is_control, v.model, v.units, v.expected_share, v.observed_share)
            for v in report.variants
        ],
    )
    sheet(
        "Looks",
        ("look", "taken at", "information", "action", "reason"),
        [(k.number, k.taken_at, k.information, k.action, k.reason) for k in report.looks],
    )
    sheet(
        "Decisions",
        ("made at", "action", "by", "reason", "promoted", "sha256"),
        [
            (d.made_at, d.action, d.made_by, d.reason, str(d.promoted or ""), d.sha256)
            for d in report.decisions
        ],
    )
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _plain(value: Any) -> Any:
    """Return what a cell can hold: times without a zone, and no formula of a person's making."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return _text(value)
