"""Recommenders, one file each behind one protocol; `RECOMMENDERS` names them."""

from inference.recommenders.als import Als
from inference.recommenders.custom_model import Endpoint, Python
from inference.recommenders.ease import Ease
from inference.recommenders.frozen_text import FrozenText
from inference.recommenders.imported import Imported
from inference.recommenders.item_knn import ItemKnn
from inference.recommenders.orders import ORDERS
from inference.recommenders.popularity import Popularity
from inference.recommenders.pretrained import Pretrained
from inference.recommenders.protocol import Recommender
from inference.recommenders.sasrec import Sasrec
from inference.recommenders.tuned_text import BertItems, TunedTwoTower
from inference.recommenders.two_tower import TwoTower
from inference.training.data import TrainingData

RECOMMENDERS: dict[str, Recommender] = {
    recommender.name: recommender
    for recommender in (
        Popularity(),
        ItemKnn(),
        Ease(),
        Als(),
        FrozenText(),
        TwoTower(),
        Sasrec(),
        TunedTwoTower(),
        BertItems(),
        Pretrained(),
        Endpoint(),
        Python(),
        Imported(),
        *ORDERS,
    )
}

__all__ = ["RECOMMENDERS", "Recommender", "TrainingData"]
