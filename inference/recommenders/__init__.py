"""Recommenders, one file each behind one protocol; `RECOMMENDERS` names them."""

from inference.recommenders.frozen_text import FrozenText
from inference.recommenders.popularity import Popularity
from inference.recommenders.protocol import Recommender, TrainingData
from inference.recommenders.two_tower import TwoTower

RECOMMENDERS: dict[str, Recommender] = {
    recommender.name: recommender for recommender in (Popularity(), FrozenText(), TwoTower())
}

__all__ = ["RECOMMENDERS", "Recommender", "TrainingData"]
