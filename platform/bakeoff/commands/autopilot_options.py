"""How the settings of a programme are typed in a shell: `1%:3600,50%:0`, `orders=3%`, `ease@2=5`."""

from __future__ import annotations

from typing import Any

import click


def _number(text: str) -> float:
    """Return a number, or a percentage as a share.

    Raises:
        ValueError: it is neither.
    """
    text = text.strip()
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def _pairs(text: str, between: str) -> list[tuple[str, str]]:
    """Return the two sides of each entry of a list with commas.

    Raises:
        ValueError: an entry has not two sides.
    """
    pairs = []
    for entry in filter(None, (one.strip() for one in text.split(","))):
        left, sign, right = entry.rpartition(between)
        if not sign:
            raise ValueError(entry)
        pairs.append((left.strip(), right))
    return pairs


def _refuse(value: str, rule: str) -> click.BadParameter:
    return click.BadParameter(f"'{value}', must be {rule}.")


def read_share(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Read a share: 0.03 or 3%."""
    try:
        return None if value is None else _number(value)
    except ValueError:
        raise _refuse(str(value), "a share such as 0.03 or 3%") from None


def read_steps(
    _: click.Context, __: click.Parameter, value: str | None
) -> list[dict[str, float]] | None:
    """Read the steps of a ramp: SHARE:SECONDS or SHARE:SECONDS:USERS, separated by commas."""
    if value is None:
        return None
    try:
        return [_step(entry.split(":")) for entry in value.split(",") if entry.strip()]
    except ValueError:
        raise _refuse(value, "steps such as 1%:3600,10%:86400:500,50%:0") from None


def _step(parts: list[str]) -> dict[str, float]:
    share, seconds, *users = parts
    step: dict[str, float] = {"share": _number(share), "minimum_seconds": _number(seconds)}
    if users:
        (count,) = users
        step["units"] = int(count)
    return step


def read_guardrails(
    _: click.Context, __: click.Parameter, value: str | None
) -> list[dict[str, Any]] | None:
    """Read metrics with their margins: KEY=MARGIN, separated by commas."""
    if value is None:
        return None
    try:
        return [{"metric": key, "margin": _number(margin)} for key, margin in _pairs(value, "=")]
    except ValueError:
        raise _refuse(value, "metrics with margins such as orders=3%") from None


def read_priority(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """Read a version and its priority: VERSION=N."""
    if value is None:
        return None
    label, _sign, number = value.rpartition("=")
    try:
        return label, int(number)
    except ValueError:
        raise _refuse(value, "a version and a number such as ease@2=5") from None
