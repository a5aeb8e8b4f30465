"""Fetch and embed images that are due, and place items anew that they belong to."""

from __future__ import annotations

from collections import defaultdict

from inference.actions.place_items import forget_known_items, place_items
from inference.encoders.image_vectors import fetch_due_images
from inference.models import Item


def embed_images_for(*, seconds: float) -> int:
    """Work for so long; return how many images have a vector now."""
    images = fetch_due_images(seconds=seconds)
    urls = defaultdict(list)
    for image in images:
        urls[image.project_id].append(image.url)
    if images:
        forget_known_items()  # known items have images now, too
    for project_id, theirs in urls.items():
        place_items(list(Item.objects.filter(project_id=project_id, image_url__in=theirs)))
    return len(images)
