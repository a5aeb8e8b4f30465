"""The addresses of the dashboard's pages, and the size of a phone."""

from __future__ import annotations

PHONE = {"width": 390, "height": 844}
# A page's name for people, and its address with places for what a project has.
PAGES = [
    ("sign-in", "/sign-in/"),
    ("home", "/"),
    ("experiments", "/p/{p}/experiments/"),
    ("experiments-filtered", "/p/{p}/experiments/?state=running"),
    ("experiment-form", "/p/{p}/experiments/new/"),
    ("planner", "/p/{p}/plan/"),
    ("report", "/experiments/{p}/{done}/"),
    ("report-running", "/experiments/{p}/{running}/"),
    ("confirm", "/experiments/{p}/{running}/act/ship/"),
    ("metrics", "/p/{p}/metrics/"),
    ("metric", "/p/{p}/metrics/clicks/"),
    ("surfaces", "/p/{p}/surfaces/"),
    ("surface", "/p/{p}/surfaces/home-feed/"),
    ("surface-rules", "/p/{p}/surfaces/home-feed/rules/"),
    ("surface-list", "/p/{p}/surfaces/home-feed/list/"),
    ("autopilot", "/p/{p}/surfaces/home-feed/autopilot/"),
    ("autopilot-edit", "/p/{p}/surfaces/home-feed/autopilot/edit/"),
    ("models", "/p/{p}/models/"),
    ("runs", "/p/{p}/runs/"),
    ("version", "/p/{p}/models/{version}/"),
    ("run", "/runs/{run}/"),
    ("run-comparison", "/runs/{run}/compare/?with={other}"),
    ("units", "/p/{p}/units/?unit=u1"),
    ("events", "/p/{p}/events/"),
    ("feedback", "/p/{p}/feedback/"),
    ("themes", "/p/{p}/feedback/themes/"),
    ("surveys", "/p/{p}/feedback/surveys/"),
    ("usage", "/p/{p}/usage/"),
    ("team", "/p/{p}/team/"),
    ("account", "/account/"),
    ("health", "/health/"),
    ("demo", "/demo/"),
]
