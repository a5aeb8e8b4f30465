"""Fetch and embed images that are due, and place items anew that they belong to.

Where the object store is away, they are due as new items are, which are placed once it is back.
"""

from __future__ import annotations

import logging
from collections import defaultdict

from django.db.models import Q
from django.db.models.functions import Now

from inference.actions.place_items import forget_known_items, place_items
from inference.encoders.image_vectors import fetch_due_images
from inference.models import Item
from inference.serving.artifact import ArtifactError

logger = logging.getLogger(__name__)


def embed_images_for(*, seconds: float) -> int:
    """Work for so long; return how many images have a vector now."""
    images = fetch_due_images(seconds=seconds)
    read = defaultdict(list)
    for image in images:
        read[image.project_id].append(image)
    if images:
        forget_known_items()  # known items have images now, too
    for project_id, theirs in read.items():
        has_one = Q(image_url__in=[one.url for one in theirs]) | Q(
            image_sha256__in=[one.image_sha256 for one in theirs]
        )
        items = Item.objects.filter(has_one, project_id=project_id)
        try:
            place_items(list(items))
        except ArtifactError as error:
            logger.warning("items with new images are placed later: %s", error)
            items.update(vector_due_at=Now())
    return len(images)
