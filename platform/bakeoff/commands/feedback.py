"""`bakeoff feedback`: labelled data from what units said."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.names import surface_argument
from bakeoff.commands.project import find_project, find_surface, must_be_one_of, project_option
from bakeoff.commands.terminal import echo, progress
from experiments.kinds import FEEDBACK_KINDS
from inference.plurals import counted, verb

if TYPE_CHECKING:
    from experiments.models import Survey
    from experiments.reports.theme_report import ThemeRow
    from inference.models import Surface


@click.group()
def feedback() -> None:
    """Work with what units said."""


@feedback.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(FEEDBACK_KINDS), help="Only these kinds."
)
@project_option
def export(out: Path, kinds: tuple[str, ...], slug: str | None) -> None:
    """Write labelled feedback to OUT (.parquet or .csv): what counts and may be learnt from."""
    project = find_project(slug)
    if out.suffix.lower() not in {".parquet", ".csv"}:
        raise click.UsageError(f"out == '{out}', must end in .parquet or .csv.")
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    from experiments.training_data.labels import COLUMNS, labels_of

    rows = []
    with progress("Reading feedback", None) as advance:
        for row in labels_of(project.pk, list(kinds) or None):
            rows.append(row)
            advance(1)
    if out.suffix.lower() == ".csv":
        rows = [{**row, "tags": "|".join(row["tags"])} for row in rows]
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    table = pa.table(columns)
    if out.suffix.lower() == ".csv":
        pyarrow.csv.write_csv(table, out)
    else:
        pyarrow.parquet.write_table(table, out)
    echo(f"{counted(len(rows), 'label')} written to {out}.")


@feedback.command()
@surface_argument
@json_option
@project_option
def themes(surface: str, slug: str | None, *, as_json: bool) -> None:
    """List what users of SURFACE write about, the most frequent theme first."""
    target = find_surface(find_project(slug), surface)
    from experiments.reports.theme_report import report_themes

    report = report_themes(target)
    rows = [_row(one) for one in report.rows]
    texts = counted(report.texts, "text")
    if report.read_at is None:
        empty = f"No themes yet: there {verb(report.texts)} {texts}, of {report.min_texts} needed."
    else:
        empty = f"No theme in {texts}: no group of users writes about one thing."
    show_rows(rows, as_json=as_json, empty=empty, hidden=("quotes", "weeks", "growth", "labels"))


@feedback.command()
@surface_argument
@json_option
@project_option
def surveys(surface: str, slug: str | None, *, as_json: bool) -> None:
    """List the surveys of SURFACE with what users answered, the newest first."""
    target = find_surface(find_project(slug), surface)
    from experiments.reports.survey_report import report_surveys

    rows = [result.as_json() for result in report_surveys(target)]
    hidden = (
        "choices", "period_days", "asks_comment", "condition", "variants", "translations", "interval",
        "answers",
    )  # fmt: skip
    show_rows(rows, as_json=as_json, empty="No surveys.", hidden=hidden)


@feedback.command()
@surface_argument
@click.argument("feedback_ids", metavar="[FEEDBACK]...", nargs=-1)
@click.option("--theme", type=int, metavar="ID", help="The most typical texts of a theme instead.")
@click.option(
    "--survey", metavar="KEY", help="Texts of those who gave this survey a low score instead."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead.")
@project_option
def label(
    surface: str,
    feedback_ids: tuple[str, ...],
    *,
    theme: int | None,
    survey: str | None,
    as_json: bool,
    slug: str | None,
) -> None:
    """Queue entries of feedback for two people to label with the labels of SURFACE."""
    target = find_surface(find_project(slug), surface)
    if bool(feedback_ids) + (theme is not None) + (survey is not None) != 1:
        raise click.UsageError("give one of: ids of feedback, --theme and --survey.")
    from experiments.actions.queue_feedback import (
        CannotQueueError,
        queue_feedback,
        queue_low_scores,
        queue_theme,
    )

    try:
        if survey is not None:
            scored = _find_survey(target, survey)
            done = queue_low_scores(surface=target, survey=scored, by=OPERATOR)
        elif theme is not None:
            done = queue_theme(surface=target, theme_id=theme, by=OPERATOR)
        else:
            done = queue_feedback(surface=target, feedback_ids=feedback_ids, by=OPERATOR)
    except CannotQueueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    left = f" {done.left} {verb(done.left, 'waits', 'wait')} for another call." if done.left else ""
    before = f"{done.queued_before} {verb(done.queued_before, 'was', 'were')} queued before"
    echo(f"{counted(done.queued, 'text')} queued, {before}.{left}")


def _find_survey(surface: Surface, key: str) -> Survey:
    """Return a survey of the surface's project: its scores may be of another surface."""
    surveys = surface.project.surveys
    survey = surveys.filter(key=key).first()
    if survey is None:
        keys = sorted(surveys.values_list("key", flat=True))
        rule = must_be_one_of(keys, none="create one on the page Surveys")
        raise click.UsageError(f"survey == '{key}', {rule}")
    return survey


def _row(row: ThemeRow) -> dict[str, Any]:
    theme = row.theme
    return {
        "id": theme.pk,
        "theme": theme.title,
        "users": theme.units,
        "texts": theme.texts,
        "share": round(row.share, 4),
        "change": "growing" if theme.growth["grows"] else "",
        "since": theme.first_text_at,
        "quotes": list(row.quotes),
        "weeks": theme.weeks,
        "growth": theme.growth,
        "labels": [asdict(one) for one in row.labels],
    }
