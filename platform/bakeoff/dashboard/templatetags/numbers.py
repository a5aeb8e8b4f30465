"""Filters that write numbers."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString, mark_safe

from experiments.reports.verdict import WORDS, percent

register = template.Library()


@register.filter
def signed_percent(share: float | None) -> str:
    """Write a share as signed per cent."""
    return "–" if share is None else percent(share)


@register.filter
def share(value: float | None) -> str:
    """Write a share as per cent."""
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


@register.filter
def four(value: float | None) -> str:
    """Write a number with four significant digits."""
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


@register.filter
def verdict_word(action: str) -> str:
    """Write an action in words."""
    return WORDS.get(action, action)


@register.filter
def drawing(svg: str) -> SafeString:
    """Show an SVG that our own report drew from numbers; it holds no text of a user."""
    return mark_safe(svg)  # noqa: S308
