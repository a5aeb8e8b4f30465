"""What a team would write: Django REST framework, serializers, the ORM, one row at a time.

The same work as ours: check the key, assign, read candidates and history from Redis, re-rank in
numpy, write slate and exposure, answer after the commit.
"""

from __future__ import annotations

import hashlib
import os
import time
from functools import cache

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peer_settings")

import django

django.setup()

import numpy as np
from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView
from uuid_utils.compat import uuid7

from bakeoff.accounts.keys import digest_of
from bakeoff.accounts.models import ApiKey
from experiments.actions.mark_units import history_of
from experiments.models import Event, Experiment, Exposure, Slate
from inference.cache import cache_client
from inference.models import Item, Surface
from inference.serving.keys import candidates_key, recent_key
from inference.serving.ranker import Ranker


@cache
def ranker_of(digest: str) -> Ranker:
    return Ranker(settings.BAKEOFF.artifacts, digest)


def key_of(request) -> ApiKey:
    text = request.headers["Authorization"].removeprefix("Bearer ")
    return ApiKey.objects.select_related("project").get(digest=digest_of(text), revoked_at=None)


class AskSerializer(serializers.Serializer):
    surface = serializers.CharField(max_length=64)
    unit_id = serializers.CharField(max_length=200)
    k = serializers.IntegerField(min_value=1, max_value=100, default=10)


class RecommendView(APIView):
    def post(self, request):
        started = time.perf_counter()
        key = key_of(request)
        ask = AskSerializer(data=request.data)
        ask.is_valid(raise_exception=True)
        unit, k = ask.validated_data["unit_id"], ask.validated_data["k"]
        surface = Surface.objects.get(project=key.project, key=ask.validated_data["surface"])
        experiment = Experiment.objects.running().get(surface=surface)
        variants = list(experiment.variants.select_related("model_version"))
        bucket = int(hashlib.sha256(f"{experiment.salt}:{unit}".encode()).hexdigest(), 16) % 100
        variant = variants[0 if bucket < variants[0].weight * 100 else 1]
        version = variant.model_version
        ranker = ranker_of(version.artifact_sha256)
        cache = cache_client()
        candidates = np.frombuffer(cache.get(candidates_key(version.pk, unit)), dtype=np.int32)
        recent = ranker.indices_of(
            i.decode() for i in cache.lrange(recent_key(history_of(surface), unit), 0, 49)
        )
        scores = ranker.score(candidates, recent)
        best = np.argsort(-scores)[:k]
        chosen = [(ranker.item_ids[candidates[i]], float(scores[i])) for i in best]
        titles = dict(
            Item.objects.filter(project=key.project, item_id__in=[i for i, _ in chosen]).values_list(
                "item_id", "title"
            )
        )
        with transaction.atomic():
            slate = Slate.objects.create(
                recommendation_id=uuid7(), project=key.project, surface=surface, unit_id=unit, experiment=experiment,
                variant=variant, model_version=version, reason="SPLIT", variant_weight=variant.weight,
                slots=[[i, s, n, 1.0, False] for n, (i, s) in enumerate(chosen, 1)], candidate_count=len(candidates),
                latency_ms=(time.perf_counter() - started) * 1000, served_at=timezone.now(),
            )  # fmt: skip
            Exposure.objects.get_or_create(
                experiment=experiment, unit_id=unit, variant=variant,
                defaults={"project": key.project, "epoch": 1, "exposed_at": slate.served_at},
            )  # fmt: skip
        items = [
            {"item_id": i, "position": n, "score": s, "title": titles.get(i, "")}
            for n, (i, s) in enumerate(chosen, 1)
        ]
        return Response(
            {"recommendation_id": str(slate.recommendation_id), "items": items, "variant": variant.key}
        )


class EventSerializer(serializers.Serializer):
    event_id = serializers.CharField(max_length=200)
    name = serializers.CharField(max_length=100)
    unit_id = serializers.CharField(max_length=200)
    item_id = serializers.CharField(max_length=200, required=False)
    value = serializers.FloatField(required=False)


class EventsView(APIView):
    def post(self, request):
        key = key_of(request)
        event = EventSerializer(data=request.data)
        event.is_valid(raise_exception=True)
        now = timezone.now()
        Event.objects.create(
            project=key.project, occurred_at=now, received_at=now, **event.validated_data
        )
        return Response({"accepted": 1}, status=202)


class ReadyView(APIView):
    def get(self, request):
        return Response({"ready": True})


urlpatterns = [
    path("v1/recommend", RecommendView.as_view()),
    path("v1/events", EventsView.as_view()),
    path("ready", ReadyView.as_view()),
]
application = WSGIMiddleware(get_wsgi_application(), workers=10)
