"""Cold items and cold users, before and after the encoder is adapted, and with images.

    python -m benchmarks --only cold

MovieLens-100k. A fifth of the films, drawn at random, loses all of its earlier likes, as if it had come
last; a tenth of the users keeps its last two. MovieLens has no posters: each film gets one that is drawn
from its genres, a stripe of a colour for each, so what images add here is what genres add; the texts are
titles alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.movielens import split_movielens
from benchmarks.results import Row, write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.movielens import Stage
    from inference.serving.artifact import ArtifactDraft, Floats
    from inference.training.data import TrainingData

K, COLD_ITEMS, COLD_USERS, LAST_LIKES = 10, 0.2, 0.1, 2
EDGE = 32  # pixels of a drawn poster
COLOURS = (
    "red", "green", "blue", "yellow", "purple", "orange", "black", "white", "cyan", "magenta", "brown",
    "pink", "olive", "navy", "teal", "gold", "grey", "lime", "coral",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trial:
    """Likes with cold items and users, and which these are."""

    data: TrainingData
    cold: np.ndarray
    users: list[int]
    few: np.ndarray
    wanted: Sequence[Any]

    @classmethod
    def of(cls, stage: Stage) -> Trial:
        """Take the likes of some items and users away."""
        rng = np.random.default_rng(0)
        cold = rng.random(len(stage.data.item_ids)) < COLD_ITEMS
        few_users = rng.random(len(stage.data.liked)) < COLD_USERS
        liked = [
            (items[~cold[items]])[-LAST_LIKES if few else None :]
            for items, few in zip(stage.data.liked, few_users, strict=True)
        ]
        judged = [
            (user, wanted)
            for user, wanted in zip(stage.judged, stage.wanted, strict=True)
            if len(liked[user])
        ]
        users = [user for user, _ in judged]
        titles = [text.split(". ")[0] for text in stage.data.item_texts or []]
        data = replace(stage.data, liked=liked, liked_at=None, chance=None, item_texts=titles)
        return cls(data, cold, users, few_users[users], [wanted for _, wanted in judged])

    def figures(self, draft: ArtifactDraft) -> tuple[float, float]:
        """Return the recall of cold items among the cold ones, and the NDCG of cold users, both at 10."""
        from inference.evaluation.ranking import ndcg_of
        from inference.serving.scorers import scorer_of

        scorer = scorer_of(draft.form, draft.arrays.__getitem__)
        hits = total = 0
        ndcg = []
        for row, user in enumerate(self.users):
            known, wanted = self.data.liked[user], np.asarray(self.wanted[row])
            scores = scorer.score_all([known[::-1].tolist()])[0].copy()
            scores[known] = -np.inf
            if self.few[row]:
                ndcg.append(ndcg_of(np.argsort(-scores, kind="stable")[:K], wanted, K))
            scores[~self.cold] = -np.inf  # as a shelf of new films would show them
            top = np.argsort(-scores, kind="stable")[:K]
            hits += int(np.isin(wanted[self.cold[wanted]], top).sum())
            total += int(self.cold[wanted].sum())
        return hits / max(total, 1), float(np.mean(ndcg))


def run(size: str, home: str) -> None:
    """Judge frozen texts and two towers with each encoder, and with posters."""
    from inference.encoders.text_encoder import TextEncoder
    from inference.options import FitOptions
    from inference.recommenders import RECOMMENDERS
    from inference.training.adapt import adapt_encoder
    from inference.training.adapt_params import AdaptParams

    stage = split_movielens(Path(home))
    trial = Trial.of(stage)
    titles = list(trial.data.item_texts or [])
    steps = 300 if size == "full" else 20
    options = FitOptions(encoder=stage.encoder)
    vectors = {"the plain encoder": TextEncoder(stage.encoder).encode(titles)}
    for views in ("dropout", "crop"):
        adapted = adapt_encoder(titles, AdaptParams(views=views, steps=steps), options)
        vectors[f"adapted by {views}"] = adapted.encode(titles)
    images = _posters([text.partition(". ")[2] for text in stage.data.item_texts or []])
    rows, plain = [], {}
    for algorithm in ("frozen-text", "two-tower"):
        for name, of_texts in vectors.items():
            data = replace(trial.data, item_vectors=of_texts)
            draft = RECOMMENDERS[algorithm].fit(data, FitOptions())
            plain.setdefault(algorithm, trial.figures(draft))
            rows += _rows(f"{algorithm}, {name}", trial.figures(draft), plain[algorithm])
    for algorithm in ("two-tower", "item-knn"):
        data = replace(trial.data, item_vectors=vectors["the plain encoder"])
        plain.setdefault(algorithm, trial.figures(RECOMMENDERS[algorithm].fit(data, FitOptions())))
        draft = RECOMMENDERS[algorithm].fit(replace(data, image_vectors=images), FitOptions())
        rows += _rows(f"{algorithm}, titles and posters", trial.figures(draft), plain[algorithm])
    notes = (
        "MovieLens-100k without genres in the texts. A fifth of the films has no likes to learn from, a tenth of the "
        "users two. Recall@10 of what was liked later among the cold films, ranked among themselves; NDCG@10 of "
        f"cold users over all films. The peer is the plain encoder without images. Adapted for {steps} steps on "
        "the titles. Posters are drawn from genres and are read as colours in a grid: they say what a perfect "
        "image encoder could see, not what photographs would add."
    )  # fmt: skip
    write_result("cold", size, rows, notes, ("torch", "transformers", "pillow"))


def _rows(what: str, ours: tuple[float, float], peer: tuple[float, float]) -> list[Row]:
    return [
        Row(f"{what}: recall@10 of cold items", ours[0], "share", peer[0]),
        Row(f"{what}: NDCG@10 of cold users", ours[1], "NDCG", peer[1]),
    ]


def _posters(genres: Sequence[str]) -> Floats:
    """Draw a poster for each film and return its colours in a grid, centred and of length 1."""
    from PIL import Image, ImageDraw

    from inference.encoders.read_image import read_image
    from inference.serving.centred import centred, mean_of

    names = sorted({genre for line in genres for genre in line.split()})
    rows = []
    for line in genres:
        image = Image.new("RGB", (EDGE, EDGE), "white")
        for genre in line.split():
            place = names.index(genre)
            top = EDGE * place // len(names)
            box = (0, top, EDGE, EDGE * (place + 1) // len(names))
            ImageDraw.Draw(image).rectangle(box, fill=COLOURS[place % len(COLOURS)])
        file = io.BytesIO()
        image.save(file, "PNG")
        small = read_image(file.getvalue()).resize((1, EDGE))
        rows.append(np.asarray(small, dtype=np.float32).ravel() / 255)
    vectors = np.stack(rows)
    return centred(vectors, mean_of(vectors))
