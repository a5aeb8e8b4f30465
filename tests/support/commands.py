"""Commands called in the process of the tests."""

from __future__ import annotations

from click.testing import CliRunner

from bakeoff.cli import main


def run(*arguments: str, status: int = 0) -> str:
    """Call `bakeoff` with arguments; it must end with this status; return what it prints."""
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.output
