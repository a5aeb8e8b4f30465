"""Every operation of the OpenAPI document refuses: no key, others' keys, what is missing, wrong methods, bad bodies."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from bakeoff.accounts.keys import ADMIN, EXPORT, MANAGE, READ, SCOPES, SECRET
from bakeoff.accounts.models import ApiKey, Project
from bakeoff.api.application import api
from bakeoff.gateway.http.bodies import MAX_BULK_BODY
from experiments.ingest.rows import Rows
from experiments.models import Experiment, Feedback, Layer, SavedGroup
from inference.models import TrainingRun
from tests.support import alerts, builders
from tests.support.builders import Shop

METHODS = ("get", "post", "put", "patch", "delete")
FAST_LANE = {"fast lane", "Segment", "flags"}
MINE = "only-of-the-owner"


@dataclass(frozen=True)
class Operation:
    """One operation of the document, with a small body that its schema allows, and all its fields."""

    method: str
    path: str
    tag: str
    is_open: bool
    body: Any
    fields: tuple[str, ...]


def example_of(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """Return a value that a schema allows: only what is required."""
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rsplit("/", 1)[-1]], components)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return example_of(schema[several][0], components)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        return {name: example_of(fields[name], components) for name in schema.get("required", ())}
    if schema.get("type") == "array":
        return [example_of(schema["items"], components)] * schema.get("minItems", 0)
    return {"integer": 1, "number": 0.5, "boolean": True}.get(schema.get("type", ""), "x")


def fields_of(schema: dict[str, Any], components: dict[str, Any]) -> list[str]:
    """Return the names of an object's fields."""
    if "$ref" in schema:
        return fields_of(components[schema["$ref"].rsplit("/", 1)[-1]], components)
    nested = [one for several in ("anyOf", "oneOf", "allOf") for one in schema.get(several, ())]
    return [
        *schema.get("properties", {}),
        *(name for one in nested for name in fields_of(one, components)),
    ]


def read_operations() -> list[Operation]:
    """Read what both lanes offer from the document that they publish."""
    document = api.get_openapi_schema()
    components = document["components"]["schemas"]
    operations = []
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            content = about.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            body = None if schema is None else example_of(schema, components)
            is_open = about.get("security") == []
            fields = tuple(fields_of(schema or {}, components))
            operations.append(Operation(method, path, about["tags"][0], is_open, body, fields))
    return operations


OPERATIONS = read_operations()
KEYED = [one for one in OPERATIONS if not one.is_open]
MANAGEMENT = [one for one in KEYED if one.tag not in FAST_LANE]
PATHS = sorted({one.path for one in OPERATIONS})


@dataclass(frozen=True)
class World:
    """A project with one of everything, a stranger's key, and keys by scope.

    Attributes:
        lane: the server.
        shop: the owner's project.
        places: what each parameter of a path names there.
        stranger: a key of another project that may do everything there.
        alone: keys of that other project that have one scope, by scope.
        without: keys of the owner's project that have all other scopes, by scope.
        tables: those whose rows belong to a project, and the column that says to which.
    """

    lane: Any
    shop: Shop
    places: dict[str, str]
    stranger: str
    alone: dict[str, str]
    without: dict[str, str]
    tables: list[tuple[str, str]]

    def address(self, path: str, *, missing: bool = False) -> str:
        """Put what exists, or what does not, in the place of each parameter."""
        for place, value in self.places.items():
            absent = "999999999" if value.isdecimal() else "nowhere"
            path = path.replace(place, place[: place.index("{")] + (absent if missing else value))
        assert "{" not in path, f"{path}: say in this file what this parameter names"
        return path

    def ask(self, method: str, address: str, key: str | None = None, **options: Any):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.lane.client.request(
            method.upper(), address, headers=headers | options.pop("headers", {}), **options
        )

    def rows(self) -> dict[str, str]:
        """A digest of what the owner's project holds, per table; when a key was used does not count."""
        digest = "md5(string_agg((to_jsonb(t) - 'last_used_at')::text, '' ORDER BY t.id))"
        of = {
            "project_id": f"= {self.shop.project.pk}",
            "surface_id": f"= {self.shop.surface.pk}",
            "slug": f"= '{self.shop.project.slug}'",
        }
        selects = [
            f"SELECT '{table}', {digest} FROM {table} t WHERE {column} {of[column]}"
            for table, column in self.tables
        ]
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(selects))
            return dict(cursor.fetchall())


def owned_tables() -> list[tuple[str, str]]:
    """Every table whose rows name a project or a surface, and the project's own; no partitions."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT DISTINCT ON (c.relname) c.relname, a.attname
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            JOIN pg_attribute i ON i.attrelid = c.oid AND i.attname = 'id'
            WHERE c.relkind = 'r' AND NOT c.relispartition
            AND (a.attname IN ('project_id', 'surface_id') OR (c.relname = 'accounts_project' AND a.attname = 'slug'))
            ORDER BY c.relname, a.attname"""
        )
        return cursor.fetchall()


@pytest.fixture(scope="module")
def world(shared_lane) -> World:
    shop = builders.make_shop()
    project, surface = shop.project, shop.surface
    for owned in (surface, shop.metric):
        owned.key = f"{MINE}-{owned.key}"
        owned.save()
    experiment = shop.define(builders.make_version(surface, [1] * 10), planned_units=500)
    Experiment.objects.filter(pk=experiment.pk).update(key=MINE)
    proposal = builders.propose_treatment(experiment)
    queued = builders.make_version(surface, [1] * 10, algorithm="ease")
    run = TrainingRun.objects.create(
        surface=surface, algorithm="popularity", trigger=MINE, state="passed"
    )
    slate = builders.make_slate(shop, f"{MINE}-unit")
    builders.write(Rows(feedback=[builders.feedback(shop, slate, kind="text", text=MINE)]))
    surface.examples.create(example_id=f"{MINE}-example", text=MINE, label="refund")
    project.surveys.create(surface=surface, key=f"{MINE}-survey", kind="nps", question="Good?")
    Layer.objects.create(project=project, key=f"{MINE}-layer")
    SavedGroup.objects.create(project=project, key=f"{MINE}-group", attribute="id", values=["u1"])
    key = ApiKey.make(project, SECRET, name=MINE)[0]
    delivery = alerts.dead_delivery(project, name=MINE)
    comment = experiment.comments.create(text=MINE, key_name=MINE)
    other = builders.make_project()

    def make_key(of: Project, *scopes: str) -> str:
        return ApiKey.make(of, SECRET, name="a test", scopes=list(scopes))[1]

    alone = {scope: make_key(other, scope) for scope in SCOPES}
    # Who may change it may read it.
    enough = {scope: {scope, MANAGE} if scope == READ else {scope} for scope in SCOPES}
    without = {scope: make_key(project, *(set(SCOPES) - enough[scope])) for scope in SCOPES}
    shared_lane.refresh()
    places = {
        "/surfaces/{key}": surface.key,
        "/metrics/{key}": shop.metric.key,
        "/experiments/{key}": MINE,
        "/flags/{key}": MINE,
        "/surveys/{survey}": f"{MINE}-survey",
        "/models/{name}": shop.champion.algorithm,
        "/{number}": str(shop.champion.number),
        "/{item_id}": "i0",
        "/examples/{example_id}": f"{MINE}-example",
        "/comments/{comment_id}": str(comment.pk),
        "/queue/{version}": queued.label,
        "/proposals/{proposal_id}": str(proposal.pk),
        "/training-runs/{run_id}": str(run.pk),
        "/feedback/{feedback_id}": Feedback.objects.get(project=project).feedback_id,
        "/keys/{key_id}": str(key.pk),
        "/deliveries/{delivery_id}": str(delivery.pk),
        "/subscriptions/{subscription_id}": str(delivery.subscription_id),
        "/events/{key}": f"{MINE}-event",
        "/features/{key}": shop.public,
        "/sub/{key}": shop.public,
    }
    stranger = make_key(other, *SCOPES)
    return World(shared_lane, shop, places, stranger, alone, without, owned_tables())


@pytest.fixture
def unchanged(world):
    """Whatever a test asks for changes nothing of the owner's project."""
    before = world.rows()
    yield
    assert world.rows() == before


def one_of_each_lane(operations: list[Operation]) -> list[Operation]:
    """The fast lane's, each of which reads its requests itself, and the first of the others."""
    management = next(one for one in operations if one.tag not in FAST_LANE)
    return [one for one in operations if one.tag in FAST_LANE or one is management]


@pytest.mark.parametrize(
    ("key", "operations"),
    [(None, KEYED), ("sk_nobody", one_of_each_lane(KEYED)), ("nonsense", one_of_each_lane(KEYED))],
)
def test_without_a_valid_key_nothing_is_done(world, unchanged, key, operations):
    for one in operations:
        answer = world.ask(one.method, world.address(one.path), key, json=one.body)
        assert answer.status_code == 401, f"{one}: {answer.text}"
        assert answer.headers["content-type"].startswith("application/json"), one


def test_a_public_key_does_not_manage(world, unchanged):
    for one in MANAGEMENT:
        answer = world.ask(one.method, world.address(one.path), world.shop.public, json=one.body)
        assert answer.status_code in {401, 403}, f"{one}: {answer.text}"


# Everything else needs `manage`, or `read` to look.
SCOPES_NEEDED = {
    "post /v1/units/assignments": READ,
    "get /v1/config": ADMIN,
    "post /v1/units/erase": ADMIN,
    "post /v1/units/export": EXPORT,
    "patch /v1/project": ADMIN,
    "get /v1/keys": ADMIN,
    "post /v1/keys": ADMIN,
    "patch /v1/keys/{key_id}": ADMIN,
    "post /v1/keys/{key_id}/revoke": ADMIN,
    "get /v1/audit": EXPORT,
    "get /v1/audit/export": EXPORT,
    "get /v1/alerts/subscriptions": ADMIN,
    "post /v1/alerts/subscriptions": ADMIN,
    "patch /v1/alerts/subscriptions/{subscription_id}": ADMIN,
    "delete /v1/alerts/subscriptions/{subscription_id}": ADMIN,
    "post /v1/alerts/subscriptions/{subscription_id}/rotate": ADMIN,
    "post /v1/alerts/subscriptions/{subscription_id}/test": ADMIN,
    "post /v1/alerts/subscriptions/{subscription_id}/resend": ADMIN,
}


def test_a_key_needs_the_scope_and_no_other(world, unchanged):
    for one in MANAGEMENT:
        otherwise = READ if one.method == "get" else MANAGE
        needed = SCOPES_NEEDED.get(f"{one.method} {one.path}", otherwise)
        address = world.address(one.path)
        refused = world.ask(one.method, address, world.without[needed], json=one.body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_needed"), one
        alone = world.ask(one.method, address, world.alone[needed], json=one.body)
        assert alone.status_code not in {401, 403}, f"{one}: {alone.text}"
        if needed == READ:
            manages = world.ask(one.method, address, world.alone[MANAGE], json=one.body)
            assert manages.status_code not in {401, 403}, f"{one}: {manages.text}"


def test_what_another_project_owns_is_not_found(world, unchanged):
    for one in [one for one in MANAGEMENT if "{" in one.path]:
        answer = world.ask(one.method, world.address(one.path), world.stranger, json=one.body)
        code = answer.json()["error"]["code"]
        assert (answer.status_code, code) == (404, "not_found"), f"{one}: {answer.text}"


def test_a_whole_is_of_the_keys_project_alone(world, unchanged):
    for one in [one for one in MANAGEMENT if "{" not in one.path]:
        answer = world.ask(one.method, one.path, world.stranger, json=one.body)
        assert answer.status_code < 500, f"{one}: {answer.text}"
        assert MINE not in answer.text, one


@pytest.mark.parametrize(
    "path", ["surfaces", "metrics", "experiments", "layers", "groups", "keys", "alerts/subscriptions"]
)
def test_the_owner_does_see_it(world, path):
    """So that not to see it means something."""
    assert MINE in world.ask("get", f"/v1/{path}", world.shop.secret).text


def test_what_is_not_there_is_not_found(world, unchanged):
    for one in [one for one in MANAGEMENT if "{" in one.path]:
        address = world.address(one.path, missing=True)
        answer = world.ask(one.method, address, world.shop.secret, json=one.body)
        code = answer.json()["error"]["code"]
        assert (answer.status_code, code) == (404, "not_found"), f"{one}: {answer.text}"


def test_a_wrong_method_names_the_right_ones(world, unchanged):
    for number, path in enumerate(PATHS):
        right = {one.method for one in OPERATIONS if one.path == path}
        wrong = sorted(set(METHODS) - right)
        method = wrong[number % len(wrong)]
        answer = world.ask(method, world.address(path), world.shop.secret)
        assert answer.status_code == 405, f"{method} {path}: {answer.text}"
        allowed = {one.strip().lower() for one in answer.headers["allow"].split(",")}
        assert allowed - {"head", "options"} == right, path
        code = "MethodNotAllowed" if path.startswith("/personalizer/") else "wrong_method"
        assert answer.json()["error"]["code"] == code, path


GZIP = {"Content-Encoding": "gzip"}
BODIES = [
    (b"{", {}, 400),
    (b"[" * 300, {}, 400),
    (b'{"a": ' + b"9" * 5000 + b"}", {}, 400),
    (b"{}", GZIP, 400),
    (b"{}", {"Content-Encoding": "br"}, 415),
    (gzip.compress(b" " * (MAX_BULK_BODY + 1)), GZIP, 413),
]


TAKING_BODIES = [one for one in KEYED if one.body is not None]


@pytest.mark.parametrize(("content", "encoding", "status"), BODIES)
def test_a_bad_body_changes_nothing(world, unchanged, content, encoding, status):
    headers = {"Content-Type": "application/json", **encoding}
    for one in one_of_each_lane(TAKING_BODIES):
        address = world.address(one.path)
        answer = world.ask(one.method, address, world.shop.secret, content=content, headers=headers)
        assert answer.status_code == status, f"{one}: {answer.text}"
        assert answer.json(), one


def test_wrong_values_change_nothing(world, unchanged):
    for one in TAKING_BODIES:
        no_value = 0.5 if one.tag == "flags" else {"x": [0.5]}  # a context may be any object
        body = dict.fromkeys(one.fields, no_value)
        answer = world.ask(one.method, world.address(one.path), world.shop.secret, json=body)
        assert answer.status_code == 400, f"{one}: {answer.text}"
        assert answer.json(), one


def test_an_unknown_field_is_refused_with_the_nearest_known_one(world, unchanged):
    for one in [one for one in MANAGEMENT if one.fields]:
        *_, nearest = sorted(one.fields, key=len)
        for sent, hint, body in [
            ("no_such_field", "must be one of '", {}),
            (f"{nearest}_", f"the nearest is '{nearest}'", one.body),
        ]:
            misspelt = {**body, sent: 1}
            answer = world.ask(one.method, world.address(one.path), world.shop.secret, json=misspelt)
            assert answer.status_code == 400, f"{one}: {answer.text}"
            error = answer.json()["error"]
            assert (error["code"], error["field"]) == ("invalid_value", sent), one
            assert error["message"].startswith(f"{sent}: unknown field, {hint}"), error["message"]


def test_an_unknown_field_of_an_object_in_a_body_is_refused(world, unchanged):
    variant = {"key": "a", "wieght": 0.5, "is_control": True}
    body = {"variants": [{"key": "b", "weight": 0.5}, variant]}
    answer = world.ask("patch", f"/v1/experiments/{MINE}", world.shop.secret, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "invalid_value",
        "field": "variants.1.wieght",
        "message": "variants.1.wieght: unknown field, the nearest is 'weight'.",
    }


def test_every_management_body_says_that_it_takes_no_other_field():
    document = api.get_openapi_schema()
    schemas = document["components"]["schemas"]
    bodies = {
        (method, path): about["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for path, methods in document["paths"].items()
        for method, about in methods.items()
        # Lines of objects are judged one by one, in tests of their own.
        if "application/json" in about.get("requestBody", {}).get("content", {})
        and about["tags"][0] not in FAST_LANE
    }
    assert bodies
    taking_more = {
        where
        for where, ref in bodies.items()
        if schemas[ref.rsplit("/", 1)[-1]].get("additionalProperties") is not False
    }
    assert not taking_more
