"""The ASGI application: hot routes here, every other path to Django."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from bakeoff.accounts.keys import INGEST, SECRET, SERVE, digest_of
from bakeoff.gateway.cache import HOT_SECONDS, STORE_SECONDS, BoundedRedis, listening_client
from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
from bakeoff.gateway.database import Connector
from bakeoff.gateway.flags import STREAM_PATH, Answered, Flags, Headers
from bakeoff.gateway.http.access import authenticate, authenticate_as, key_text
from bakeoff.gateway.http.bodies import BodyReader
from bakeoff.gateway.http.caller import Caller
from bakeoff.gateway.http.errors import ApiError, of_bounds
from bakeoff.gateway.http.key_use import KeyUse
from bakeoff.gateway.http.proxies import Front
from bakeoff.gateway.http.rate_limits import Rates
from bakeoff.gateway.http.request import (
    Receive,
    Request,
    Scope,
    Send,
    no_events,
    send_error,
    send_events,
    send_json,
)
from bakeoff.gateway.http.text_threads import Aside
from bakeoff.gateway.http.to_django import Rest
from bakeoff.gateway.intake.group_commit import GroupCommit
from bakeoff.gateway.intake.identity_resolver import IdentityResolver
from bakeoff.gateway.intake.intake import Intake
from bakeoff.gateway.intake.unit_lookup import UnitLookup
from bakeoff.gateway.project_events import project_of_ticket, stream_project_events
from bakeoff.gateway.readiness import Readiness
from bakeoff.gateway.slates.cache_reader import GroupRead
from bakeoff.gateway.slates.classify import ClassifyHandler
from bakeoff.gateway.slates.probing import probe
from bakeoff.gateway.slates.recommend import RecommendHandler
from bakeoff.gateway.slates.recorder import Recorder
from bakeoff.gateway.slates.remote_scorer import RemoteScorer
from bakeoff.gateway.slates.shadow import Shadows
from bakeoff.paths import is_api
from experiments.bounds import BoundsError
from inference.supervision import Supervisor

if TYPE_CHECKING:
    from bakeoff.environment import Environment
    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig

logger = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Any]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
STOP_SECONDS = 10.0
CORS_MAX_AGE = b"600"
READ_BY_THE_REST = frozenset({"/v1/feedback"})  # the management API lists what is posted here
SEGMENT_ROUTES = ("/v1/batch", "/v1/track", "/v1/identify", "/v1/page", "/v1/screen", "/v1/alias")


class Gateway:
    """One process of the fast lane."""

    def __init__(self, environment: Environment, rest: Asgi, *, secret: str = "") -> None:
        """Make the parts; nothing connects before the server's start-up.

        Args:
            environment: where data, database and cache are.
            rest: the application that answers every other path.
            secret: by which links are signed.
        """
        self._rest, self._secret = rest, secret
        self._front = Front(environment.public, environment.trusted_proxies)
        self._django = Rest(self._front.whole(rest))
        self._bodies, self._aside = BodyReader(), Aside()
        self._supervisor = Supervisor()
        # The short deadline is for requests, the longer one for what must not be lost; subscriptions
        # wait for as long as it takes.
        self._cache = BoundedRedis.of(environment.redis_url, HOT_SECONDS)
        self._store = BoundedRedis.of(environment.redis_url, STORE_SECONDS)
        self._listening = listening_client(environment.redis_url)
        connector = Connector(environment.database_url, pooled=environment.pooled)
        self._config = ServingConfigWatcher(
            environment.database_url,
            self._store,
            self._listening,
            environment.artifacts,
            self._supervisor,
        )
        self._readiness = Readiness(connector, self._store, self._config, self._supervisor)
        self._writer = GroupCommit(connector, self._store, self._supervisor)
        self._identity = IdentityResolver(connector, self._store)
        self._intake = Intake(self._writer, self._cache, self._identity, self._aside)
        self._remote = RemoteScorer(
            self._cache, self._listening, self._config.process, self._supervisor
        )
        self._config.open_breakers = self._remote.open_breakers
        self._config.prober = partial(probe, remote=self._remote)
        self._units = UnitLookup(connector)
        self._key_use = KeyUse(connector)
        self._rates = Rates(environment.rates, self._cache)
        sub_path = environment.public.path if environment.public is not None else ""
        self._flags = Flags(self._identity, self._units, sub_path=sub_path)
        recorder = Recorder(self._writer, self._identity, self._intake, self._units, secret)
        shadows = Shadows(self._cache)
        self._recommend = RecommendHandler(recorder, GroupRead(self._cache), self._remote, shadows)
        self._classify = ClassifyHandler(recorder, self._remote, shadows, self._aside)
        self._routes = self._table()
        self._with_key = {
            path[: -len("{key}")]: path for path in self._routes if path.endswith("{key}")
        }

    def _table(self) -> dict[str, tuple[str, Handler]]:
        """Return method and handler of each path; `{key}` is the rest of one."""
        return {
            "/v1/recommend": ("POST", self._answer_recommend),
            "/v1/classify": ("POST", self._answer_classify),
            "/v1/compare": ("POST", self._answer_compare),
            "/v1/events": ("POST", self._answer_events),
            "/v1/feedback": ("POST", self._answer_feedback),
            **dict.fromkeys(SEGMENT_ROUTES, ("POST", self._answer_segment)),
            "/ofrep/v1/evaluate/flags": ("POST", self._answer_flags),
            "/ofrep/v1/evaluate/flags/{key}": ("POST", self._answer_flag),
            STREAM_PATH: ("GET", self._stream_refetches),
            "/api/features/{key}": ("GET", self._answer_payload),
            "/sub/{key}": ("GET", self._stream_payloads),
            "/v1/flags": ("GET", self._answer_rules),
            "/v1/live": ("GET", self._stream_project_events),
            "/healthz": ("GET", self._answer_health),
            "/readyz": ("GET", self._answer_readiness),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through start-up and shutdown."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":  # no websockets here
            await self._rest(scope, receive, send)
            return
        scope = _without_trailing_slash(self._front.seen(scope))
        request = Request(scope, receive, self._bodies, self._aside)
        headers = _cors(request)
        try:
            await self._answer(request, send, headers)
        except (ApiError, BoundsError) as error:
            refusal = error if isinstance(error, ApiError) else of_bounds(error)
            await send_error(send, refusal, headers)
        except Exception:  # the last line: no traceback may leave, and the visitor may try again
            logger.exception("%s failed", scope["path"])
            failed = ApiError(503, "failed", "The request could not be answered.", retry_after=1)
            with suppress(RuntimeError):  # the answer had begun: the server cuts it off
                await send_error(send, failed, headers)

    async def _answer(self, request: Request, send: Send, headers: Headers) -> None:
        """Answer by the route of the path, or let Django answer.

        Raises:
            ApiError: what the client did wrong, or what is away.
            BoundsError: a value that no lane takes.
        """
        request.check_headers()
        route = self._find(request.path)
        reads = request.method in {"GET", "HEAD"}
        if route is None or (reads and request.path in READ_BY_THE_REST):
            await self._answer_by_the_rest(request, send)
            return
        method, handler = route
        if request.method == "OPTIONS":
            await _answer_preflight(send, method, headers)
            return
        if request.method != method and not (reads and method == "GET"):
            allow = _allowed(request.path, method)
            message = f"method == {request.method}, must be {method}."
            raise ApiError(405, "wrong_method", message, allow=allow)
        answer = await handler(request)
        if isinstance(answer, AsyncIterator):
            if request.method == "HEAD":
                answer = no_events()
            await send_events(request.receive, send, answer, headers)
        else:
            status, body, *more = answer
            await send_json(send, status, body, headers + (more[0] if more else []))

    async def _answer_by_the_rest(self, request: Request, send: Send) -> None:
        given = key_text(request)
        key = self._config.current.keys.get(digest_of(given)) if given else None
        trusted = key is not None and key.kind == SECRET
        await self._django.answer(request.scope, request.receive, send, self._bodies, trusted=trusted)

    def _find(self, path: str) -> tuple[str, Handler] | None:
        """Return the route of a path, whose last part may be a key."""
        found = self._routes.get(path)
        if found is None and (template := self._with_key.get(f"{path.rpartition('/')[0]}/")):
            found = self._routes[template]
        return found

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._config.start()
                await self._writer.start()
                self._supervisor.start("use of keys", self._key_use.run)
                self._supervisor.start("rates", self._rates.run)
                # What was loaded so far lives as long as the process: collecting it again and
                # again, with Django in it, stopped every request for a tenth of a second.
                gc.collect()
                gc.freeze()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._shut_down()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _shut_down(self) -> None:
        """End every part; one that fails or hangs must not keep the process from ending."""
        for stop in (
            self._key_use.write,
            self._remote.stop,
            self._writer.stop,
            self._identity.stop,
            self._units.stop,
            self._config.stop,
            self._supervisor.stop,
            self._cache.aclose,
            self._store.aclose,
            self._listening.aclose,
        ):
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await stop()
            except Exception:  # the next part must end, too
                logger.exception("a part did not end")
        self._aside.stop()

    def _caller(self, request: Request, scope: str) -> tuple[ServingConfig, Caller]:
        config = self._config.current
        key = authenticate(request, config, scope)
        self._key_use.note(key.digest)
        caller = Caller.of(request, key, self._rates)
        caller.spend(1)
        return config, caller

    async def _answer_recommend(self, request: Request) -> tuple[int, bytes]:
        config, caller = self._caller(request, SERVE)
        return 200, await self._recommend.answer(config, caller, await request.json())

    async def _answer_classify(self, request: Request) -> tuple[int, bytes]:
        config, caller = self._caller(request, SERVE)
        return 200, await self._classify.answer(config, caller, await request.json())

    async def _answer_compare(self, request: Request) -> tuple[int, bytes]:
        config, caller = self._caller(request, SERVE)
        return 200, await self._recommend.compare(config, caller, await request.json())

    async def _answer_events(self, request: Request) -> tuple[int, bytes]:
        config, caller = self._caller(request, INGEST)
        return 202, await self._intake.events(config, caller, await request.json(rows="events"))

    async def _answer_segment(self, request: Request) -> tuple[int, bytes]:
        config, caller = self._caller(request, INGEST)
        path = request.path
        return 200, await self._intake.segment(config, caller, path, await request.json(rows="batch"))

    async def _answer_feedback(self, request: Request) -> tuple[int, bytes]:
        config, caller = self._caller(request, INGEST)
        return 202, await self._intake.feedback(config, caller, await request.json())

    async def _answer_flag(self, request: Request) -> Answered:
        config, caller = self._caller(request, SERVE)
        flag = unquote(request.path.rpartition("/")[2])
        return await self._flags.evaluate(config, caller.key, flag, await request.body())

    async def _answer_flags(self, request: Request) -> Answered:
        config, caller = self._caller(request, SERVE)
        given = key_text(request)
        return await self._flags.evaluate_all(
            config,
            caller.key,
            await request.body(),
            known_etag=request.header(b"if-none-match"),
            public=given if given.startswith("pk_") else "",
        )

    async def _answer_rules(self, request: Request) -> Answered:
        config, caller = self._caller(request, SERVE)
        return self._flags.rules(config, caller.key, request.header(b"if-none-match"))

    def _named(self, request: Request) -> KeyConfig:
        """Return the public key that the path names, as GrowthBook's SDKs do.

        Raises:
            ApiError: 401, also for a secret key, which has no place in an address.
        """
        given = request.path.rpartition("/")[2]
        public = given if given.startswith("pk_") else ""
        key = authenticate_as(public, request, self._config.current, SERVE)
        self._key_use.note(key.digest)
        return key

    async def _answer_payload(self, request: Request) -> Answered:
        payload = self._flags.payload(self._config.current, self._named(request))
        return 200, payload, [(b"x-sse-support", b"enabled"), (b"cache-control", b"no-cache")]

    async def _stream_payloads(self, request: Request) -> AsyncIterator[bytes]:
        return self._flags.payloads(self._config, self._named(request))

    async def _stream_refetches(self, request: Request) -> AsyncIterator[bytes]:
        _, caller = self._caller(request, SERVE)
        return self._flags.refetches(self._config, caller.key)

    async def _stream_project_events(self, request: Request) -> AsyncIterator[bytes]:
        return stream_project_events(
            self._listening, project_of_ticket(self._secret, request.query("ticket"))
        )

    async def _answer_health(self, request: Request) -> tuple[int, bytes]:  # noqa: ARG002
        return self._readiness.health()

    async def _answer_readiness(self, request: Request) -> tuple[int, bytes]:
        query = request.scope.get("query_string", b"").decode("latin-1")
        strict = "strict" in parse_qs(query, keep_blank_values=True)
        return await self._readiness.readiness(strict=strict)


def _without_trailing_slash(scope: Scope) -> Scope:
    """Take `/v1/events/` for `/v1/events`: no path of programs ends with a slash."""
    path = str(scope["path"])
    if path.endswith("/") and is_api(path):
        return {**scope, "path": path.rstrip("/")}
    return scope


def _allowed(path: str, method: str) -> str:
    reads = method == "GET" or path in READ_BY_THE_REST
    writes = [method] if method != "GET" else []
    return ", ".join([*(["GET", "HEAD"] if reads else []), *writes, "OPTIONS"])


def _cors(request: Request) -> list[tuple[bytes, bytes]]:
    """Let browsers read the answer; which origins may ask is the key's to say."""
    origin = request.header(b"origin")
    if not origin:
        return []
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"etag, retry-after, x-sse-support"),
        (b"vary", b"Origin"),
    ]


async def _answer_preflight(send: Send, method: str, headers: list[tuple[bytes, bytes]]) -> None:
    allowed = [
        *headers,
        (b"access-control-allow-methods", method.encode()),
        (
            b"access-control-allow-headers",
            b"authorization, content-type, content-encoding, if-none-match, x-api-key",
        ),
        (b"access-control-max-age", CORS_MAX_AGE),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": allowed})
    await send({"type": "http.response.body", "body": b""})
