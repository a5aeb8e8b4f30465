"""What the API shows of a configuration, the exported file states too; exceptions have their reasons."""

from __future__ import annotations

from bakeoff.api.application import api
from bakeoff.config_file.document import json_schema

# Of each GET that shows configuration: where the file has it. A place ends in * where keys stand.
PLACES = {
    "/v1/project": "project",
    "/v1/holdout": "project",
    "/v1/groups": "groups.*",
    "/v1/layers": "layers",
    "/v1/metrics": "metrics.*",
    "/v1/metrics/{key}": "metrics.*",
    "/v1/surfaces": "surfaces.*",
    "/v1/surfaces/{key}": "surfaces.*",
    "/v1/surfaces/{key}/autopilot": "surfaces.*.autopilot",
    "/v1/surfaces/{key}/judging": "surfaces.*.judging",
    "/v1/surfaces/{key}/rules": "surfaces.*.saved_rules",
    "/v1/surfaces/{key}/surveys": "surfaces.*.surveys.*",
    "/v1/surfaces/{key}/models": "surfaces.*.versions.*",
    "/v1/surfaces/{key}/models/{name}/{number}/prompt": "surfaces.*.versions.*",
    "/v1/experiments": "experiments.*",
    "/v1/experiments/{key}": "experiments.*",
    "/v1/alerts/subscriptions": "subscriptions.*",
}

# Where an answer has its configuration in one field, and state in the others.
INSIDE = {"/v1/surfaces/{key}/autopilot": "settings"}

# Fields that the file lacks, and why.
WHO_AND_WHEN = "who made it and when is history"
KEY = "it is the key under which the section stands"
STATE = "state, which acts change"
ARCHIVED = "an act, as an experiment's end is: what is archived is left out"
EXCEPTIONS = {
    "project": {"slug": "--project names it", "share": "the field is `holdout`"},
    "groups.*": {"key": KEY},
    "layers": {"key": "a layer is nothing but its key", "slots": "experiments state theirs"},
    "metrics.*": {"key": KEY, "archived_at": ARCHIVED},
    "surfaces.*": {
        "key": KEY,
        "champion": STATE,
        "archived_at": ARCHIVED,
        "list": "of the champion; `versions` state each order",
        "list_params": "of the champion; `versions` state each order",
    },
    "surfaces.*.saved_rules": {
        "number": "it is the place in the list",
        "is_served": "`rules` of the surface are what it serves",
        "created_by": WHO_AND_WHEN,
        "created_at": WHO_AND_WHEN,
    },
    "surfaces.*.surveys.*": {
        "key": KEY,
        **dict.fromkeys(("users", "score", "interval", "answers"), "data"),
    },
    "surfaces.*.versions.*": {
        "label": KEY,
        "artifact_sha256": "a version with files is trained or registered, never stated",
        "created_at": WHO_AND_WHEN,
        **dict.fromkeys(("alias", "gate", "promoted_against"), STATE),
    },
    "experiments.*": {
        "key": KEY,
        "purpose": "only tests are stated: the platform makes holdbacks and holdouts",
        "evaluated_by": "it follows from `hashing`",
        "policy_sha256": "fixed at the start",
        "ends_at": "of holdbacks and holdouts alone",
        **dict.fromkeys(("state", "enabled", "started_at", "ended_at", "confirmed"), STATE),
    },
    "subscriptions.*": {
        "id": "its name tells it apart",
        "name": KEY,
        "created_by": WHO_AND_WHEN,
        "created_at": WHO_AND_WHEN,
    },
}

# GETs that show nothing a file could state.
NO_CONFIGURATION = {
    **dict.fromkeys(
        (
            "/v1/surfaces/{key}/plan", "/v1/surfaces/{key}/policy", "/v1/surfaces/{key}/algorithms",
            "/v1/impact", "/v1/interactions", "/v1/activity", "/v1/usage", "/v1/usage.csv",
            "/v1/experiments/{key}/report.json", "/v1/experiments/{key}/feedback",
            "/v1/experiments/{key}/surveys", "/v1/experiments/{key}/themes",
            "/v1/surfaces/{key}/themes", "/metrics", "/healthz", "/readyz",
        ),
        "computed from data",
    ),
    **dict.fromkeys(
        (
            "/v1/surfaces/{key}/history", "/v1/surfaces/{key}/autopilot/proposals", "/v1/alerts",
            "/v1/alerts/deliveries", "/v1/audit", "/v1/audit/export", "/v1/surfaces/{key}/training-runs",
            "/v1/training-runs/{run_id}", "/v1/training-runs/{run_id}/log",
            "/v1/experiments/{key}/decisions", "/v1/experiments/{key}/comments",
            "/v1/surfaces/{key}/models/{name}/{number}/checks",
        ),
        "history",
    ),
    **dict.fromkeys(
        ("/v1/items", "/v1/items/{item_id}", "/v1/feedback", "/v1/surfaces/{key}/data-sets", "/v1/surfaces/{key}/examples"), "data"
    ),
    **dict.fromkeys(
        (
            "/v1/models", "/ofrep/v1/stream", "/api/features/{key}", "/sub/{key}", "/v1/flags", "/v1/live",
        ),
        "what is served, to clients",
    ),
    "/v1/keys": "secrets",
    "/v1/config": "the file itself",
}  # fmt: skip


def properties_of(schema: dict, components: dict) -> set[str]:
    """The fields of an object, or of the objects of a list."""
    schema = resolved(schema, components)
    fields = resolved(schema.get("items", schema), components).get("properties", {})
    return {name for name, about in fields.items() if not about.get("deprecated")}


def resolved(schema: dict, components: dict) -> dict:
    """The schema that a reference, or one of several, stands for."""
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            return resolved(one, components)
    name = schema.get("$ref")
    return components[name.rpartition("/")[2]] if name else schema


def section_at(place: str) -> set[str]:
    """The fields that the file has at a place."""
    schema = json_schema()
    components = schema["$defs"]
    for name in place.split("."):
        schema = resolved(schema, components)
        keyed = list(schema.get("patternProperties", {}).values()) or [schema["additionalProperties"]]
        schema = keyed[0] if name == "*" else schema["properties"][name]
    return properties_of(schema, components)


def test_what_the_api_shows_of_a_configuration_the_file_states():
    document = api.get_openapi_schema()
    components = document["components"]["schemas"]
    paths = {path: about["get"] for path, about in document["paths"].items() if "get" in about}
    assert set(PLACES) | set(NO_CONFIGURATION) == set(paths), "say where the file has it, or why not"
    assert not set(PLACES) & set(NO_CONFIGURATION)
    shown: dict[str, set[str]] = {}
    for path, place in PLACES.items():
        answer = paths[path]["responses"][200]["content"]["application/json"]["schema"]
        if path in INSIDE:
            answer = resolved(answer, components)["properties"][INSIDE[path]]
        shown.setdefault(place, set()).update(properties_of(answer, components))
    for place, fields in shown.items():
        assert fields, place
        excepted = set(EXCEPTIONS.get(place, {}))
        lacking = fields - section_at(place) - excepted
        assert not lacking, f"{place} lacks {sorted(lacking)}: add them, or give the reason here"
        assert excepted <= fields - section_at(place), f"{place}: exceptions that are none"
