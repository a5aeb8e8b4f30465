"""`bakeoff feedback`: labelled data from what units said."""

from __future__ import annotations

from pathlib import Path

import click

from bakeoff.commands.project import find_project, project_option
from bakeoff.commands.terminal import echo, progress
from experiments.kinds import FEEDBACK_KINDS


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
    echo(f"{len(rows)} labels written to {out}.")
