"""Save the filters of a list under a name, change and delete them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.db import IntegrityError, transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.models import Project, SavedView
from bakeoff.accounts.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import User

# The lists that have filters, and the filters, in the order in which a view writes them.
FILTERS = {
    "experiments": ("q", "state", "purpose", "tag"),
    "models": ("surface", "alias"),
    "runs": ("surface", "algorithm", "state", "metric", "sort"),
    "metrics": ("q", "kind", "tag"),
    "generations": ("outcome",),
    "alerts": ("state",),
    "team": ("actor", "action"),
}
MAX_NAME = 60
MAX_VALUE = 200  # characters of a filter
MAX_VIEWS = 50  # of a person in a project


class SavedViewError(RefusedError):
    """A view breaks a rule; `field` names where."""


@dataclass(frozen=True, slots=True)
class ListOfPages:
    """A list of a project's pages: `name` of `FILTERS`, and the surface's key where it is of one."""

    project: Project
    name: str
    key: str = ""


def query_of(name: str, values: Mapping[str, str]) -> str:
    """Return the filters of a list as they stand in an address, in one order; nothing else."""
    chosen = {
        one: values.get(one, "").replace("\0", "").strip()[:MAX_VALUE] for one in FILTERS.get(name, ())
    }
    return urlencode({one: value for one, value in chosen.items() if value})


def save_view(
    of: ListOfPages, *, person: User, name: str, values: Mapping[str, str], shared: bool
) -> SavedView:
    """Save filters under a name; a view of that name and person is replaced.

    Args:
        of: the list.
        person: whose it is.
        name: 1 to 60 characters.
        values: of the filters; others are left out.
        shared: whether all members see it.

    Raises:
        SavedViewError: name or filters break a rule, or there are too many.
    """
    if of.name not in FILTERS:
        raise SavedViewError(f"list == '{of.name[:60]}', must be one of {list(FILTERS)}.")
    name = _checked(name)
    query = query_of(of.name, values)
    if not query:
        raise SavedViewError("view, must have a filter.")
    by = person.get_username()
    with transaction.atomic():
        # Of two that are saved at once, the second sees the first.
        Project.objects.select_for_update(no_key=True).get(pk=of.project.pk)
        theirs = of.project.saved_views.filter(owner=person)
        known = theirs.filter(list_name=of.name, key=of.key, name=name).first()
        if known is None and theirs.count() >= MAX_VIEWS:
            raise SavedViewError(f"views == {MAX_VIEWS}, must be fewer to save one.")
        view = known or SavedView(
            project=of.project, owner=person, list_name=of.name, key=of.key, name=name
        )
        view.query, view.shared = query, shared
        view.save()
        detail = {"query": query, "shared": shared}
        record_audit(of.project.pk, actor=by, action="save view", subject=str(view), detail=detail)
    return view


def change_view(view: SavedView, *, person: User, name: str, shared: bool) -> None:
    """Rename a view, share it or take it back.

    Raises:
        SavedViewError: the name breaks a rule, or its owner has another view of that name here.
    """
    name = _checked(name)
    detail = {"name": name, "shared": shared}
    try:
        with transaction.atomic():
            subject = str(view)
            view.name, view.shared = name, shared
            view.save(update_fields=["name", "shared"])
            record_audit(
                view.project_id, actor=person.get_username(), action="change view", subject=subject,
                detail=detail,
            )  # fmt: skip
    except IntegrityError as error:
        raise SavedViewError(f"view == '{name}', is taken.", field="name") from error


def delete_view(view: SavedView, *, person: User) -> None:
    """Delete a view; once is enough."""
    with transaction.atomic():
        if SavedView.objects.filter(pk=view.pk).delete()[0]:
            record_audit(
                view.project_id, actor=person.get_username(), action="delete view", subject=str(view)
            )


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise SavedViewError(f"name of a view, must have 1 to {MAX_NAME} characters.", field="name")
    return name
