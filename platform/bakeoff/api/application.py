"""The django-ninja application: one error shape, keys by scope."""

from __future__ import annotations

import errno
import logging
from http import HTTPStatus

import pydantic
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse
from ninja.errors import AuthenticationError, HttpError, ValidationError
from psycopg.errors import QueryCanceled
from redis.exceptions import RedisError

from bakeoff import __version__
from bakeoff.api import archiving as _archiving  # noqa: F401  its operations join two routers
from bakeoff.api.access import SecretKey
from bakeoff.api.alerts import router as alerts
from bakeoff.api.audit import router as audit
from bakeoff.api.autopilot import router as autopilot
from bakeoff.api.comments import router as comments
from bakeoff.api.config import router as config
from bakeoff.api.errors import Problem, say_invalid
from bakeoff.api.experiment_acts import router as experiment_acts
from bakeoff.api.experiments import router as experiments
from bakeoff.api.fast_lane import BothLanes
from bakeoff.api.feedback import router as feedback
from bakeoff.api.impact import router as impact
from bakeoff.api.items import router as items
from bakeoff.api.judging import router as judging
from bakeoff.api.keys import router as keys
from bakeoff.api.labelled import router as labelled
from bakeoff.api.metrics import router as metrics
from bakeoff.api.model_imports import router as model_imports
from bakeoff.api.models import router as models
from bakeoff.api.parser import StrictParser
from bakeoff.api.planner import router as planner
from bakeoff.api.policies import router as policies
from bakeoff.api.prompts import router as prompts
from bakeoff.api.rule_versions import router as rule_versions
from bakeoff.api.sharing import router as sharing
from bakeoff.api.surfaces import router as surfaces
from bakeoff.api.surveys import router as surveys
from bakeoff.api.units import router as units
from bakeoff.api.usage import router as usage
from experiments.metrics.spec import MetricError
from experiments.stats.policy import PolicyError

logger = logging.getLogger(__name__)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

api = BothLanes(
    title="Bakeoff",
    version=__version__,
    description="The fast lane (recommend, events, feedback, Segment) and the management API.",
    urls_namespace="api",  # pages link to it: its name does not follow the version
    docs_url="docs",
    openapi_url="v1/openapi.json",
    auth=SecretKey(),
    parser=StrictParser(),
)
api.add_router("/v1", surfaces)
api.add_router("/v1", rule_versions)
api.add_router("/v1", planner)
api.add_router("/v1", comments)
api.add_router("/v1", autopilot)
api.add_router("/v1", policies)
api.add_router("/v1", judging)
api.add_router("/v1", items)
api.add_router("/v1", labelled)
api.add_router("/v1", metrics)
api.add_router("/v1", experiments)
api.add_router("/v1", experiment_acts)
api.add_router("/v1", impact)
api.add_router("/v1", models)
api.add_router("/v1", model_imports)
api.add_router("/v1", prompts)
api.add_router("/v1", feedback)
api.add_router("/v1", surveys)
api.add_router("/v1", units)
api.add_router("/v1", keys)
api.add_router("/v1", audit)
api.add_router("/v1", usage)
api.add_router("/v1", sharing)
api.add_router("/v1", alerts)
api.add_router("/v1", config)


def _answer(
    request: HttpRequest, status: int, code: str, message: str, field: str | None = None
) -> HttpResponse:
    error = {"code": code, "message": message, "field": field}
    answer = api.create_response(request, {"error": error}, status=status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer["Retry-After"] = "2"
    return answer


@api.exception_handler(Problem)
def _on_problem(request: HttpRequest, error: Problem) -> HttpResponse:
    return _answer(request, error.status, error.code, str(error), error.field)


@api.exception_handler(AuthenticationError)
def _on_no_key(request: HttpRequest, error: AuthenticationError) -> HttpResponse:  # noqa: ARG001
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    key = request.headers.get("X-API-Key") or (token.strip() if scheme.lower() == "bearer" else "")
    if not key:
        why = "A secret key is missing."
    elif key.startswith("pk_"):  # what a key is for stands in its own letters
        why = "A public key may not do this: a secret key is needed."
    else:  # the same words whether it never was or was revoked
        why = "The secret key is not known."
    return _answer(request, 401, "no_valid_key", f"{why} Send Authorization: Bearer sk_….")


@api.exception_handler(ValidationError)
def _on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    field, message = say_invalid(error.errors[0])
    return _answer(request, 400, "invalid_value", message, field or None)


@api.exception_handler(Http404)
def _on_missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return _answer(request, 404, "not_found", str(error) or "Not found in this project.")


@api.exception_handler(ObjectDoesNotExist)
def _on_gone(request: HttpRequest, error: ObjectDoesNotExist) -> HttpResponse:  # noqa: ARG001
    """Found, and deleted by somebody else before it was locked: to ask again would not help."""
    return _answer(request, 404, "not_found", "It was deleted meanwhile.")


@api.exception_handler(HttpError)
def _on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, Problem):  # ninja wraps what the parser says
        return _on_problem(request, error.__cause__)
    return _answer(request, error.status_code, "bad_request", f"{error.message}.")


# Every error of the database but the two below says that it cannot do its work now: away, read only
# while another takes over, or without a table while a release rolls out.
@api.exception_handler(DatabaseError)
@api.exception_handler(InterfaceError)
@api.exception_handler(RedisError)
def _on_outage(request: HttpRequest, error: Exception) -> HttpResponse:
    """A server that is away for a moment: the same request may be sent again."""
    logger.warning("a management request failed: %s", error)
    if isinstance(error.__cause__, QueryCanceled):
        return _answer(
            request,
            503,
            "too_slow",
            "The answer takes too long to compute; ask for less.",
        )
    return _answer(
        request, 503, "unavailable", "A server of the platform does not answer; try again in a moment."
    )


@api.exception_handler(Exception)
def _on_failure(request: HttpRequest, error: Exception) -> HttpResponse:
    """A defect of ours, as the fast lane answers it: the traceback goes to the log alone."""
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return _answer(request, 503, "failed", "The request could not be answered.")


@api.exception_handler(pydantic.ValidationError)
@api.exception_handler(PolicyError)
@api.exception_handler(MetricError)
def _on_unreadable_row(request: HttpRequest, error: Exception) -> HttpResponse:
    """A row that was written by other means than ours, and makes no sense: the answer says what."""
    logger.error("%s %s cannot be answered", request.method, request.path, exc_info=error)
    what = error.errors()[0] if isinstance(error, pydantic.ValidationError) else None
    why = f"{'.'.join(map(str, what['loc']))}: {what['msg']}" if what else str(error)
    return _answer(request, 503, "unreadable_row", f"What is stored makes no sense: {why[:300]}")


@api.exception_handler(OSError)
def _on_disk(request: HttpRequest, error: OSError) -> HttpResponse:
    """A folder of the platform that cannot be written: a person has to make room."""
    if error.errno not in _NO_ROOM:
        return _on_failure(request, error)
    logger.error("a folder cannot be written: %s", error)
    return _answer(request, 507, "no_space", f"{error.strerror}: {error.filename or 'a folder'}.")


@api.exception_handler(DataError)
def _on_refused_value(request: HttpRequest, error: DataError) -> HttpResponse:
    """A value of the address that the database cannot hold, such as U+0000."""
    return _answer(request, 400, "refused", f"The database refuses a value: {error}.")


@api.exception_handler(IntegrityError)
def _on_conflict(request: HttpRequest, error: IntegrityError) -> HttpResponse:
    logger.info("refused by a constraint: %s", error)
    return _answer(request, 409, "conflict", "It exists already, or a rule of the tables forbids it.")
