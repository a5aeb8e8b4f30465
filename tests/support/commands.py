"""Commands called in the process of the tests."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from bakeoff.cli import main


def run(*arguments: str, status: int = 0) -> str:
    """Call `bakeoff` with arguments; it must end with this status; return what it prints."""
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.output


def run_analyze(*arguments, **options) -> Result:
    """Call `bakeoff analyze`, whatever its status."""
    return CliRunner().invoke(main, ["analyze", *map(str, arguments)], **options)


def analyze(*arguments, **options) -> dict:
    """Return the scorecard of `bakeoff analyze` as JSON holds it."""
    done = run_analyze(*arguments, "--format", "json", **options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)
