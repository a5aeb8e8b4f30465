"""Rows of the inference application."""

from inference.models.catalogue import CatalogueState, Item, ItemVector, Surface
from inference.models.examples import Example
from inference.models.images import FetchedImage, ImageVector, UploadedImage
from inference.models.monitoring import DriftReport, ShadowAnswer
from inference.models.policy_count import PolicyCount
from inference.models.registry import AliasMove, ModelVersion, Snapshot, TrainingRun
from inference.models.run_log import RunLogLine
from inference.models.store import ArtifactStore
from inference.models.words import ItemWord

__all__ = [
    "AliasMove",
    "ArtifactStore",
    "CatalogueState",
    "DriftReport",
    "Example",
    "FetchedImage",
    "ImageVector",
    "Item",
    "ItemVector",
    "ItemWord",
    "ModelVersion",
    "PolicyCount",
    "RunLogLine",
    "ShadowAnswer",
    "Snapshot",
    "Surface",
    "TrainingRun",
    "UploadedImage",
]
