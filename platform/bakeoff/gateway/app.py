"""The ASGI application: its parts, the table of its routes, its start and its end."""

from __future__ import annotations

import asyncio
import gc
import logging
from functools import partial
from typing import TYPE_CHECKING

from bakeoff.accounts.keys import INGEST, MANAGE, SERVE
from bakeoff.accounts.usage_kinds import ANSWERS, EVENTS, TOKENS
from bakeoff.gateway.cache import HOT_SECONDS, STORE_SECONDS, BoundedRedis, listening_client
from bakeoff.gateway.config.catalogue_watcher import CatalogueWatcher
from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
from bakeoff.gateway.database import Connector
from bakeoff.gateway.flags.ofrep import STREAM_PATH, OfrepHandler
from bakeoff.gateway.flags.payloads import answer_features, answer_rules
from bakeoff.gateway.flags.streams import FlagStreams
from bakeoff.gateway.generate.budgets import Budgets
from bakeoff.gateway.generate.cache import AnswerCache
from bakeoff.gateway.generate.chain import Chain
from bakeoff.gateway.generate.errors import error_body
from bakeoff.gateway.generate.handler import ChatHandler
from bakeoff.gateway.generate.live_list import LiveList
from bakeoff.gateway.generate.models import list_models
from bakeoff.gateway.generate.playground import Playground
from bakeoff.gateway.generate.records import GenerationRecorder
from bakeoff.gateway.generate.requests import ChatRequest
from bakeoff.gateway.generate.spans import GenerationSpans
from bakeoff.gateway.generate.text_work import TextWork
from bakeoff.gateway.generate.work import GenerationParts
from bakeoff.gateway.http.door import Door
from bakeoff.gateway.http.fields import parse
from bakeoff.gateway.http.key_use import KeyUse
from bakeoff.gateway.http.proxies import ProxyResolver
from bakeoff.gateway.http.rate_limits import Rates
from bakeoff.gateway.http.routes import KEY, Route, Router
from bakeoff.gateway.http.server_spans import ServerSpans
from bakeoff.gateway.http.text_threads import TextThreads
from bakeoff.gateway.http.to_django import DjangoLane
from bakeoff.gateway.intake.answer_lookup import AnswerLookup
from bakeoff.gateway.intake.batches import BatchHandler
from bakeoff.gateway.intake.commit_spans import CommitSpans
from bakeoff.gateway.intake.exclusions import Exclusions
from bakeoff.gateway.intake.feedback import FeedbackHandler
from bakeoff.gateway.intake.group_commit import GroupCommit
from bakeoff.gateway.intake.identity_resolver import IdentityResolver
from bakeoff.gateway.intake.recent_items import RecentItems
from bakeoff.gateway.intake.requests import EventBatch, FeedbackRequest, RewardRequest, SegmentBatch
from bakeoff.gateway.intake.reward import RewardHandler
from bakeoff.gateway.intake.slate_exposures import SlateExposures
from bakeoff.gateway.intake.surveyed_units import SurveyedUnits
from bakeoff.gateway.intake.unit_lookup import UnitLookup
from bakeoff.gateway.personalizer.errors import BAD_ACTIVATION, BAD_RANK, BAD_REWARD
from bakeoff.gateway.personalizer.errors import error_body as personalizer_error
from bakeoff.gateway.personalizer.handler import PersonalizerHandler
from bakeoff.gateway.personalizer.pending import PendingEvents
from bakeoff.gateway.personalizer.requests import PersonalizerRank, PersonalizerReward
from bakeoff.gateway.project_events import ProjectEventStreams
from bakeoff.gateway.readiness import Readiness
from bakeoff.gateway.scrape import Scrape
from bakeoff.gateway.slates.answer import AnswerHandler
from bakeoff.gateway.slates.cache_reader import GroupRead
from bakeoff.gateway.slates.classify import Classifying
from bakeoff.gateway.slates.compare import CompareHandler
from bakeoff.gateway.slates.live_orders import LiveOrders
from bakeoff.gateway.slates.preview import PreviewHandler
from bakeoff.gateway.slates.probing import probe
from bakeoff.gateway.slates.rank import Ranking
from bakeoff.gateway.slates.rank_request import RankRequest
from bakeoff.gateway.slates.recommend import Recommending
from bakeoff.gateway.slates.recorder import Recorder
from bakeoff.gateway.slates.remote_scorer import RemoteScorer
from bakeoff.gateway.slates.requests import (
    ClassifyRequest,
    LatestRequest,
    PopularRequest,
    PreviewRequest,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    TrendingRequest,
)
from bakeoff.gateway.slates.search import Search
from bakeoff.gateway.slates.shadow import Shadows
from bakeoff.gateway.slates.visitors import Visitors
from bakeoff.page_services import PLAYGROUND, PREVIEW
from bakeoff.telemetry.spans import Spans
from bakeoff.telemetry.tracing import Tracing, share_tracing
from inference.supervision import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.asgi_types import Asgi, Receive, Scope, Send
    from bakeoff.environment import Environment

logger = logging.getLogger(__name__)
STOP_SECONDS = 10.0
SEGMENT_PATHS = ("/v1/batch", "/v1/track", "/v1/identify", "/v1/page", "/v1/screen", "/v1/alias")


class Gateway:
    """One process of the fast lane."""

    def __init__(
        self,
        environment: Environment,
        rest: Asgi,
        *,
        secret: str = "",
        platform_metrics: Callable[[], bytes] | None = None,
    ) -> None:
        """Make the parts; nothing connects before the server's start-up.

        Args:
            environment: where data, database and cache are.
            rest: the application that answers every other path.
            secret: by which links are signed.
            platform_metrics: what the servers say, for /metrics; called in a thread.
        """
        self._environment, self._rest, self._secret = environment, rest, secret
        self._proxies = ProxyResolver(environment.public, environment.trusted_proxies)
        self._text_threads, self._supervisor = TextThreads(), Supervisor()
        # The short deadline is for requests, the longer one for what must not be lost; subscriptions
        # wait for as long as it takes.
        self._cache = BoundedRedis.of(environment.redis_url, HOT_SECONDS)
        self._store = BoundedRedis.of(environment.redis_url, STORE_SECONDS)
        self._listening = listening_client(environment.redis_url)
        self._connector = Connector(environment.database_url, pooled=environment.pooled)
        self._config = ServingConfigWatcher(
            environment.database_url,
            self._store,
            self._listening,
            environment.artifacts,
            self._supervisor,
        )
        self._catalogues = CatalogueWatcher(
            environment.database_url, environment.catalogues, self._listening, self._supervisor
        )
        self._open_tracing()
        self._writer = GroupCommit(self._connector, self._store, self._supervisor, self._commit_spans)
        self._open_lookups()
        self._chain = Chain()
        self._key_use = KeyUse(self._connector)
        self._scrape = Scrape(
            self._config, self._writer, token=environment.metrics_token, platform=platform_metrics
        )
        self._rates = Rates(environment.rates, self._cache)
        self.routes = self._table()
        self._door = Door(
            Router(self.routes),
            DjangoLane(
                self._proxies.with_sub_path(rest),
                {PREVIEW: self._preview.ask, PLAYGROUND: self._playground},
            ),
            self._config,
            key_use=self._key_use,
            rates=self._rates,
            text_threads=self._text_threads,
            spans=ServerSpans(self._tracing) if self._tracing is not None else None,
        )

    def _open_tracing(self) -> None:
        """Open the way of spans, where an operator wants them: else every part has None for it."""
        self._tracing = tracing = Tracing.open(self._environment.traces, service="bakeoff-web")
        self._spans = Spans(tracing, "bakeoff.gateway") if tracing is not None else None
        self._commit_spans = CommitSpans(tracing) if tracing is not None else None
        if tracing is not None:
            share_tracing(tracing)

    def _open_lookups(self) -> None:
        """Make what handlers ask: rows of the database, and workers that score."""
        self._identity = IdentityResolver(self._connector, self._store)
        self._units = UnitLookup(self._connector)
        self._sent_slates = SlateExposures(self._connector)
        self._generated = AnswerLookup(self._connector)
        self._rewards = RewardHandler(self._writer, self._connector)
        self._remote = RemoteScorer(
            self._cache, self._listening, self._config.process, self._supervisor, self._spans
        )
        self._search = Search(self._connector, self._remote)
        self._config.open_breakers = self._remote.open_breakers
        self._config.prober = partial(probe, remote=self._remote)

    def _table(self) -> tuple[Route, ...]:
        """Return the table of routes."""
        exclusions = Exclusions()
        visitors = Visitors(self._identity, self._units)
        recorder = Recorder(self._writer, exclusions)
        shadows = Shadows(self._cache)
        return (
            *self._answers(visitors, recorder, shadows),
            *self._generations(visitors, recorder, shadows),
            *self._personalizer_routes(),
            *self._intake(exclusions),
            *self._flags(),
            *self._health(),
        )

    def _answers(self, visitors: Visitors, recorder: Recorder, shadows: Shadows) -> list[Route]:
        """Return the routes that answer with a slate."""
        orders = LiveOrders(self._cache, self._catalogues)
        recommending = Recommending(
            GroupRead(self._cache, self._spans), self._remote, self._catalogues, orders, self._search
        )
        handler = partial(
            AnswerHandler,
            visitors=visitors,
            recorder=recorder,
            shadows=shadows,
            surveyed=SurveyedUnits(self._cache),
            secret=self._secret,
            spans=self._spans,
        )
        recommend = handler(recommending)
        classify = handler(Classifying(self._remote, self._text_threads))
        rank = handler(Ranking())
        self._personalizer = PersonalizerHandler(
            rank, recorder, self._rewards, PendingEvents(self._store), self._connector
        )
        compare = CompareHandler(recommending, visitors, recorder)
        self._preview = PreviewHandler(recommending, visitors, self._config, secret=self._secret)
        ranking, labelling = partial(parse, RecommendRequest), partial(parse, ClassifyRequest)
        lists: tuple[tuple[str, type[RecommendRequest]], ...] = (
            ("/v1/similar", SimilarRequest),
            ("/v1/popular", PopularRequest),
            ("/v1/trending", TrendingRequest),
            ("/v1/latest", LatestRequest),
            ("/v1/search", SearchRequest),
        )
        served = partial(Route, "POST", scope=SERVE, quota=ANSWERS)
        return [
            served("/v1/recommend", recommend.answer, body=ranking),
            *(served(path, recommend.answer, body=partial(parse, body)) for path, body in lists),
            served("/v1/classify", classify.answer, body=labelling),
            served("/v1/rank", rank.answer, body=partial(parse, RankRequest), rows="actions"),
            served("/v1/compare", compare.answer, body=ranking),
            # It tells what a unit liked: no public key may ask.
            Route(
                "POST",
                "/v1/recommend/preview",
                self._preview.answer,
                scope=MANAGE,
                body=partial(parse, PreviewRequest),
            ),
        ]

    def _personalizer_routes(self) -> list[Route]:
        """Return the routes of Azure Personalizer's clients."""
        root, handler = "/personalizer/v1.0", self._personalizer
        event = f"{root}/events/{KEY}"
        return [
            Route(
                "POST", f"{root}/rank", handler.rank, status=201, scope=SERVE, quota=ANSWERS,
                body=partial(parse, PersonalizerRank),
                error_body=partial(personalizer_error, refusal=BAD_RANK),
            ),
            Route(
                "POST", f"{event}/reward", handler.reward, scope=INGEST, quota=EVENTS,
                body=partial(parse, PersonalizerReward),
                error_body=partial(personalizer_error, refusal=BAD_REWARD),
            ),
            Route(
                "POST", f"{event}/activate", handler.activate, scope=INGEST,
                error_body=partial(personalizer_error, refusal=BAD_ACTIVATION),
            ),
        ]  # fmt: skip

    def _generation_spans(self) -> GenerationSpans | None:
        if self._tracing is None:
            return None
        return GenerationSpans(self._tracing, content=self._environment.traces.content)

    async def _stop_tracing(self) -> None:
        if self._tracing is not None:
            await self._tracing.stop()

    def _generations(self, visitors: Visitors, recorder: Recorder, shadows: Shadows) -> list[Route]:
        """Return the routes of OpenAI's clients."""
        text_work = TextWork(self._text_threads)
        records = GenerationRecorder(recorder, text_work)
        parts = GenerationParts(
            self._chain,
            records,
            text_work,
            Budgets(self._cache),
            AnswerCache(self._cache),
            shadows,
            LiveList(self._cache, self._config),
            self._generation_spans(),
        )
        self._playground = Playground(parts, self._config)
        chat = ChatHandler(parts, visitors, secret=self._secret)
        return [
            Route(
                "POST",
                "/v1/chat/completions",
                chat.answer,
                scope=SERVE,
                body=partial(parse, ChatRequest),
                quota=TOKENS,
                error_body=error_body,
            ),
            Route("GET", "/v1/models", list_models, scope=SERVE, error_body=error_body),
        ]

    def _intake(self, exclusions: Exclusions) -> list[Route]:
        """Return the routes that take events and feedback."""
        recent, surveyed = RecentItems(self._cache), SurveyedUnits(self._cache)
        batches = BatchHandler(
            self._writer,
            self._cache,
            self._identity,
            exclusions=exclusions,
            recent=recent,
            surveyed=surveyed,
            slates=self._sent_slates,
        )
        feedback = FeedbackHandler(
            self._writer, self._identity, recent, self._text_threads, self._generated, surveyed
        )
        taken = partial(Route, "POST", scope=INGEST, quota=EVENTS)
        return [
            taken("/v1/events", batches.events, status=202, body=EventBatch.of, rows="events"),
            taken(
                "/v1/feedback",
                feedback.answer,
                status=202,
                body=partial(parse, FeedbackRequest),
                get_by_django=True,  # the management API lists what is posted here
            ),
            taken("/v1/reward", self._rewards.answer, status=202, body=partial(parse, RewardRequest)),
            *(
                taken(path, batches.segment, body=partial(SegmentBatch.of, path), rows="batch")
                for path in SEGMENT_PATHS
            ),
        ]

    def _flags(self) -> list[Route]:
        """Return the routes that answer with flags."""
        sub_path = self._environment.public.path if self._environment.public is not None else ""
        ofrep = OfrepHandler(self._identity, self._units, sub_path=sub_path)
        streams = FlagStreams(self._config)
        flags = "/ofrep/v1/evaluate/flags"
        return [
            Route("POST", flags, ofrep.evaluate_all, scope=SERVE),
            Route("POST", f"{flags}/{{key}}", ofrep.evaluate, scope=SERVE),
            Route("GET", STREAM_PATH, streams.refetches, scope=SERVE),
            Route("GET", "/v1/flags", answer_rules, scope=SERVE),
            Route("GET", "/api/features/{key}", answer_features, scope=SERVE, key_in_path=True),
            Route("GET", "/sub/{key}", streams.payloads, scope=SERVE, key_in_path=True),
        ]

    def _health(self) -> list[Route]:
        """Return the routes that need no key."""
        readiness = Readiness(self._connector, self._store, self._config, self._supervisor)
        events = ProjectEventStreams(self._listening, self._secret)
        return [
            Route("GET", "/v1/live", events.stream),
            Route("GET", "/metrics", self._scrape.answer),
            Route("GET", "/healthz", readiness.health),
            Route("GET", "/readyz", readiness.readiness),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through start-up and shutdown."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._door.answer(self._proxies.resolve(scope), receive, send)
        else:  # no websockets here
            await self._rest(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> None:
        await asyncio.gather(self._config.start(), self._catalogues.start(), self._preview.start())
        await self._playground.start()
        await self._writer.start()
        self._supervisor.start("use of keys", self._key_use.run)
        self._supervisor.start("rates", self._rates.run)
        self._supervisor.start("gauges", self._scrape.run)
        # What was loaded so far lives as long as the process: collecting it again and
        # again, with Django in it, stopped every request for a tenth of a second.
        gc.collect()
        gc.freeze()

    async def _stop(self) -> None:
        """End every part; one that fails or hangs must not keep the process from ending."""
        for stop in (
            self._key_use.write,
            self._remote.stop,
            self._chain.stop,
            self._stop_tracing,
            # First what asks, then what writes, then what both use: nothing is closed under its user.
            self._writer.stop,
            self._identity.stop,
            self._units.stop,
            self._sent_slates.stop,
            self._generated.stop,
            self._rewards.stop,
            self._personalizer.stop,
            self._search.stop,
            self._config.stop,
            self._catalogues.stop,
            self._supervisor.stop,
            self._scrape.stop,
            self._cache.aclose,
            self._store.aclose,
            self._listening.aclose,
        ):
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await stop()
            except Exception:  # the next part must end, too
                logger.exception("a part did not end")
        self._text_threads.stop()
