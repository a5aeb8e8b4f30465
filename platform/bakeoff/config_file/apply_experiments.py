"""Apply experiments: drafts are created and edited; what was started keeps all but its labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bakeoff.accounts.actors import is_reserved
from bakeoff.accounts.refused import RefusedError
from bakeoff.config_file.apply_surfaces import find_surface
from bakeoff.config_file.export import experiment_as_config
from bakeoff.config_file.steps import differences
from experiments.actions.define_experiment import define_experiment
from experiments.actions.edit_draft import edit_draft
from experiments.actions.experiment_draft import ExperimentDraft
from experiments.actions.read_draft import read_draft
from experiments.actions.rename_experiment import rename_experiment
from experiments.models import Experiment

if TYPE_CHECKING:
    from bakeoff.config_file.steps import Application
    from inference.models import Surface

REQUIRED = ("surface", "variants", "metrics")
LABELS = ("name", "tags", "owner")  # what no count contains


def apply_experiments(application: Application) -> None:
    """Create drafts and change them; an experiment comes after those that it needs."""
    sections = application.document.experiments
    for key in _in_order(sections):
        section = sections[key]
        values = section.model_dump()
        stated = {name: values[name] for name in values if name in section.model_fields_set}
        with application.step("experiments", key):
            experiment = (
                Experiment.objects.filter(project=application.project, key=key)
                .select_related("surface", "layer")
                .first()
            )
            if experiment is None:
                _create(application, key, stated)
            elif experiment.state == Experiment.State.DRAFT:
                _edit(application, experiment, stated)
            else:
                _rename(application, experiment, stated)


def _in_order(sections: dict[str, Any]) -> list[str]:
    """Return the keys so that prerequisites come first; a circle is left to the rule against it."""
    ordered: list[str] = []

    def visit(key: str, above: tuple[str, ...]) -> None:
        if key in ordered or key in above or key not in sections:
            return
        for one in sections[key].prerequisites:
            visit(str(one.get("experiment")) if isinstance(one, dict) else "", (*above, key))
        ordered.append(key)

    for key in sections:
        visit(key, ())
    return ordered


def _create(application: Application, key: str, stated: dict[str, Any]) -> None:
    if missing := [name for name in REQUIRED if name not in stated]:
        names, verb = ", ".join(missing), "is" if len(missing) == 1 else "are"
        raise RefusedError(f"{names} {verb} missing, must be stated of a new experiment.")
    surface = _surface(application, stated)
    owner = _new_owner(application, key, stated.pop("owner", None))
    draft = ExperimentDraft(surface=surface, key=key, owner=owner, **_fields(surface, stated))
    define_experiment(draft, by=application.by)


def _new_owner(application: Application, key: str, owner: str | None) -> str:
    """Return a new experiment's owner: people may come to a platform after its configuration."""
    if owner is None:
        return application.by
    if is_reserved(owner):
        raise RefusedError(f"owner == '{owner}', must be a person.", field="owner")
    if not application.project.memberships.filter(user__username=owner).exists():
        application.warn(
            ("experiments", key, "owner"),
            f"owner == '{owner}' is no member of project '{application.project}': questions about the "
            "experiment reach nobody until they are one.",
        )
    return owner


def _edit(application: Application, experiment: Experiment, stated: dict[str, Any]) -> None:
    _set_owner(application, experiment, stated)
    surface = _surface(application, stated) if "surface" in stated else experiment.surface
    fields = _fields(surface, stated)
    edit_draft(
        experiment=experiment,
        edit=lambda draft: replace(draft, surface=surface, **fields),
        by=application.by,
    )


def _set_owner(application: Application, experiment: Experiment, stated: dict[str, Any]) -> None:
    """Hand a draft over where another person is stated; null names nobody, and changes nothing."""
    owner = stated.pop("owner", None)
    if owner is not None:
        rename_experiment(experiment=experiment, by=application.by, owner=owner)


def _rename(application: Application, experiment: Experiment, stated: dict[str, Any]) -> None:
    changed = differences(stated, experiment_as_config(experiment))
    labels = {one: changed.pop(one) for one in LABELS if one in changed}
    if changed:
        raise RefusedError(
            f"experiment '{experiment.key}' is {experiment.state}, so {', '.join(changed)} must stay "
            "as at its start: its verdict would not be valid otherwise. Define another experiment.",
            field=next(iter(changed)),
        )
    if labels:
        rename_experiment(experiment=experiment, by=application.by, **labels)


def _surface(application: Application, stated: dict[str, Any]) -> Surface:
    surface = find_surface(application, str(stated["surface"]))
    if surface is None:
        raise RefusedError(
            f"surface == '{stated['surface']}', not found in project '{application.project}'.",
            field="surface",
        )
    return surface


def _fields(surface: Surface, stated: dict[str, Any]) -> dict[str, Any]:
    named = {name: value for name, value in stated.items() if name != "surface"}
    if "slot" in named:
        named["slot"] = tuple(named["slot"])
    return read_draft(surface, named)
