"""How the files of the archive are called; models and commands without Django both say so."""

from __future__ import annotations


def file_name(table: str, project_id: int, month: str) -> str:
    """Return a file's name: of a table and project, `month` as YYYY-MM."""
    return f"{table}/project={project_id}/month={month}/rows.parquet"
