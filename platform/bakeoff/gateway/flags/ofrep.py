"""OFREP 0.3.0: OpenFeature's providers ask for one flag, or for all of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

from bakeoff.gateway.flags.evaluations import Context, EncodedFlags, Evaluator
from bakeoff.gateway.http.access import key_text
from bakeoff.gateway.http.routes import Answer
from bakeoff.gateway.http.validators import etag_matches, validators
from experiments.assignment import UNKNOWN_UNIT
from experiments.assignment.flags import NO_FLAGS
from experiments.bounds import MAX_ID, BoundsError, NotJsonError, check, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.http.door import Call
    from bakeoff.gateway.intake.identity_resolver import IdentityResolver
    from bakeoff.gateway.intake.unit_lookup import UnitLookup
    from experiments.assignment import RunningExperiment
    from experiments.assignment.flags import RestingFlag

STREAM_PATH = "/ofrep/v1/stream"
INACTIVITY_SECONDS = 120
MAX_CONTEXT_BYTES = 64 * 1024  # of one evaluation: read, evaluated and hashed within the event loop


class FlagError(Exception):
    """A failure in OFREP's own shape."""

    def __init__(self, status: int, code: str, details: str, key: str | None = None) -> None:
        """Keep the parts."""
        super().__init__(details)
        self.status = status
        self.body = {"errorCode": code, "errorDetails": details} | ({"key": key} if key else {})

    def answer(self) -> Answer:
        """Return the answer."""
        return Answer(self.status, orjson.dumps(self.body), [])


class OfrepHandler:
    """The handlers; one in a process."""

    def __init__(self, identity: IdentityResolver, units: UnitLookup, *, sub_path: str = "") -> None:
        """Remember where units are looked up, and below which path clients see the platform."""
        self._identity, self._units, self._sub_path = identity, units, sub_path
        self._encoded = EncodedFlags()

    async def evaluate(self, call: Call) -> Answer:
        """Answer the evaluation of one flag, whose key is the path's last part."""
        key = unquote(call.request.path.rpartition("/")[2])
        raw = await call.request.body()
        flags = call.config.flags.get(call.caller.key.project_id, NO_FLAGS)
        try:
            context = await self._context(call, raw, key)
            running, resting = flags.running.get(key), flags.resting.get(key)
            flag = running or resting
            if flag is None:
                raise FlagError(404, "FLAG_NOT_FOUND", f"flag '{key[:80]}' was not found", key)
        except FlagError as error:
            return error.answer()
        evaluator = await self._evaluator(call, context, [running] if running is not None else [])
        evaluation = evaluator.evaluate(flag)
        return Answer(400 if evaluation.failed else 200, evaluation.raw, [])

    async def evaluate_all(self, call: Call) -> Answer:
        """Answer the evaluation of all flags; 304 when neither rules nor context have changed."""
        raw = await call.request.body()
        flags = call.config.flags.get(call.caller.key.project_id, NO_FLAGS)
        try:
            context = await self._context(call, raw, None)
        except FlagError as error:
            return error.answer()
        evaluator = await self._evaluator(call, context, list(flags.running.values()))
        every: list[RunningExperiment | RestingFlag] = [
            *flags.running.values(),
            *flags.resting.values(),
        ]
        body: dict[str, Any] = {
            "flags": [evaluator.evaluate(flag).fragment for flag in every],
            "metadata": {"version": flags.etag},
        }
        token = key_text(call.request)
        if token.startswith("pk_"):  # a secret key has no place in an address, which ends in logs
            body["eventStreams"] = [self._stream(token)]
        # The etag covers the context: the same rules answer another visitor otherwise.
        answer = orjson.dumps(body)
        question = orjson.dumps([context.unit, context.attributes], option=orjson.OPT_SORT_KEYS)
        etag = f'"{hashlib.sha256(answer + question).hexdigest()[:32]}"'
        if etag_matches(call.request.header(b"if-none-match"), etag):
            return Answer(304, b"", validators(etag))
        return Answer(200, answer, validators(etag))

    def _stream(self, token: str) -> dict[str, Any]:
        """Return where a client hears of changes."""
        endpoint = {"requestUri": f"{self._sub_path}{STREAM_PATH}?key={token}"}
        return {"type": "sse", "endpoint": endpoint, "inactivityDelaySec": INACTIVITY_SECONDS}

    async def _evaluator(
        self, call: Call, context: Context, running: Sequence[RunningExperiment]
    ) -> Evaluator:
        """Return what evaluates flags for a context."""
        project_id = call.caller.key.project_id
        flags = call.config.flags.get(project_id, NO_FLAGS)
        record = UNKNOWN_UNIT
        if context.unit:
            record = await self._units.find(project_id, context.unit, running)
        return Evaluator(flags, context, record, self._encoded.of(project_id, flags.etag))

    async def _context(self, call: Call, raw: bytes, flag: str | None) -> Context:
        """Read a request's context.

        Raises:
            FlagError: it is not JSON, or no context.
        """
        context = _read_context(raw, flag)
        unit = context.get("targetingKey", "")
        if not isinstance(unit, str) or len(unit) > MAX_ID:
            rule = f"targetingKey must be a text of at most {MAX_ID} characters"
            raise FlagError(400, "INVALID_CONTEXT", rule, flag)
        if unit:
            project_id = call.caller.key.project_id
            (unit,) = await self._identity.units(
                call.config, project_id, [(None, unit)], may_link=False
            )
        return Context(unit, {**context, "id": unit})


def _read_context(raw: bytes, flag: str | None) -> dict[str, Any]:
    """Return the context of a body.

    Raises:
        FlagError: it is not JSON, or has none.
    """
    try:
        data = read_json(raw)
    except NotJsonError as error:
        raise FlagError(400, "PARSE_ERROR", f"the body is not JSON: {error}", flag) from error
    try:
        check(data, "body", max_bytes=MAX_CONTEXT_BYTES)
    except BoundsError as error:
        raise FlagError(400, "INVALID_CONTEXT", error.message, flag) from error
    context = data.get("context") if isinstance(data, dict) else None
    if not isinstance(context, dict):
        raise FlagError(400, "INVALID_CONTEXT", "context is missing, must be an object", flag)
    return context
