"""What the lists of orders ask of a surface, and say of a label that no item has."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.slates.live_orders import ALL_COUNTRIES
from bakeoff.gateway.slates.requests import LatestRequest, TrendingRequest
from experiments.bounds import shown
from inference.serving.orders import LISTS

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import SurfaceConfig
    from experiments.slate_rules.filters import Filters

MAX_LABELS = 1000  # distinct ones that a wrong one is compared with


def require_order(name: str, surface: SurfaceConfig) -> None:
    """Refuse a list that not every version of a surface is an order of.

    All of them, and not the one that the visitor meets: half of an experiment's visitors would get an
    error.

    Raises:
        ApiError: 409, with what to do.
    """
    champion = surface.champion.label if surface.champion is not None else None
    if champion is None:
        raise _wrong_order(name, surface, "has no champion", is_order=False)
    if not _is_of(name, champion):
        raise _wrong_order(name, surface, f"has champion {champion}", is_order=False)
    for experiment in surface.experiments:
        for variant in experiment.variants.values():
            if variant.version is not None and not _is_of(name, variant.version.label):
                what = f"has {variant.version.label} in experiment '{experiment.key}'"
                raise _wrong_order(name, surface, what, is_order=True)


def _is_of(name: str, label: str) -> bool:
    return label.rpartition("@")[0] in LISTS[name]


def _wrong_order(name: str, surface: SurfaceConfig, what: str, *, is_order: bool) -> ApiError:
    hint = (
        "ask /v1/recommend while it runs"
        if is_order
        else f"ask /v1/recommend, or make a surface of it: PUT /v1/surfaces with "
        f'{{"key": "…", "list": "{name}"}}'
    )
    message = f"surface '{surface.key}' {what}, not an order of {name}: {hint}."
    return ApiError(409, "wrong_order", message, field="surface")


def reason_of(request: LatestRequest) -> str | None:
    """Return why a version that counts no countries does not do what a request wants."""
    wants = isinstance(request, TrendingRequest) and request.country is not None
    return ALL_COUNTRIES if wants else None


def hint_for(label: str, filters: Filters) -> str | None:
    """Return what may be meant by a label that no item has; None for one that some item has."""
    names: set[str] = set()
    for value in filters.column("labels").values:
        if isinstance(value, list):
            names.update(map(str, value))
        if label in names:
            return None
        if len(names) >= MAX_LABELS:
            break
    near = get_close_matches(label, names, n=1)
    did_you_mean = f" Did you mean '{near[0]}'?" if near else ""
    return f"label == {shown(label)}: no item has it.{did_you_mean}"
