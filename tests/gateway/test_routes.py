"""The table of routes: which path is whose, and what a wrong method is told."""

from __future__ import annotations

import pytest

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.routes import Route, Router


async def handler(_request):
    return b""


POST = Route("POST", "/v1/take", handler)
GET = Route("GET", "/v1/give", handler)
KEYED = Route("GET", "/sub/{key}", handler)
SHARED = Route("POST", "/v1/shared", handler, get_by_django=True)
INSIDE = Route("POST", "/v1/events/{key}/reward", handler)
ROUTER = Router([POST, GET, KEYED, SHARED, INSIDE])


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v1/take", POST),
        ("DELETE", "/v1/take", POST),  # found, and refused by its method
        ("GET", "/sub/pk_1", KEYED),
        ("GET", "/sub/pk_1/more", None),
        ("POST", "/v1/events/e1/reward", INSIDE),
        ("POST", "/v1/events/e1/other", None),
        ("POST", "/v1/events/e1/more/reward", None),
        ("POST", "/v1/events/reward", None),
        ("GET", "/v1/other", None),
        ("POST", "/v1/shared", SHARED),
        ("GET", "/v1/shared", None),
        ("HEAD", "/v1/shared", None),
    ],
)
def test_a_path_has_one_route(method, path, route):
    assert ROUTER.find(method, path) is route


@pytest.mark.parametrize(
    ("route", "allow"),
    [(POST, "POST, OPTIONS"), (GET, "GET, HEAD, OPTIONS"), (SHARED, "GET, HEAD, POST, OPTIONS")],
)
def test_a_wrong_method_is_told_the_right_ones(route, allow):
    with pytest.raises(ApiError) as error:
        route.check_method("DELETE")
    assert (error.value.status, error.value.code) == (405, "wrong_method")
    assert (b"allow", allow.encode()) in error.value.headers()


def test_head_is_answered_where_get_is():
    GET.check_method("HEAD")
    with pytest.raises(ApiError):
        POST.check_method("HEAD")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_every_route_that_takes_a_body_names_post(lane, method):
    for route in lane.gateway.routes:
        if route.method != "POST" or (route.get_by_django and method == "GET"):
            continue
        answer = lane.client.request(method, route.path.replace("{key}", "any"))
        # As its clients know it.
        code = "MethodNotAllowed" if route.path.startswith("/personalizer/") else "wrong_method"
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, code)
        assert "POST" in answer.headers["allow"].split(", ")
