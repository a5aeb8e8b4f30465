"""Make a surface, or change what it is: every face takes this way, and the audit trail sees it."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.add_order import give_order, require_order
from experiments.actions.create_serving_metrics import create_serving_metrics
from experiments.actions.require_known_slices import require_known_slices
from experiments.actions.save_rules import (
    CannotSaveRulesError,
    check_rules,
    keep_version_of,
    require_known_properties,
)
from experiments.ingest.likes import LikeRuleError, parse_rules
from experiments.models import Experiment
from experiments.stats.policy import Policy, PolicyError
from experiments.themes.text_classifier import is_endpoint
from experiments.training_data.event_weights import EventWeightError, EventWeights
from inference.actions.check_labelling import SliceError, check_labelling
from inference.algorithms import check_trainable, trainable
from inference.cache import cache_client
from inference.models import Surface
from inference.options import did_you_mean
from inference.serving.changes import announce_change
from inference.serving.context_features import FIELD as CONTEXT_FEATURES
from inference.serving.context_features import ContextFeatureError, check_features
from inference.serving.generate_settings import GenerateSettings, SettingsError
from inference.serving.label_costs import CostError
from inference.serving.rank_settings import RankSettings
from inference.training.label_names import LabelsError, check_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bakeoff.accounts.models import Project
    from inference.serving.orders import LiveOrder

# What a person may set. The key names the surface for ever; the rest is the platform's.
EDITABLE = (
    "kind", "static_list", "candidates", "exploration", "liked_events", "credited_events",
    "attribution_seconds", "labels", "retrain_algorithm", "retrain_every_seconds", "retrain_params",
    "retrain_on_drift", "start_experiments", "policy", "shadow_share", "shadow_first", "rules",
    "costs", "abstain_cost", "slices", "max_gap", "generate", "event_weights", "context_features",
    "rank", "text_classifier", "theme_namer",
)  # fmt: skip
SCHEDULE = frozenset({"kind", "retrain_algorithm", "retrain_params"})
TEXT_LISTS = ("static_list", "liked_events", "credited_events", "labels", "slices", "context_features")


class CannotChangeSurfaceError(RefusedError):
    """A surface that would break a rule; the message says which.

    Attributes:
        field: that breaks it.
        code: for the API.
    """

    def __init__(
        self, message: str, *, field: str | None = None, code: str = "invalid_surface"
    ) -> None:
        """Name the rule, the field that breaks it, and the code for programs."""
        super().__init__(message, field=field)
        self.code = code


class SurfaceExistsError(CannotChangeSurfaceError):
    """The project has a surface of this key."""


class ArchivedError(CannotChangeSurfaceError):
    """A surface that is archived: it can be restored."""


class KindIsFixedError(CannotChangeSurfaceError):
    """The kind of a surface that has versions or experiments."""


class WouldResetError(CannotChangeSurfaceError):
    """A whole that leaves out fields which were set."""


def defaults_of_surface() -> dict[str, Any]:
    """Return the default of each editable field."""
    blank = Surface()
    return {name: getattr(blank, name) for name in EDITABLE}


def create_surface(
    *,
    project: Project,
    key: str,
    values: Mapping[str, Any],
    by: str,
    order: LiveOrder | None = None,
) -> Surface:
    """Create a surface; fields that are not named have their defaults.

    Args:
        project: whose surface.
        key: its name.
        values: the fields that are named.
        by: who does it.
        order: of which its champion is a version from the start, or None.

    Raises:
        SurfaceExistsError: the project has a surface of this key.
        CannotChangeSurfaceError: a value breaks a rule.
        CannotOrderError: its kind has no orders.
    """
    surface = Surface(project=project, key=key, **values)
    _check(surface)
    _check_named_surfaces(surface, _NAMED_SURFACES)
    _require_known_properties(surface)
    try:
        with transaction.atomic():
            surface.save()
            _give_serving_metrics(surface)
            record_audit(
                project.pk,
                actor=by,
                action="make surface",
                subject=key,
                detail={"fields": dict(values)},
            )
            if order is not None:
                give_order(surface=surface, order=order, by=by)
            transaction.on_commit(partial(announce_change, cache_client()))
    except IntegrityError as error:
        if not Surface.objects.filter(project=project, key=key).exists():
            raise  # another rule of the table
        raise SurfaceExistsError(
            f"surface == '{key}', exists already in this project.", field="key", code="conflict"
        ) from error
    return surface


def put_surface(
    *,
    project: Project,
    key: str,
    values: Mapping[str, Any],
    replace: bool,
    by: str,
    order: LiveOrder | None = None,
) -> Surface:
    """State a whole surface: make it, or set every editable field to its value or its default.

    Args:
        project: whose surface.
        key: its name.
        values: the fields that are named.
        replace: whether fields that are set and not named may be reset.
        by: who does it.
        order: of which the champion is to be a version, or None for whichever it is.

    Raises:
        WouldResetError: fields that are set are not named; the message lists them.
        CannotChangeSurfaceError: a value breaks a rule.
        CannotOrderError: the champion is another.
    """
    _require_known_properties_before(
        Surface.objects.filter(project=project, key=key).first(), {"rules": {}, **values}
    )
    with transaction.atomic():
        # What would be reset is judged on the row that is written, not on one that changes meanwhile.
        surface = (
            Surface.objects.select_for_update(no_key=True).filter(project=project, key=key).first()
        )
        if surface is None:
            return create_surface(project=project, key=key, values=values, by=by, order=order)
        defaults = defaults_of_surface()
        reset = [n for n in EDITABLE if n not in values and getattr(surface, n) != defaults[n]]
        if reset and not replace:
            raise WouldResetError(
                f"surface '{key}' exists, and this would reset {', '.join(reset)}: name them, change "
                "single fields by PATCH, or send ?replace=true.",
                field=reset[0],
                code="would_reset",
            )
        _require_unarchived(surface)
        changed = _change(surface, {**defaults, **values}, by)
        if order is not None:
            require_order(surface=changed, order=order, by=by)
        return changed


def patch_surface(*, surface: Surface, changes: Mapping[str, Any], by: str) -> Surface:
    """Change the named fields; all others stay as they are.

    Raises:
        CannotChangeSurfaceError: a value breaks a rule.
    """
    _require_known_properties_before(surface, changes)
    with transaction.atomic():
        # Two people may change two fields at once: each reads what the other has written.
        locked = Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)
        _require_unarchived(locked)
        return _change(locked, changes, by)


def _require_unarchived(surface: Surface) -> None:
    if why := surface.archived_sentence:
        raise ArchivedError(why, code="archived")


def _change(surface: Surface, changes: Mapping[str, Any], by: str) -> Surface:
    before = {name: getattr(surface, name) for name in changes}
    changed = [name for name, value in changes.items() if before[name] != value]
    if not changed:
        return surface
    if "kind" in changed:
        _require_no_versions(surface, changes["kind"])
    for name in changed:
        setattr(surface, name, changes[name])
    # A schedule that an earlier release took, and this one would not, stops no other edit.
    _check(surface, with_schedule=not SCHEDULE.isdisjoint(changed))
    # Nor does a surface that is gone, or a classifier that became an endpoint, since it was named.
    _check_named_surfaces(surface, changed)
    # Nor groups by a feature that the examples had.
    if "slices" in changed:
        _require_known_slices(surface)
    if "rules" in changed:
        # What served before, too: it can be compared with, and gone back to.
        for rules in (before["rules"], surface.rules):
            keep_version_of(surface, rules, by=by)
    surface.save(update_fields=changed)
    if "kind" in changed:
        _give_serving_metrics(surface)
    record_audit(
        surface.project_id,
        actor=by,
        action="change surface",
        subject=surface.key,
        detail={"changed": {name: [before[name], getattr(surface, name)] for name in changed}},
    )
    transaction.on_commit(partial(announce_change, cache_client()))
    return surface


def _give_serving_metrics(surface: Surface) -> None:
    # So that forms and programmes can name them before the first automatic experiment. A flag's
    # answers have no facts to count.
    if surface.kind != Surface.Kind.FLAG:
        create_serving_metrics(surface.project, surface.kind)


def _require_no_versions(surface: Surface, kind: str) -> None:
    if surface.versions.exists() or Experiment.objects.filter(surface=surface).exists():
        raise KindIsFixedError(
            f"kind == '{kind}', must stay '{surface.kind}': surface '{surface.key}' has versions or "
            "experiments of that kind. Make another surface.",
            field="kind",
            code="kind_is_fixed",
        )


def _check(surface: Surface, *, with_schedule: bool = True) -> None:
    _check_lists(surface)
    _check_texts(surface)
    _check_kind(surface)
    if with_schedule and surface.retrain_algorithm:
        _check_schedule(surface)


# What is refused of them: the field, where the error does not name it, and the code.
_REFUSED_TEXTS: Mapping[type[ValueError], tuple[str, str]] = {
    ContextFeatureError: (CONTEXT_FEATURES, "invalid_feature"),
    SettingsError: ("", "invalid_settings"),
    EventWeightError: ("", "invalid_weight"),
    SliceError: ("", "invalid_slice"),
    CostError: ("", "invalid_cost"),
    LikeRuleError: ("liked_events", "invalid_rule"),
    PolicyError: ("policy", "invalid_policy"),
    LabelsError: ("labels", "invalid_labels"),
}


def _check_texts(surface: Surface) -> None:
    """Refuse what is written in a language of its own: rules, policy, labels, costs, weights."""
    try:
        _check_weights(surface)
        _check_features(surface)
        Policy.parse(surface.policy)
        surface.labels = check_labels(surface.labels)
        _check_rules(surface)
        check_labelling(surface)
        GenerateSettings.parse(surface.generate)
        RankSettings.parse(surface.rank)
    except tuple(_REFUSED_TEXTS) as error:
        named, code = next(rule for kind, rule in _REFUSED_TEXTS.items() if isinstance(error, kind))
        field = named or getattr(error, "field", None)
        raise CannotChangeSurfaceError(str(error), field=field, code=code) from error


def _check_rules(surface: Surface) -> None:
    try:
        check_rules(surface, surface.rules)
    except CannotSaveRulesError as error:
        raise CannotChangeSurfaceError(str(error), field="rules", code="invalid_rule") from error


def _require_known_properties(surface: Surface) -> None:
    try:
        require_known_properties(surface, surface.rules)
    except CannotSaveRulesError as error:
        raise CannotChangeSurfaceError(str(error), field="rules", code="invalid_rule") from error


def _require_known_properties_before(surface: Surface | None, changes: Mapping[str, Any]) -> None:
    """Look at the items before the surface is locked: there may be millions, and starts would wait."""
    if surface is None or surface.archived_at is not None or "rules" not in changes:
        return
    meant = copy(surface)
    meant.rules, meant.kind = changes["rules"], changes.get("kind", surface.kind)
    try:
        check_rules(meant, meant.rules)
    except CannotSaveRulesError:
        return  # said in its turn, after what goes before
    _require_known_properties(meant)


def _require_known_slices(surface: Surface) -> None:
    try:
        require_known_slices(surface)
    except SliceError as error:
        raise CannotChangeSurfaceError(str(error), field=error.field, code="invalid_slice") from error


def _check_weights(surface: Surface) -> None:
    weights = EventWeights.parse(surface.event_weights, parse_rules(surface.liked_events))
    if weights.are_stated and surface.kind != Surface.Kind.RECOMMEND:
        raise EventWeightError(
            f"event_weights == {surface.event_weights!r:.50}, must be none on a surface of kind "
            f"'{surface.kind}'."
        )


def _check_features(surface: Surface) -> None:
    if surface.context_features and surface.kind != Surface.Kind.RECOMMEND:
        raise ContextFeatureError(
            f"{CONTEXT_FEATURES} == {surface.context_features!r:.50}, must be none on a surface of "
            f"kind '{surface.kind}'."
        )
    check_features(surface.context_features)


def _check_kind(surface: Surface) -> None:
    if surface.labels and surface.kind != Surface.Kind.CLASSIFY:
        raise CannotChangeSurfaceError(
            f"labels == {len(surface.labels)} of them, must be none on a surface of kind "
            f"'{surface.kind}'.",
            field="labels",
            code="invalid_labels",
        )
    if surface.shadow_first and surface.kind == Surface.Kind.RANK:
        raise CannotChangeSurfaceError(
            f"shadow_first == {surface.shadow_first}, must be 0 on a surface of kind "
            f"'{surface.kind}': its versions are judged off-policy.",
            field="shadow_first",
        )
    for kind in (Surface.Kind.GENERATE, Surface.Kind.RANK):  # each has settings of its own name
        settings = getattr(surface, kind.value)
        if settings and surface.kind != kind:
            raise CannotChangeSurfaceError(
                f"{kind.value} == {settings!r:.80}, must be empty on a surface of kind "
                f"'{surface.kind}'.",
                field=kind.value,
                code="invalid_settings",
            )


def _check_text_classifier(surface: Surface) -> None:
    named = surface.text_classifier
    if not named:
        return
    rows = Surface.objects.unarchived().filter(
        project=surface.project_id, key=named, kind=Surface.Kind.CLASSIFY
    )
    if not rows.exists():
        raise CannotChangeSurfaceError(
            f"text_classifier == '{named:.64}', must be the key of a surface of kind 'classify'.",
            field="text_classifier",
        )
    if is_endpoint(surface):
        raise CannotChangeSurfaceError(
            f"text_classifier == '{named}', its champion must be no endpoint: texts are labelled in a "
            "worker, and sent nowhere.",
            field="text_classifier",
        )


def _check_theme_namer(surface: Surface) -> None:
    named = surface.theme_namer
    rows = Surface.objects.unarchived().filter(
        project=surface.project_id, key=named, kind=Surface.Kind.GENERATE
    )
    if named and not rows.exists():
        raise CannotChangeSurfaceError(
            f"theme_namer == '{named:.64}', must be the key of a surface of kind 'generate'.",
            field="theme_namer",
        )


_NAMED_SURFACES: Mapping[str, Callable[[Surface], None]] = {
    "text_classifier": _check_text_classifier,
    "theme_namer": _check_theme_namer,
}


def _check_named_surfaces(surface: Surface, names: Iterable[str]) -> None:
    for name in names:
        if (check := _NAMED_SURFACES.get(name)) is not None:
            check(surface)


def _check_schedule(surface: Surface) -> None:
    names = trainable(surface.kind)
    if surface.retrain_algorithm not in names:
        raise CannotChangeSurfaceError(
            f"retrain_algorithm == '{surface.retrain_algorithm}', must be one of "
            f"{names} on a surface of kind '{surface.kind}'."
            f"{did_you_mean(surface.retrain_algorithm, names)}",
            field="retrain_algorithm",
            code="unknown_recommender",
        )
    try:
        check_trainable(surface.kind, surface.retrain_algorithm, surface.retrain_params)
    except ValueError as error:
        raise CannotChangeSurfaceError(f"retrain_params: {error}", field="retrain_params") from error


def _check_lists(surface: Surface) -> None:
    if surface.kind not in Surface.Kind.values:
        raise CannotChangeSurfaceError(
            f"kind == '{surface.kind}', must be one of {Surface.Kind.values}.", field="kind"
        )
    for name in TEXT_LISTS:
        value = getattr(surface, name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise CannotChangeSurfaceError(
                f"{name} == {value!r:.50}, must be a list of texts.", field=name
            )
