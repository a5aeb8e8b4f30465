"""The threads of a Celery worker that answer web processes: one answers, one loads ahead.

Tasks of the worker's queue run beside them, in its main thread. A Celery round trip costs some
milliseconds; a request through a list of the cache costs a fraction of one, and many are answered at
once.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import redis
from django.conf import settings
from django.db import Error, connection
from django.db.models import Q

from inference.encoders.nearest_texts import NearestTexts
from inference.encoders.request_images import with_request_images
from inference.models import ModelVersion
from inference.redis_clients import redis_client
from inference.serving.artifact import ArtifactError
from inference.serving.model_rpc import answer_requests
from inference.serving.model_worker import ModelWorker, ServedByWebError
from inference.serving.nearest_texts import NEAREST_TEXTS
from inference.supervision import WorkStatus, keep_thread_running
from inference.trace_context import continued_traces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)
RETRY_SECONDS = 1.0
RETRY_LOAD_SECONDS = 30.0  # hashing a large artifact takes seconds of disk
CHECK_SECONDS = 1.0


@cache
def shared_model_worker() -> ModelWorker:
    """Return this process's models."""
    return ModelWorker(settings.BAKEOFF.artifacts)


@cache
def _nearest_texts() -> NearestTexts:
    """Return this process's vectors of texts."""
    return NearestTexts()


def answer_questions(digest: str, questions: Sequence[Mapping[str, Any]]) -> Sequence[Sequence[float]]:
    """Return what an artifact's model scores, or which texts are nearest."""
    if digest == NEAREST_TEXTS:
        return _nearest_texts().answer(questions)
    encoder = getattr(shared_model_worker().load(digest), "image_encoder", "")
    if encoder:
        questions = with_request_images(questions, encoder)
    return shared_model_worker().answer(digest, questions)


def start_worker_threads() -> threading.Event:
    """Start both threads; they end when the event that is returned is set, or with the process."""
    stopping = threading.Event()
    for name, work in (("answers", _answer), ("models", _load_ahead)):
        threading.Thread(
            target=keep_thread_running,
            args=(WorkStatus(name), partial(work, stopping), stopping),
            name=name,
            daemon=True,
        ).start()
    return stopping


def _answer(stopping: threading.Event, status: WorkStatus) -> None:
    """Answer requests, whatever the cache does."""
    client = redis_client(settings.BAKEOFF.redis_url)
    while not stopping.is_set():
        status.beat()
        try:
            answer_requests(client, answer_questions, partial(continued_traces, "answer model"))
        except (redis.exceptions.RedisError, OSError) as error:
            logger.warning("no requests are answered: %s", error)
            stopping.wait(RETRY_SECONDS)


def _load_ahead(stopping: threading.Event, status: WorkStatus) -> None:
    """Load what serves ahead of requests: the first would miss its deadline."""
    retry_at: dict[str, float] = {}
    while not stopping.wait(CHECK_SECONDS):
        status.beat()
        try:
            for digest in _digests_in_use():
                if retry_at.get(digest, 0.0) <= time.monotonic():
                    _load(digest, retry_at)
        except Error:
            connection.close()  # PostgreSQL was away for a moment; the next look tries again


def _load(digest: str, retry_at: dict[str, float]) -> None:
    try:
        shared_model_worker().load(digest)
    except ServedByWebError:
        retry_at[digest] = math.inf
    except (ArtifactError, OSError, ValueError) as error:
        # A folder that is shared may be away for a while: not for ever, and not at each look.
        logger.error("artifact %s cannot be loaded: %s", digest[:12], error)  # noqa: TRY400
        retry_at[digest] = time.monotonic() + RETRY_LOAD_SECONDS


def _digests_in_use() -> set[str]:
    """Return artifacts that serve, are about to, or were the last to."""
    alias = ModelVersion.Alias
    serving = Q(alias__in=(alias.CHAMPION, alias.SHADOW, alias.CHALLENGER))
    versions = ModelVersion.objects.filter(serving | Q(variant__experiment__state="running"))
    retired = (
        ModelVersion.objects.filter(alias=ModelVersion.Alias.RETIRED)
        .order_by("surface", "-id")
        .distinct("surface")
    )
    in_use = set(versions.values_list("artifact_sha256", flat=True))
    return in_use | set(retired.values_list("artifact_sha256", flat=True))
