"""Experiments as feature flags: OFREP 0.3.0, GrowthBook's payload, rules for our own clients."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.accounts.keys import SECRET
from experiments.assignment import UNKNOWN_UNIT, RunningExperiment, decide
from experiments.assignment.flags import NO_FLAGS
from experiments.assignment.payload import feature_of
from experiments.assignment.rules_payload import rule_to_json
from experiments.bounds import MAX_ID, BoundsError, NotJsonError, check, read_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig
    from bakeoff.gateway.intake.identity_resolver import IdentityResolver
    from bakeoff.gateway.intake.unit_lookup import UnitLookup
    from experiments.assignment import Assignment, UnitRecord
    from experiments.assignment.flags import ProjectFlags, RestingFlag

STREAM_PATH = "/ofrep/v1/stream"
INACTIVITY_SECONDS = 120
HEARTBEAT_SECONDS = 15.0
GROWTHBOOK = "growthbook_v2"
MAX_CONTEXT_BYTES = 64 * 1024  # of one evaluation: read, evaluated and hashed within the event loop
Headers = list[tuple[bytes, bytes]]
Answered = tuple[int, bytes, Headers]


class FlagError(Exception):
    """A failure in OFREP's own shape."""

    def __init__(self, status: int, code: str, details: str, key: str | None = None) -> None:
        """Keep the parts."""
        super().__init__(details)
        self.status = status
        self.body = {"errorCode": code, "errorDetails": details} | ({"key": key} if key else {})


@dataclass(frozen=True, slots=True)
class _Context:
    """Whom flags are evaluated for: the unit, or nothing, and what else the client says."""

    unit: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """An evaluation, packed."""

    packed: orjson.Fragment
    raw: bytes
    failed: bool


def _evaluation(body: dict[str, Any], *, failed: bool = False) -> _Evaluation:
    raw = orjson.dumps(body)
    return _Evaluation(orjson.Fragment(raw), raw, failed)


class Flags:
    """The handlers; one in a process."""

    def __init__(self, identity: IdentityResolver, units: UnitLookup, *, sub_path: str = "") -> None:
        """Remember where units are looked up, and below which path clients see the platform."""
        self._identity, self._units, self._sub_path = identity, units, sub_path
        self._encoded: dict[int, tuple[str, dict[tuple[str, Assignment], _Evaluation]]] = {}

    async def evaluate(self, config: ServingConfig, key: KeyConfig, flag: str, raw: bytes) -> Answered:
        """Answer OFREP's single evaluation."""
        try:
            flags = config.flags.get(key.project_id, NO_FLAGS)
            context = await self._context(config, key, raw, flag)
            running = flags.running.get(flag)
            if running is None and flag not in flags.resting:
                raise FlagError(404, "FLAG_NOT_FOUND", f"flag '{flag[:80]}' was not found", flag)
            record = await self._record(key, context, [running] if running is not None else [])
            evaluation = self._evaluate(
                key.project_id,
                running or flags.resting[flag],
                flags=flags,
                context=context,
                record=record,
            )
        except FlagError as error:
            return error.status, orjson.dumps(error.body), []
        return (400 if evaluation.failed else 200), evaluation.raw, []

    async def evaluate_all(
        self, config: ServingConfig, key: KeyConfig, raw: bytes, *, known_etag: str, public: str
    ) -> Answered:
        """Answer OFREP's bulk evaluation; 304 when neither rules nor context have changed.

        Args:
            config: the configuration.
            key: whose flags.
            raw: the body.
            known_etag: what the client has.
            public: the public key that the client sent, for the address of its stream.
        """
        try:
            flags = config.flags.get(key.project_id, NO_FLAGS)
            context = await self._context(config, key, raw, None)
        except FlagError as error:
            return error.status, orjson.dumps(error.body), []
        record = await self._record(key, context, list(flags.running.values()))
        every: list[RunningExperiment | RestingFlag] = [
            *flags.running.values(),
            *flags.resting.values(),
        ]
        body: dict[str, Any] = {
            "flags": [
                self._evaluate(key.project_id, flag, flags=flags, context=context, record=record).packed
                for flag in every
            ],
            "metadata": {"version": flags.etag},
        }
        if public:
            endpoint = {"requestUri": f"{self._sub_path}{STREAM_PATH}?key={public}"}
            body["eventStreams"] = [
                {"type": "sse", "endpoint": endpoint, "inactivityDelaySec": INACTIVITY_SECONDS}
            ]
        packed = orjson.dumps(body)
        said = orjson.dumps([context.unit, context.attributes], option=orjson.OPT_SORT_KEYS)
        etag = f'"{hashlib.sha256(packed + said).hexdigest()[:32]}"'
        headers = [(b"etag", etag.encode()), (b"cache-control", b"no-cache")]
        if matches(known_etag, etag):
            return 304, b"", headers
        return 200, packed, headers

    async def _context(
        self, config: ServingConfig, key: KeyConfig, raw: bytes, flag: str | None
    ) -> _Context:
        """Read a request's context.

        Raises:
            FlagError: it is not JSON, or no context.
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
        unit = context.get("targetingKey", "")
        if not isinstance(unit, str) or len(unit) > MAX_ID:
            rule = f"targetingKey must be a text of at most {MAX_ID} characters"
            raise FlagError(400, "INVALID_CONTEXT", rule, flag)
        if unit:
            (unit,) = await self._identity.units(config, key.project_id, [(None, unit)], may_link=False)
        return _Context(unit, {**context, "id": unit})

    async def _record(
        self, key: KeyConfig, context: _Context, asked: list[RunningExperiment]
    ) -> UnitRecord:
        if not context.unit:
            return UNKNOWN_UNIT
        return await self._units.find(key.project_id, context.unit, asked)

    def _evaluate(
        self,
        project_id: int,
        flag: RunningExperiment | RestingFlag,
        *,
        flags: ProjectFlags,
        context: _Context,
        record: UnitRecord,
    ) -> _Evaluation:
        """Return one flag's evaluation, or its failure."""
        if not isinstance(flag, RunningExperiment):
            return _evaluation(_resting(flag))
        if not context.unit and flag.rule.enabled:
            details = f"flag '{flag.key}' needs context.targetingKey to find a variant"
            body = {"key": flag.key, "errorCode": "TARGETING_KEY_MISSING", "errorDetails": details}
            return _evaluation(body, failed=True)
        decision = decide(flag, context.unit, context.attributes, others=flags.rules, record=record)
        encoded = self._encoded_of(project_id, flags.etag)
        evaluation = encoded.get((flag.key, decision))
        if evaluation is None:
            evaluation = encoded[flag.key, decision] = _evaluation(_running(flag, decision))
        return evaluation

    def _encoded_of(self, project_id: int, etag: str) -> dict[tuple[str, Assignment], _Evaluation]:
        """Return the evaluations that were encoded since the project's flags last changed.

        A flag has a few answers, one per variant and reason: each is encoded once.
        """
        last_etag, encoded = self._encoded.get(project_id, ("", {}))
        if last_etag != etag:
            encoded = {}
            self._encoded[project_id] = (etag, encoded)
        return encoded

    def payload(self, config: ServingConfig, key: KeyConfig) -> bytes:
        """Return GrowthBook's payload: experiments that are hashed its way, and what was shipped."""
        flags = config.flags.get(key.project_id, NO_FLAGS)
        features = {
            name: feature_of(
                experiment.rule,
                flags.rules,
                phase=experiment.epoch,
                sticky=(experiment.memory.since, experiment.memory.blocked_before)
                if experiment.memory.sticky
                else None,
            )
            for name, experiment in flags.running.items()
            if experiment.rule.hashing == GROWTHBOOK and name not in flags.personal
        }
        # To a client these say nothing: they are evaluated here, by OFREP.
        features |= {name: {"defaultValue": None} for name in flags.personal}
        features |= {
            name: {"defaultValue": None, "rules": [{"force": flag.value}]}
            for name, flag in flags.resting.items()
            if flag.variant
        }
        return orjson.dumps({"status": 200, "features": features, "savedGroups": {}})

    def rules(self, config: ServingConfig, key: KeyConfig, known_etag: str) -> Answered:
        """Return all rules, for our own clients; 304 when they have not changed.

        A public key learns of a rule that names people only that it must ask.
        """
        flags = config.flags.get(key.project_id, NO_FLAGS)
        hidden = frozenset() if key.kind == SECRET else flags.personal
        etag = f'"{flags.etag}{"" if hidden else "-all"}"'
        headers = [(b"etag", etag.encode()), (b"cache-control", b"no-cache")]
        if matches(known_etag, etag):
            return 304, b"", headers
        body = {
            "running": [
                # What the platform keeps of a unit, a client cannot know: it must ask.
                {"key": e.key, "remote": True}
                if e.key in hidden
                else rule_to_json(e.rule) | {"remote": e.needs_lookup}
                for e in flags.running.values()
            ],
            "shipped": {
                name: {"variant": flag.variant, "value": flag.value}
                for name, flag in flags.resting.items()
                if flag.variant
            },
        }
        return 200, orjson.dumps(body), headers

    async def refetches(self, config: ServingConfigWatcher, key: KeyConfig) -> AsyncIterator[bytes]:
        """Yield OFREP's refetch events, one whenever the flags of the key's project change."""
        async for etag in changes(config, key):
            if etag is None:
                yield b": still here\n\n"
                continue
            said = {"type": "refetchEvaluation", "etag": etag, "lastModified": int(time.time())}
            yield b"id: %s\ndata: %s\n\n" % (etag.encode(), orjson.dumps(said))

    async def payloads(self, config: ServingConfigWatcher, key: KeyConfig) -> AsyncIterator[bytes]:
        """Yield GrowthBook's payload now and whenever it changes."""
        sent = self.payload(config.current, key)
        yield b"event: features\ndata: %s\n\n" % sent
        async for etag in changes(config, key):
            now = self.payload(config.current, key)
            if etag is None or now == sent:
                yield b": still here\n\n"
                continue
            sent = now
            yield b"event: features\ndata: %s\n\n" % sent


def matches(header: str, etag: str) -> bool:
    """Whether `If-None-Match` names an etag: strong or weak (a proxy that packs weakens it), or `*`."""
    named = {one.strip().removeprefix("W/") for one in header.split(",")}
    return etag in named or "*" in named


async def changes(config: ServingConfigWatcher, key: KeyConfig) -> AsyncIterator[str | None]:
    """Yield the etag of a project's flags whenever it changes, and None to keep a connection alive.

    Ends when the key is usable no more.
    """
    before = config.current.flags.get(key.project_id, NO_FLAGS).etag
    while key.digest in config.current.keys:
        reloaded = config.reloaded
        try:
            await asyncio.wait_for(reloaded.wait(), HEARTBEAT_SECONDS)
        except TimeoutError:
            yield None
            continue
        etag = config.current.flags.get(key.project_id, NO_FLAGS).etag
        if etag != before:
            before = etag
            yield etag


def _running(flag: RunningExperiment, found: Assignment) -> dict[str, Any]:
    """Return what the flag of a running experiment says."""
    metadata = {"experiment": flag.key, "epoch": flag.epoch, "hashing": flag.rule.hashing}
    if found.variant is None:
        # No value: the code's default. OFREP's list of reasons has none for "not in it".
        reason = "DISABLED" if found.reason == "DISABLED" else "UNKNOWN"
        return {"key": flag.key, "reason": reason, "variant": "", "metadata": metadata}
    return {
        "key": flag.key,
        "value": flag.rule.value_of(found.variant),
        "reason": found.reason,
        "variant": found.variant,
        "metadata": metadata | {"counts": not found.forced},
    }


def _resting(flag: RestingFlag) -> dict[str, Any]:
    """Return a flag that is at rest: the shipped variant for everybody, or the code's default."""
    if not flag.variant:
        return {"key": flag.key, "reason": "DISABLED", "variant": ""}
    return {"key": flag.key, "value": flag.value, "reason": "STATIC", "variant": flag.variant}
