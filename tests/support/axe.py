"""What axe, the accessibility checker, finds on a page in each look: light, dark, and on a phone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.dashboard_pages import PHONE
from tests.support.npm import install

SHOTS = os.environ.get("BAKEOFF_SHOTS", "")  # a folder for screenshots
AXE = "axe-core@4.14.1"
WIDE = {"width": 1280, "height": 900}
CONTRAST = "color-contrast"
TWO_FRAMES = "() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
# Colours depend on the scheme, and what is shown on the width: what else axe finds is in every look.
LOOKS = [
    ("light", {"color_scheme": "light"}, WIDE, {}),
    ("dark", {"color_scheme": "dark"}, WIDE, {"runOnly": {"type": "rule", "values": [CONTRAST]}}),
    ("phone", {"color_scheme": "light"}, PHONE, {"rules": {CONTRAST: {"enabled": False}}}),
]


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The source of axe-core, from npm."""
    folder = install(tmp_path_factory.mktemp("axe"), AXE)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def faults_of(page, name: str) -> list[tuple]:
    """What is wrong with a page in each look; axe must be on it."""
    faults = []
    for look, scheme, size, options in LOOKS:
        page.emulate_media(**scheme)
        page.set_viewport_size(size)
        page.evaluate(TWO_FRAMES)  # what the page does about its new size is done
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{SHOTS}/{name}-{look}.png", full_page=True)
        report = page.evaluate(
            "(options) => axe.run({ resultTypes: ['violations'], ...options })", options
        )
        faults += [
            (
                name,
                look,
                fault["id"],
                fault["nodes"][0]["html"][:150],
                fault["nodes"][0]["failureSummary"][:200],
            )
            for fault in report["violations"]
            if fault["impact"] in {"serious", "critical"}
        ]
        wide = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if wide > 1:
            faults.append((name, look, "wider than the screen", wide))
    return faults
