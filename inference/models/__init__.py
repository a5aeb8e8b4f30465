"""Tables of inference."""

from inference.models.catalogue import Item, ItemVector, Surface
from inference.models.registry import ModelVersion, Snapshot, TrainingRun

__all__ = ["Item", "ItemVector", "ModelVersion", "Snapshot", "Surface", "TrainingRun"]
