"""What cannot be taken back says what will happen and asks: in its form, or on a page of its own."""

from __future__ import annotations

import re
from pathlib import Path

from django.urls import get_resolver

TEMPLATES = Path(__file__).parents[2] / "platform/bakeoff/dashboard/templates/dashboard"
FORM = re.compile(r'(<form method="post"[^>]*(?:{[%{].*?[%}]}[^>]*)*>)(.*?)</form>', re.DOTALL)
ENDS = re.compile(r"(?:^|-)(?:delete|revoke|remove|end|cancel|drop|off|rotate)(?:-|$)")
GUARDED_OTHERWISE = {
    # Their forms are pages that say what will happen.
    "confirm.html", "confirm_version.html",
    # A code of the app is asked for.
    "account-second-factor-off",
    # A reviewer's judgement, which another review can change.
    "feedback.html",
}  # fmt: skip


def forms() -> list[tuple[str, str, str]]:
    """Return template, opening tag and content of every form that changes something."""
    return [
        (path.name, *found.groups())
        for path in sorted(TEMPLATES.glob("*.html"))
        for found in FORM.finditer(path.read_text(encoding="utf-8"))
    ]


def asks(template: str, opening: str) -> bool:
    otherwise = any(name in opening for name in GUARDED_OTHERWISE)
    return "data-confirm=" in opening or template in GUARDED_OTHERWISE or otherwise


def test_every_destructive_button_asks():
    dangerous = [(name, opening) for name, opening, rest in forms() if 'class="danger"' in rest]
    assert len(dangerous) > 12
    assert [one for one in dangerous if not asks(*one)] == []


def test_every_address_that_ends_something_is_asked_about():
    names = {name for name in get_resolver().reverse_dict if isinstance(name, str)}
    ending = {name for name in names if ENDS.search(name)}
    assert {"cancel-run", "revoke-share", "view-delete", "team-end-sessions"} <= ending
    found = {
        name: asks(template, opening)
        for template, opening, _rest in forms()
        for name in ending
        if f"'{name}'" in opening or (name == "revoke-share" and "/revoke/" in opening)
    }
    assert found == dict.fromkeys(ending, True)
