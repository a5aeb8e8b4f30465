"""Every page on a phone: nothing is cut, nothing needs a sideways scroll of the page, every table can be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from tests.support.browser import Visit
from tests.support.dashboard_pages import PAGES, PHONE, SEEDED_PAGES
from tests.support.seeded_project import places_of, seed_project

SHOTS = os.environ.get("BAKEOFF_SHOTS", "")  # a folder for screenshots
# What stands beyond the screen, is cut by its box, or is squeezed to a column of letters. A box that
# scrolls by itself is fine if the keyboard reaches it and its edge shows that more stands behind it.
FAULTS = """() => {
  const root = document.documentElement, faults = [];
  const fault = (what, node) => faults.push(`${what}: ${node.outerHTML.slice(0, 140)}`);
  if (root.scrollWidth > root.clientWidth) faults.push(`the page scrolls: ${root.scrollWidth}`);
  const hidden = (node) => !node.checkVisibility({ visibilityProperty: true }) || node.closest(".quiet, .skip, option, select")
    || getComputedStyle(node).clipPath === "inset(50%)" || (node.parentElement && node.parentElement.closest("thead, span")
    && getComputedStyle(node.closest("thead") || node.closest("span")).clipPath === "inset(50%)");
  const scrolls = (node) => /auto|scroll/.test(getComputedStyle(node).overflowX);
  const scroller = (node) => { for (let up = node.parentElement; up; up = up.parentElement) if (scrolls(up)) return up; };
  for (const node of document.body.querySelectorAll("*")) {
    if (hidden(node)) continue;
    const style = getComputedStyle(node), box = node.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    if (node.matches("table") && node.scrollWidth > node.clientWidth) fault("a table is wider than its box", node);
    if (scrolls(node) && node.scrollWidth > node.clientWidth + 1 && !node.matches("input, textarea")
        && (node.tabIndex < 0 && !node.querySelector("[tabindex='0']") || !style.backgroundImage.includes("gradient"))) fault("scrolls without a hint", node);
    if (!(node instanceof SVGElement) && /hidden|clip/.test(style.overflowX) && node.scrollWidth > node.clientWidth + 1)
      fault("its content is cut", node);
    if ((box.right > root.clientWidth + 1 || box.left < -1) && !scroller(node)) fault("beyond the screen", node);
    if (node.matches("td, th") && node.textContent.trim().length > 12 && box.width < 80 && box.height > 110)
      fault("squeezed", node);
    if (node.matches("svg text") && node.textContent.trim()
        && parseFloat(style.fontSize) * Math.hypot(node.getScreenCTM().a, node.getScreenCTM().b) < 9) fault("small letters", node.ownerSVGElement);
  }
  return faults;
}"""
OPEN = "() => document.querySelectorAll('main details').forEach((one) => (one.open = true))"
SETTLED = "() => new Promise((go) => setTimeout(() => requestAnimationFrame(go)))"


@pytest.fixture
def seeded(lane):
    seeded = seed_project()
    lane.refresh()
    return seeded


def faults_of(page, name: str) -> list[str]:
    """What cannot be read on a page, as it is opened and with everything unfolded."""
    faults = []
    for look in ("folded", "open"):
        if look == "open":
            page.evaluate(OPEN)
        page.evaluate(SETTLED)
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{SHOTS}/{name}-{look}.png", full_page=True)
        faults += [f"{name}, {look}, {fault}" for fault in page.evaluate(FAULTS)]
    return faults


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_page_can_be_read_on_a_phone(chromium, lane, seeded, language):
    person = get_user_model().objects.get(username=seeded.name)
    seen = Visit(chromium, lane, person, viewport=PHONE, is_mobile=True)
    seen.context.add_cookies([{"name": "django_language", "value": language, "url": lane.url}])
    stranger = Visit(chromium, lane, viewport=PHONE, is_mobile=True, locale=language)
    faults, places = [], places_of(seeded)
    for name, address in PAGES + SEEDED_PAGES:
        page = stranger.page if name == "sign-in" else seen.page
        answer = page.goto(address.format(**places))
        assert answer.ok, (name, answer.status)
        faults += faults_of(page, f"{language}-{name}")
    stranger.close()
    assert not faults, "\n".join(faults)
    assert seen.errors == []
    seen.close()
