"""Apply surfaces: settings, versions that are not trained, saved rules and programmes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.accounts.refused import RefusedError
from bakeoff.config_file.export import version_as_config
from bakeoff.config_file.steps import differences
from experiments.actions.add_order import add_order, read_order
from experiments.actions.add_prompt import CannotAddPromptError, add_prompt
from experiments.actions.change_programme import change_programme
from experiments.actions.change_surface import EDITABLE, create_surface, patch_surface
from experiments.actions.plan_judging import judging_settings, plan_judging
from experiments.actions.save_rules import save_rules
from experiments.models import judge_plan_of, programme_of
from experiments.programme.settings import settings_of
from inference.models import Surface
from inference.serving.prompts import Prompt, PromptError

if TYPE_CHECKING:
    from bakeoff.config_file.document import VersionSection
    from bakeoff.config_file.steps import Application
    from inference.models import ModelVersion

NAMES_OF_SURFACES = frozenset({"text_classifier", "theme_namer"})


def apply_surfaces(application: Application) -> None:
    """Create and change surfaces, with their versions and saved rules."""
    for key, section in application.document.surfaces.items():
        stated = {
            name: value
            for name, value in section.stated().items()
            if name in EDITABLE and name not in NAMES_OF_SURFACES
        }
        with application.step("surfaces", key):
            surface = find_surface(application, key)
            if surface is None:
                create_surface(project=application.project, key=key, values=stated, by=application.by)
            else:
                patch_surface(surface=surface, changes=stated, by=application.by)
        if (surface := find_surface(application, key)) is not None:
            _add_versions(application, surface, section)
            _save_rules(application, surface, section)
    _name_surfaces(application)


def apply_programmes(application: Application) -> None:
    """Change programmes and plans of judging; a judge is a version of another surface."""
    for key, section in application.document.surfaces.items():
        surface = find_surface(application, key)
        if surface is None:
            continue
        autopilot = section.autopilot.stated()
        if changes := differences(autopilot, settings_of(programme_of(surface))):
            with application.step("surfaces", key, "autopilot"):
                change_programme(surface=surface, changes=changes, by=application.by)
        judging = section.judging.stated()
        if changes := differences(judging, judging_settings(judge_plan_of(surface))):
            with application.step("surfaces", key, "judging"):
                plan_judging(surface=surface, changes=changes, by=application.by)


def _name_surfaces(application: Application) -> None:
    """Name surfaces in surfaces, once all of them are there: the file has them in any order."""
    for key, section in application.document.surfaces.items():
        stated = section.stated()
        changes = {name: stated[name] for name in stated if name in NAMES_OF_SURFACES}
        if changes and (surface := find_surface(application, key)) is not None:
            with application.step("surfaces", key):
                patch_surface(surface=surface, changes=changes, by=application.by)


def find_surface(application: Application, key: str) -> Surface | None:
    """Return a surface of the project, or None."""
    return Surface.objects.filter(project=application.project, key=key).first()


def _add_versions(application: Application, surface: Surface, section: Any) -> None:
    for label, stated in section.versions.items():
        with application.step("surfaces", surface.key, "versions", label):
            name, _, number = label.rpartition("@")
            version = surface.versions.filter(algorithm=name, number=int(number)).first()
            if version is not None:
                _require_same(version, stated)
                continue
            added = _add_version(application, surface, name, stated)
            if added.label != label:
                raise RefusedError(
                    f"version == '{label}', the next one would be '{added.label}': versions are "
                    "numbered in their order."
                )


def _add_version(
    application: Application, surface: Surface, name: str, stated: VersionSection
) -> ModelVersion:
    if stated.prompt is not None:
        return add_prompt(surface=surface, data=stated.prompt, by=application.by, algorithm=name)
    if stated.list is None:
        raise RefusedError("list and prompt are missing: one of them must say what the version is.")
    order = read_order(stated.list, stated.list_params)
    return add_order(surface=surface, order=order, by=application.by)


def _require_same(version: ModelVersion, stated: VersionSection) -> None:
    """Refuse another content of a version that is there."""
    present = version_as_config(version) or {}
    wanted: dict[str, Any] = {}
    if stated.prompt is not None:
        try:
            wanted["prompt"] = Prompt.parse(stated.prompt).as_json()
        except PromptError as error:
            raise CannotAddPromptError(str(error), field="prompt") from error
    if stated.list is not None:
        order = read_order(stated.list, stated.list_params)
        wanted |= {"list": stated.list, "list_params": order.params}
    if wanted != present:
        raise RefusedError(
            f"version == '{version.label}', is there with other content and never changes: state the "
            "next number."
        )


def _save_rules(application: Application, surface: Surface, section: Any) -> None:
    present = list(surface.rule_versions.order_by("number"))
    for place, stated in enumerate(section.saved_rules):
        with application.step("surfaces", surface.key, "saved_rules", place):
            if place >= len(present):
                save_rules(surface=surface, rules=stated.rules, by=application.by, name=stated.name)
            elif (present[place].name, present[place].rules) != (stated.name, stated.rules):
                raise RefusedError(
                    f"saved_rules[{place}] is there with other content and never changes: add another "
                    "at the end."
                )
