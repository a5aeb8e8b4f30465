"""Classifiers of texts, one file each behind one protocol; `CLASSIFIERS` names them."""

from inference.classifiers.bert import Bert
from inference.classifiers.custom_model import Endpoint, Python
from inference.classifiers.frozen_head import FrozenHead
from inference.classifiers.imported import Imported
from inference.classifiers.private_head import PrivateHead
from inference.classifiers.protocol import Classifier
from inference.classifiers.tfidf import Tfidf
from inference.training.data import LabelledData

CLASSIFIERS: dict[str, Classifier] = {
    classifier.name: classifier
    for classifier in (Tfidf(), FrozenHead(), PrivateHead(), Bert(), Endpoint(), Python(), Imported())
}

__all__ = ["CLASSIFIERS", "Classifier", "LabelledData"]
