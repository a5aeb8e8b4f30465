"""What people may do on the page of an autopilot, each with what prepares it: for test_verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.urls import reverse

from experiments.actions.change_queue import hold_challenger
from experiments.models import Challenger, Experiment, Programme, Proposal
from tests.support import builders
from tests.support.builders import Shop
from tests.support.dashboard import sign_in
from tests.support.form_reader import read_form
from tests.support.verb_step import Step

Prepare = Callable[[Shop], Step]


def autopilot_path(shop: Shop) -> str:
    return reverse("autopilot", args=[shop.project.slug, shop.surface.key])


def pause(shop: Shop) -> Step:
    page = autopilot_path(shop)
    paused = Programme.objects.filter(surface=shop.surface, paused=True)
    builders.set_programme(shop)
    shows = {"data_autopilot": "paused"}
    return Step(f"{page}switch/", {"paused": "true"}, paused.exists, page, shows)


def edit(shop: Shop) -> Step:
    page = autopilot_path(shop)
    operator = sign_in(shop.project, role="operator")
    body = read_form(operator.get(f"{page}edit/").content.decode(), "programme")
    changed = Programme.objects.filter(surface=shop.surface, holdback_days=14)
    return Step(f"{page}edit/", body | {"holdback_days": ["14"]}, changed.exists, page)


def of_ramp(verb: str, shows: dict[str, str], **expected: Any) -> Prepare:
    def prepare(shop: Shop) -> Step:
        experiment = builders.start_ramp(shop)
        done = Experiment.objects.filter(pk=experiment.pk, **expected)
        page = autopilot_path(shop)
        return Step(f"{page}ramp/{verb}/", {"reason": "a campaign"}, done.exists, page, shows)

    return prepare


def of_queue(verb: str, *, is_held: bool = False, is_left: bool = False, **expected: Any) -> Prepare:
    def prepare(shop: Shop) -> Step:
        for algorithm in ("ease", "als"):
            version = builders.make_version(shop.surface, [1] * 10, algorithm=algorithm)
        if is_held:
            hold_challenger(version=version, by="a test")
        done = Challenger.objects.filter(version=version, **expected)
        page = autopilot_path(shop)
        row = {"data_queued": version.label}
        gone, there = (row, {}) if is_left else ({}, row)
        return Step(f"{page}queue/{version.pk}/{verb}/", {}, done.exists, page, there, gone)

    return prepare


def of_proposal(verb: str, state: str) -> Prepare:
    def prepare(shop: Shop) -> Step:
        proposal = builders.propose_treatment(shop.run_experiment())
        done = Proposal.objects.filter(pk=proposal.pk, state=state)
        page = autopilot_path(shop)
        gone = {"data_proposal": str(proposal.pk)}
        address = f"{page}proposals/{proposal.pk}/{verb}/"
        return Step(address, {"reason": "a test"}, done.exists, page, shows_no_more=gone)

    return prepare


AUTOPILOT_VERBS: dict[str, Prepare] = {
    "autopilot-switch": pause,
    "autopilot-edit": edit,
    "autopilot-ramp continue": of_ramp(
        "continue", {"data_step": "1", "data_state": "done"}, allocation=1.0
    ),
    "autopilot-ramp stay": of_ramp(
        "stay", {"data_autopilot": "held"}, ramp_hold__endswith=": a campaign"
    ),
    "autopilot-ramp roll-back": of_ramp("roll-back", {}, state="ended"),
    "autopilot-queue hold": of_queue("hold", held=True),
    "autopilot-queue release": of_queue("release", is_held=True, held=False),
    "autopilot-queue drop": of_queue("drop", is_left=True, dropped=True),
    "autopilot-queue front": of_queue("front", priority=1),
    "autopilot-queue end": of_queue("end", priority=-1),
    "autopilot-proposal approve": of_proposal("approve", "approved"),
    "autopilot-proposal decline": of_proposal("decline", "declined"),
}
