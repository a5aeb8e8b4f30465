"""Fetch and embed images that are due, and place items anew that they belong to."""

from __future__ import annotations

from collections import defaultdict

from django.db.models import Q

from inference.actions.place_items import forget_known_items, place_items
from inference.encoders.image_vectors import fetch_due_images
from inference.models import Item


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
        place_items(list(Item.objects.filter(has_one, project_id=project_id)))
    return len(images)
