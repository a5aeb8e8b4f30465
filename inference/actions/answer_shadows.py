"""Let versions in shadow answer copies of requests, and compare: no visitor sees the answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from django.db import transaction

from inference.actions.compare_texts import ChatCopy, compare_texts
from inference.day_spending import DayPurse
from inference.judging.purse import BudgetSpentError
from inference.models import ModelVersion, ShadowAnswer, Surface
from inference.serving.context_ranker import in_context
from inference.serving.generate_settings import NONE, GenerateSettings
from inference.serving.keys import MAX_SHADOWED, shadow_key
from inference.serving.models import open_model
from inference.serving.rule_draw import SlotRules, draw_by_slot, rerank
from inference.worker_threads import answer_questions, shared_model_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    import redis

    from inference.serving.models import Model
    from inference.serving.ranker import Ranker

MAX_AT_ONCE = 100  # what a worker that dies loses, and what one insert writes


def answer_shadows(
    *,
    surface: Surface,
    client: redis.Redis,
    artifacts: Path,
    clean: Callable[[str], str] | None = None,
    recorded: Callable[[Collection[str]], Collection[str]] | None = None,
) -> int:
    """Answer what waits for a surface, at most `MAX_AT_ONCE` requests; return how many there were.

    Args:
        surface: whose versions in shadow answer.
        client: of the cache, where requests wait.
        artifacts: folder of artifacts.
        clean: removes personal data of a generated text before it is stored; None: none is stored.
        recorded: locks the answers to visitors with these ids until the transaction ends, and returns
            the ids that are still there.
    """
    waiting = client.lpop(shadow_key(surface.pk), MAX_AT_ONCE)
    requests = [orjson.loads(one) for one in waiting] if isinstance(waiting, list) else []
    if not requests:
        return 0
    try:
        answers = _answers(
            surface, requests, ShadowWork(artifacts, DayPurse.of_shadows(surface), clean)
        )
        with transaction.atomic():
            if recorded is not None:
                _leave_out_erased(answers, recorded)
            # A request may come again (below): the constraint a_shadow_answers_once keeps its first.
            ShadowAnswer.objects.bulk_create(answers, ignore_conflicts=True)
    except Exception:
        # Put back what was taken, and no more than the list may hold.
        client.rpush(shadow_key(surface.pk), *(orjson.dumps(one) for one in requests))
        client.ltrim(shadow_key(surface.pk), -MAX_SHADOWED, -1)
        raise
    return len(requests)


@dataclass(frozen=True, slots=True)
class ShadowWork:
    """What answering needs.

    Attributes:
        artifacts: folder of artifacts.
        purse: what versions that generate may cost.
        clean: as `answer_shadows` has it.
    """

    artifacts: Path
    purse: DayPurse
    clean: Callable[[str], str] | None


def _leave_out_erased(
    answers: Sequence[ShadowAnswer], recorded: Callable[[Collection[str]], Collection[str]]
) -> None:
    """Drop the texts for users who were erased while their shadows answered.

    An erasure deletes answers to visitors before those of shadows: it either waits for this lock and
    then finds these rows, or has ended and left nothing to lock.
    """
    texts = [one for one in answers if one.text]
    still = recorded([str(one.recommendation_id) for one in texts]) if texts else ()
    for one in texts:
        if str(one.recommendation_id) not in still:
            one.text = one.unit_id = ""


def _answers(surface: Surface, requests: list[dict[str, Any]], work: ShadowWork) -> list[ShadowAnswer]:
    shadows = list(surface.versions.filter(alias=ModelVersion.Alias.SHADOW))
    served = {
        version.pk: version
        for version in surface.versions.filter(pk__in={one["version_id"] for one in requests})
    }
    answers = [
        _answer(version, request, served.get(request["version_id"]), work)
        for version in shadows
        for request in requests
    ]
    return [one for one in answers if one is not None]


def _answer(
    version: ModelVersion, request: dict[str, Any], served: ModelVersion | None, work: ShadowWork
) -> ShadowAnswer | None:
    """Let a version answer; None where nothing is left to pay for it."""
    artifacts = work.artifacts
    answer = ShadowAnswer(
        version=version,
        recommendation_id=request["recommendation_id"],
        served_by=request["served_by"],
        experiment_id=request.get("experiment_id"),
    )
    start = time.perf_counter()
    try:
        if "chat" in request["question"]:
            _compare_generations(answer, version, request, work)
        elif "text" in request["question"]:
            _compare_labels(answer, version, request, artifacts)
        else:
            _compare_ranking(answer, version, request, served, artifacts)
    except BudgetSpentError:
        return None
    except Exception as error:  # noqa: BLE001  a model may raise anything: that is what shadowing shows
        answer.error = f"{type(error).__name__}: {error}"[:300]
    answer.latency_ms = answer.latency_ms or (time.perf_counter() - start) * 1000
    return answer


def _compare_ranking(
    answer: ShadowAnswer,
    version: ModelVersion,
    request: dict[str, Any],
    served: ModelVersion | None,
    artifacts: Path,
) -> None:
    """Score the candidates of the version that served; compare top k and order with its scores."""
    question = request["question"]
    ours = _opened(version, artifacts)
    theirs = _opened(served, artifacts) if served is not None else None
    if ours.ranker is None:
        raise ValueError(f"{version.label} does not rank.")
    pool = _pool(question, theirs.ranker if theirs is not None else ours.ranker, request)
    start = time.perf_counter()
    scores = _scores(ours, version, question, pool)
    answer.latency_ms = (time.perf_counter() - start) * 1000
    top = [pool[i] for i in _best(scores, question, len(request["served"]))]
    shown = [item for item, _ in request["served"]]
    answer.overlap = len(set(top) & set(shown)) / len(shown) if shown else None
    if theirs is not None and served is not None and theirs.ranker is not None:
        answer.correlation = spearman(scores, _scores(theirs, served, question, pool))


def _compare_labels(
    answer: ShadowAnswer, version: ModelVersion, request: dict[str, Any], artifacts: Path
) -> None:
    """Label the same text; overlap is whether the first label is the same."""
    model = _opened(version, artifacts)
    if model.labels is None:
        raise ValueError(f"{version.label} does not label.")
    start = time.perf_counter()
    if model.labels.classifier is not None:
        question = request["question"]
        scores = model.labels.classifier.probabilities([question["text"]], [question["features"]])[0]
    else:
        scores = np.asarray(answer_questions(version.artifact_sha256, [request["question"]])[0])
    answer.latency_ms = (time.perf_counter() - start) * 1000
    named = dict(zip(model.labels.labels, scores.tolist(), strict=True))
    shown = request["served"]
    answer.overlap = float(max(named, key=named.__getitem__) == shown[0][0])
    both = [(score, named[label]) for label, score in shown if label in named]
    if len(both) > 1:
        answer.correlation = spearman(*map(np.array, zip(*both, strict=True)))


def _compare_generations(
    answer: ShadowAnswer, version: ModelVersion, request: dict[str, Any], work: ShadowWork
) -> None:
    """Answer the same request; overlap is how alike the texts are."""
    prompt = _opened(version, work.artifacts).prompt
    if prompt is None:
        raise ValueError(f"{version.label} does not generate.")
    copy = ChatCopy.of(request["question"]["chat"])
    start = time.perf_counter()
    compared = compare_texts(prompt, copy, version.surface.project.slug, work.purse)
    answer.latency_ms = (time.perf_counter() - start) * 1000
    answer.overlap = compared.overlap
    answer.tokens, answer.cost = int(compared.spending.tokens), compared.spending.money
    stores = GenerateSettings.parse(version.surface.generate).store != NONE
    # Whose request it was must be known, or nobody could erase the text.
    if stores and work.clean is not None and request.get("unit_id"):
        answer.unit_id, answer.text = request["unit_id"], work.clean(compared.text)


@lru_cache(maxsize=16)  # champion and shadow of eight surfaces
def _open(artifacts: Path, digest: str) -> Model:
    return open_model(artifacts, digest)


def _opened(version: ModelVersion, artifacts: Path) -> Model:
    return _open(artifacts, version.artifact_sha256)


def _pool(question: dict[str, Any], ranker: Ranker | None, request: dict[str, Any]) -> list[str]:
    """Return the candidates of the version that served, and what it showed."""
    if question.get("rules") is not None:  # they are what the rules have left, in the rules' order
        return list(question["only"])
    if question["only"] is not None:
        pool = list(question["only"])
    elif question["precomputed"] is not None and ranker is not None:
        indices = np.frombuffer(bytes.fromhex(question["precomputed"]), dtype=np.int32)
        pool = [ranker.item_ids[i] for i in indices]
    else:
        pool = [ranker.item_ids[i] for i in ranker.default_order[:200]] if ranker is not None else []
    banned = {*question["exclude"], *question["recent"]}
    allowed = [item for item in pool if item not in banned]
    return list(dict.fromkeys([*(item for item, _ in request["served"]), *allowed]))


def _best(scores: np.ndarray, question: dict[str, Any], k: int) -> Sequence[int]:
    """Return the k best candidates under the request's rules, without what exploration draws."""
    order = np.argsort(-scores, kind="stable").astype(np.int32)
    rules = SlotRules.from_json(question.get("rules") or {})
    order = rerank(order, rules)
    if not rules.by_slot:
        best: list[int] = order[:k].tolist()
        return best
    return [slot.candidate for slot in draw_by_slot(order, k, rules, temperature=0.0, rng=None)]


def _scores(
    model: Model, version: ModelVersion, question: dict[str, Any], pool: list[str]
) -> np.ndarray:
    """Return a model's scores of candidates; one that it does not know comes last."""
    ranker = model.ranker
    assert ranker is not None  # noqa: S101  both callers have looked
    if model.remote is not None:
        remote_question = {**question, "candidates": pool}
        return np.asarray(shared_model_worker().answer(version.artifact_sha256, [remote_question])[0])
    known = [n for n, item in enumerate(pool) if item in ranker.index]
    scores = np.full(len(pool), -np.inf)
    in_request = in_context(ranker, question["context"], time.time())
    if known:
        items = np.array([ranker.index[pool[n]] for n in known], dtype=np.int32)
        scores[known] = in_request.score(items, ranker.indices_of(question["recent"]))
    return scores


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return the rank correlation of two lists of scores; None where one is constant."""
    # Of two lists none of whose items the other knows, nothing can be said.
    if not np.isfinite(a).any() or not np.isfinite(b).any():
        return None
    if len(a) < 2 or np.ptp(a[np.isfinite(a)]) == 0 or np.ptp(b[np.isfinite(b)]) == 0:
        return None
    ours, theirs = (np.argsort(np.argsort(x, kind="stable"), kind="stable") for x in (a, b))
    return float(np.corrcoef(ours, theirs)[0, 1])
