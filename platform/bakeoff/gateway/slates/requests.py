"""What a request for an answer may say: one type per route."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from bakeoff.gateway.http.caller import Consent, read_consent
from bakeoff.gateway.http.errors import ApiError, invalid
from bakeoff.gateway.http.fields import (
    Ids,
    body_rule,
    flag,
    identifiers,
    json_object,
    list_of_ids,
    request_type,
    rule,
    text,
    whole_number,
)
from experiments import bounds
from experiments.bounds import MAX_ID, MAX_TEXT, MAX_VALUE, check
from experiments.slate_rules.rule_error import RuleError
from experiments.slate_rules.rules import NAMES, NO_RULES, SlateRules

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SURFACE = 64
MAX_TOKEN = 1000
# Stored with every slate, and read by conditions within the event loop.
MAX_CONTEXT_BYTES = 8192
# A slate's propensities are drawn slot by slot: the cost grows with k.
MAX_K = 100
MAX_COUNTRY = 64
MAX_QUERY = 1000
MAX_FEATURES = 500
MAX_LABELS = 100
MAX_REMEMBERED, MAX_REMEMBERED_BYTES = 1024, 4096  # rules of requests that were read
MAX_ABOUT = 100  # each is explained within the event loop
CHOOSING = ("candidates", "exclude", "fields", "explain", "context")  # what is shown, beside rules
KNOWN_FIELDS = frozenset(
    (
        "surface", "k", "candidates", "exclude", "fields", "explain", "context", "consent",
        "overrides", "force", "expose", "surface_rules", "about",
    )
)  # fmt: skip


def _context(value: Any, name: str) -> dict[str, Any]:
    context = json_object(value, name)
    if context:
        check(context, name, max_bytes=MAX_CONTEXT_BYTES)
    return context


def _text_to_classify(data: Mapping[str, Any]) -> str:
    """Read `text`; it may be empty where features say all."""
    value = bounds.text(data.get("text", ""), "text", max_length=MAX_TEXT, min_length=0)
    if not value.strip() and not data.get("features"):
        raise invalid("text", value, "a text, unless features say all")
    return value


def read_features(value: Any, name: str) -> dict[str, Any]:
    """Read an object of numbers, texts, truths and nulls by name."""
    features = json_object(value, name)
    if len(features) > MAX_FEATURES:
        raise invalid(name, f"{len(features)} of them", f"at most {MAX_FEATURES}")
    for key, feature in features.items():
        if not 1 <= len(key) <= MAX_ID:
            raise invalid(name, key, f"named by 1 to {MAX_ID} characters")
        if not _is_feature(feature):
            rule_text = f"a number, true, false, null or {MAX_ID} characters"
            raise invalid(f"{name}.{key}", feature, rule_text)
    return features


def _is_feature(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_ID
    return value is None or (isinstance(value, bool | int | float) and abs(value) <= MAX_VALUE)


def _rules(data: Mapping[str, Any]) -> SlateRules:
    """Read the rules of a request, which stand beside its other fields.

    Fields that nobody knows are passed over, as ever, but for those that look like a rule or say what
    may be shown: a filter that is misspelt would be one that silently does not hold.
    """
    for name in data:
        if name not in NAMES and name not in KNOWN_FIELDS:
            hint = _hint(name[:MAX_ID])
            if hint is not None:
                message = f"{name[:MAX_ID]}: unknown field. {hint}"
                raise ApiError(400, "invalid_value", message, field=name[:MAX_ID])
    body = {name: data[name] for name in NAMES if data.get(name) is not None}
    if not body:
        return NO_RULES
    try:
        key = orjson.dumps(body)
        # A product sends the same rules with each of its pages' requests.
        return _parsed(key) if len(key) <= MAX_REMEMBERED_BYTES else SlateRules.parse(body)
    except RuleError as error:
        raise ApiError(400, "invalid_value", str(error), field=error.field) from error


@lru_cache(maxsize=MAX_REMEMBERED)
def _parsed(key: bytes) -> SlateRules:
    """Return the rules that are written so; nothing changes them."""
    return SlateRules.parse(orjson.loads(key))


@lru_cache(maxsize=MAX_REMEMBERED)
def _hint(name: str) -> str | None:
    """Return what was meant by a field that nobody knows, or None."""
    if name == "rules":  # as a surface has them
        return f"Rules of a request stand beside its other fields: {list(NAMES)}."
    if name in {"label", "labels"}:  # as the lists of orders have it
        return 'Did you mean "filter": {"labels": "…"}?'
    near = get_close_matches(name, [*NAMES, *CHOOSING], n=1, cutoff=0.8)
    return f"Did you mean '{near[0]}'?" if near else None


def _rules_with_label(data: Mapping[str, Any]) -> SlateRules:
    """Read the rules of a request for a list; a label is a filter."""
    if "label" not in data and "labels" in data:
        message = "labels: unknown field. Did you mean 'label'?"
        raise ApiError(400, "invalid_value", message, field="labels")
    rules = _rules({name: value for name, value in data.items() if name != "label"})
    if data.get("label") is None:
        return rules
    label = bounds.text(data["label"], "label")
    return SlateRules(filters=({"labels": label},)).joined_with(rules)


def _names(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        raise invalid(name, value, "a list of names of fields and properties")
    return list_of_ids(value, name)


def _no_country(data: Mapping[str, Any]) -> None:
    if data.get("country") is not None:
        message = "country: unknown field. /v1/trending and /v1/popular have one."
        raise ApiError(400, "invalid_value", message, field="country")


@request_type
class SurfaceRequest:
    """What every request for an answer says.

    Attributes:
        surface: key of the surface.
        overrides: variants to force, by experiment; with a secret key.
        force: token of a signed link that forces a variant, or None.
        ids: of the visitor.
        context: what the product says of the visitor and the page.
        consent: the visitor's.
        expose: whether the visitor sees the answer at once; with a secret key it may be false, for an
            answer that is sent later, and whose exposure is reported then.
    """

    may_interleave: ClassVar[bool] = False  # whether versions can share the answer

    surface: str = rule(text(MAX_SURFACE))
    overrides: dict[str, Any] = rule(json_object)
    force: str | None = rule(text(MAX_TOKEN), default=None)
    ids: Ids = identifiers()
    context: dict[str, Any] = rule(_context)
    consent: Consent = rule(read_consent)
    expose: bool = rule(flag, default=True)


@request_type
class RecommendRequest(SurfaceRequest):
    """The body of /v1/recommend and /v1/compare.

    Attributes:
        k: items wanted.
        candidates: rank just these items, or None for all.
        exclude: items that may not be shown.
        fields: what the answer says of each item; None for the usual fields.
        explain: whether the answer names the recent item that explains each item.
        rules: filter, boost, bury, pin, caps, diversity, freshness, repeat,
            new_item_share, new_item_days.
    """

    may_interleave: ClassVar[bool] = True

    k: int = rule(whole_number(1, MAX_K), default=10)
    candidates: list[str] | None = rule(list_of_ids, default=None)
    exclude: list[str] | tuple[()] = rule(list_of_ids, default=())
    fields: list[str] | None = rule(_names, default=None)
    explain: bool = rule(flag, default=False)
    rules: SlateRules = body_rule(_rules)


def _items_to_explain(value: Any, name: str) -> list[str]:
    if isinstance(value, list) and len(value) > MAX_ABOUT:
        raise invalid(name, f"{len(value)} of them", f"at most {MAX_ABOUT} ids")
    return list_of_ids(value, name)


def _surface_rules(value: Any, name: str) -> SlateRules | None:
    if value is None:
        return None
    try:
        return SlateRules.parse(json_object(value, name))
    except RuleError as error:
        raise ApiError(400, "invalid_value", str(error), field=f"{name}.{error.field}") from error


@request_type
class PreviewRequest(RecommendRequest):
    """The body of /v1/recommend/preview.

    Attributes:
        surface_rules: tried in place of the surface's; None for those that are saved.
        about: items to explain, beside those in the slate.
    """

    surface_rules: SlateRules | None = rule(_surface_rules)
    about: list[str] | tuple[()] = rule(_items_to_explain, default=())


@request_type
class SimilarRequest(RecommendRequest):
    """The body of /v1/similar.

    Attributes:
        item_id: what the items are to be like.
    """

    may_interleave: ClassVar[bool] = False
    item_id: str = rule(text())


@request_type
class LatestRequest(RecommendRequest):
    """The body of /v1/latest, and of every list of an order.

    Attributes:
        list_name: which order.
        rules: with the label as a filter.
        label: that all items have, or None for any.
        country: refused, where no likes are counted.
    """

    may_interleave: ClassVar[bool] = False
    list_name: ClassVar[str] = "latest"
    rules: SlateRules = body_rule(_rules_with_label)
    label: str | None = rule(text(), default=None)
    country: str | None = body_rule(_no_country)


@request_type
class TrendingRequest(LatestRequest):
    """The body of /v1/trending.

    Attributes:
        country: whose likes count, or None for all.
    """

    list_name: ClassVar[str] = "trending"
    country: str | None = rule(text(MAX_COUNTRY), default=None)


@request_type
class PopularRequest(TrendingRequest):
    """The body of /v1/popular."""

    list_name: ClassVar[str] = "popular"


@request_type
class SearchRequest(LatestRequest):
    """The body of /v1/search.

    Attributes:
        q: what is sought, in words.
    """

    list_name: ClassVar[str] = "search"
    q: str = rule(text(MAX_QUERY))


@request_type
class ClassifyRequest(SurfaceRequest):
    """The body of /v1/classify.

    Attributes:
        text: to be classified.
        features: beside the text, by name.
        k: labels wanted.
    """

    text: str = body_rule(_text_to_classify)
    features: dict[str, Any] = rule(read_features)
    k: int = rule(whole_number(1, MAX_LABELS), default=5)
