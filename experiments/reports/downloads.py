"""A report as files: CSV and a workbook; one row a comparison, the same numbers as the page."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any

from experiments.reports.stored_quality import best_estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openpyxl.worksheet.worksheet import Worksheet

    from experiments.reports.comparison_row import ComparisonRow
    from experiments.reports.experiment_report import ExperimentReport

# Column of a file to attribute of `ComparisonRow`; an interval fills two columns.
_COLUMNS = {
    "metric": "metric", "role": "role", "variant": "variant", "control_mean": "control_mean",
    "treatment_mean": "treatment_mean", "absolute": "absolute", "absolute_low": "interval",
    "absolute_high": "interval", "lift": "lift", "lift_low": "lift_interval",
    "lift_high": "lift_interval", "p_value": "p_value", "level": "level",
    "adjusted_p_value": "adjusted_p_value", "shrunk": "shrunk",
    "probability_better": "probability_better", "control_units": "control_n",
    "treatment_units": "treatment_n", "interval_level": "interval_level",
    "interval_kind": "interval_kind",
    "variance_reduction": "variance_reduction", "covariate": "covariate",
}  # fmt: skip
COLUMNS = tuple(_COLUMNS)
# Of the row of quality, which no policy tests: it is shown beside the metrics.
QUALITY, QUALITY_ROLE = "answer quality", "quality"
PREFERENCE_ROLE = "preference"  # of an interleaved experiment: its users are in all variants
MIN_WIDTH, MAX_WIDTH = 10, 60  # of a column, in characters
# A cell that begins so is a formula to a spreadsheet; a name that a person chose must not be one.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def plain_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _rows(report: ExperimentReport) -> list[list[Any]]:
    rows = [[plain_cell(_value(row, column)) for column in COLUMNS] for row in report.metrics]
    return [*rows, *_preference_rows(report), *_quality_rows(report)]


def _preference_rows(report: ExperimentReport) -> list[list[Any]]:
    """Return the preferences of an interleaved experiment: clicks per user, version less control."""
    rows = []
    for row in report.interleaving.rows if report.interleaving is not None else ():
        values = {
            "metric": report.experiment.primary.metric.key, "role": PREFERENCE_ROLE,
            "variant": row.variant, "absolute": row.preference, "absolute_low": row.interval[0],
            "absolute_high": row.interval[1], "lift": row.lift, "p_value": row.p_value,
            "control_units": row.units, "treatment_units": row.units,
            "interval_level": 1 - report.experiment.parsed_policy.alpha,
            "interval_kind": "valid at any time",
        }  # fmt: skip
        rows.append([plain_cell(values.get(column)) for column in COLUMNS])
    return rows


def _quality_rows(report: ExperimentReport) -> list[list[Any]]:
    """Return the quality of generated answers as a metric among the others."""
    rows = []
    for row in report.quality.rows if report.quality is not None else ():
        if (best := best_estimate(row)) is None:
            continue
        values = {
            "metric": QUALITY, "role": QUALITY_ROLE, "variant": row.variant,
            "control_mean": best.control, "treatment_mean": best.treatment,
            "absolute": best.difference, "interval_kind": "valid at any time",
            "interval_level": 1 - report.experiment.parsed_policy.alpha,
        } | dict(zip(("absolute_low", "absolute_high"), best.ci or (), strict=True))  # fmt: skip
        rows.append([plain_cell(values.get(column)) for column in COLUMNS])
    return rows


def _value(row: ComparisonRow, column: str) -> Any:
    value = getattr(row, _COLUMNS[column])
    if column.endswith(("_low", "_high")):
        low, high = value or (None, None)
        return low if column.endswith("_low") else high
    return value


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

    book = Workbook()
    first = book.active
    assert first is not None  # noqa: S101  a new workbook has a sheet
    book.remove(first)
    for title, head, rows in _sheets(report):
        _fill(book.create_sheet(title), head, rows)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _sheets(report: ExperimentReport) -> list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]]:
    """Return title, head and rows of each sheet."""
    experiment, verdict = report.experiment, report.verdict
    summary = [
        ("name", experiment.title),
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
    ]
    variants = [
        (v.key, v.is_control, v.model, v.units, v.expected_share, v.observed_share)
        for v in report.variants
    ]
    looks = [(k.number, k.taken_at, k.information, k.action, k.reason) for k in report.looks]
    decisions = [
        (d.created_at, d.action, d.created_by, d.reason, str(d.promoted or ""), d.sha256)
        for d in report.decisions
    ]
    shares = ("expected share", "observed share")
    return [
        ("Verdict", ("field", "value"), summary),
        ("Metrics", COLUMNS, _rows(report)),
        ("Variants", ("variant", "control", "model", "units", *shares), variants),
        *_over_time_sheets(report),
        *_quality_sheets(report),
        ("Looks", ("look", "taken at", "information", "action", "reason"), looks),
        ("Decisions", ("created at", "action", "by", "reason", "promoted", "sha256"), decisions),
    ]


def _over_time_sheets(
    report: ExperimentReport,
) -> list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]]:
    """Return the sheet of days; their times have a zone, which a spreadsheet's own times lack."""
    rows = [
        (
            one.starts_at.isoformat(), one.step, one.variant, one.new_units, one.analysed_units,
            one.value,
        )
        for one in report.charts.over_time
    ]  # fmt: skip
    head = ("starts at", "step", "variant", "new units", "analysed units", "value")
    return [("Over time", head, rows)] if rows else []


def _quality_sheets(
    report: ExperimentReport,
) -> list[tuple[str, Sequence[str], Sequence[Sequence[Any]]]]:
    if report.quality is None:
        return []
    rows = [
        (
            row.variant, one.source, one.control, one.treatment, one.difference,
            *(one.ci or (None, None)), one.se, one.users, one.why_not,
        )
        for row in report.quality.rows
        for one in row.estimates
    ]  # fmt: skip
    head = (
        "variant", "source", "control", "treatment", "difference", "low", "high", "se", "users",
        "why not",
    )  # fmt: skip
    over_time = [
        (
            one.look, one.taken_at, one.variant, one.source, one.control, one.treatment,
            one.difference, one.low, one.high, one.users,
        )
        for one in report.quality_points
    ]  # fmt: skip
    of_looks = ("look", "taken at", *head[:7], "users")
    return [("Quality", head, rows), ("Quality over time", of_looks, over_time)]


def _fill(sheet: Worksheet, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from openpyxl.styles import Font  # noqa: PLC0415

    sheet.append(list(head))
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for row in rows:
        sheet.append([_plain(value) for value in row])
    sheet.freeze_panes = "A2"
    for column in sheet.columns:
        letter = column[0].column_letter
        widest = max(len(str(cell.value or "")) for cell in column)
        sheet.column_dimensions[letter].width = min(max(widest + 2, MIN_WIDTH), MAX_WIDTH)


def _plain(value: Any) -> Any:
    """Return what a cell can hold: times without a zone, and no formula of a person's making."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return plain_cell(value)
